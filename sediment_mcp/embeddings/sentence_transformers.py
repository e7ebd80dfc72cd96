"""All models but the default one, computed by sentence-transformers.

A model is a folder, or a name on the Hugging Face hub, see `model_files`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sentence_transformers import SentenceTransformer

from sediment_mcp.config import MODEL
from sediment_mcp.embeddings.fair_semaphore import FairSemaphore
from sediment_mcp.embeddings.file_hashes import hash_file
from sediment_mcp.embeddings.model_files import ALLOW_PICKLES, ModelFiles, take_first_line
from sediment_mcp.embeddings.protocols import DocumentEmbeddings, ModelIdentity, QueryEmbedding
from sediment_mcp.embeddings.readability import MAX_UNKNOWN_SHARE, measure_unknown_share
from sediment_mcp.embeddings.runtime import compute_fingerprint, replace_surrogates, translate_failures
from sediment_mcp.errors import ModelUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH_TEXTS = 8
"""Texts that run together. A query that arrives meanwhile waits for one batch, so it is kept small."""
FINGERPRINTED_SUFFIXES = {".safetensors", ".bin", ".json", ".txt", ".model"}
"""Weights, configuration, vocabularies; other files (a README, other runtimes' weights) do not matter."""
DOCUMENT_PROMPTS = ("document", "passage", "corpus")
MAX_CHECKED_TOKENS = 512  # of a text for a model that has no limit
MIN_NORM = np.float32(1e-12)
OR_DEFAULT = f"or unset {MODEL} to use the default model."
FILES = ModelFiles(
    MODEL, "sentence-transformers model", OR_DEFAULT, "sentence-transformers", SentenceTransformer,
    fetched_first=("modules.json", "config.json"),  # without the former, pooling would be a guess
)  # fmt: skip


def load(model: str, data_dir: Path) -> SentenceTransformerModel:
    """Load a model from a folder or, if there is no such folder, from the hub.

    Raises:
        ModelUnavailable: there is no such model, it cannot be fetched, or it cannot be used.
    """
    opened, name = FILES.open(model), model.removeprefix(ALLOW_PICKLES)
    if opened.repository:
        origin: dict[str, Any] = {"repository": opened.repository, "revision": opened.folder.name}
    else:
        origin = {"files": _hash_files(name, opened.folder, data_dir)}
    return SentenceTransformerModel(name, opened.model, origin)


def _hash_files(model: str, folder: Path, data_dir: Path) -> dict[str, str]:
    try:
        return {
            str(path.relative_to(folder)): hash_file(path, data_dir) for path in _list_model_files(folder)
        }
    except OSError as error:
        raise ModelUnavailable(
            f"The model {model} cannot be read ({error.strerror}): make it readable, {OR_DEFAULT}"
        ) from error


def _list_model_files(folder: Path) -> list[Path]:
    """List the files that embeddings depend on: at the top, and in the folder of each module."""
    found = set(folder.glob("*"))
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        modules: Any = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        for path in (module["path"] for module in modules if module["path"]):
            found.update((folder / path).rglob("*"))
    return sorted(path for path in found if path.suffix in FINGERPRINTED_SUFFIXES and path.is_file())


class SentenceTransformerModel:
    """A loaded model, used by one thread at a time.

    sentence-transformers does not promise that several may use one model, and a single call keeps every core
    busy anyway.
    """

    def __init__(self, name: str, model: SentenceTransformer, origin: dict[str, Any]) -> None:
        self._model = model
        self._runs = FairSemaphore()
        self._tokenizer: Any = getattr(model, "tokenizer", None)
        # Only a fast tokenizer says where in the text its tokens are; those of other kinds of models do not.
        self._unknown: int | None = (
            getattr(self._tokenizer, "unk_token_id", None)
            if getattr(self._tokenizer, "is_fast", False)
            else None
        )
        prompts = model.prompts
        self._query_prompt = prompts.get("query") or ""
        self._document_prompt = (
            next((prompts[key] for key in DOCUMENT_PROMPTS if prompts.get(key)), None) or ""
        )
        self._identity = ModelIdentity(
            name=name,
            fingerprint=compute_fingerprint(
                **origin,
                max_tokens=model.max_seq_length,
                normalised=True,
                prompts={"query": self._query_prompt, "document": self._document_prompt},
            ),
            dimension=self._measure_dimension(name),
        )

    def _measure_dimension(self, name: str) -> int:
        """Embed a word to find the dimension, and to check that the model can embed."""
        try:
            return len(self.embed_query("dimension").vector)
        except Exception as error:  # anything may come out of a model's own code
            reason = take_first_line(error.__cause__ or error)
            raise ModelUnavailable(
                f"The model {name} cannot embed text ({reason}): choose another one, {OR_DEFAULT}"
            ) from error

    @property
    def identity(self) -> ModelIdentity:
        """The identity, which was computed when the model was loaded."""
        return self._identity

    @property
    def token_identity(self) -> None:
        """None: no projection was made for the token vectors of these models."""
        return None

    def embed_documents(self, texts: Sequence[str]) -> DocumentEmbeddings:
        """Embed texts with the document prompt; the vector of a text that it cannot read is zero."""
        vectors = np.zeros((len(texts), self._identity.dimension), np.float32)
        readable = [i for i, text in enumerate(texts) if self.can_read(text)]
        order = sorted(readable, key=lambda i: len(texts[i]))
        for start in range(0, len(order), BATCH_TEXTS):
            batch = order[start : start + BATCH_TEXTS]
            vectors[batch] = self._encode(
                self._model.encode_document, [texts[i] for i in batch], self._document_prompt
            )
        return DocumentEmbeddings(vectors, [np.zeros((0, 0), np.int8)] * len(texts))

    def embed_query(self, text: str) -> QueryEmbedding:
        """Embed a query with the query prompt; its vector is zero if it is not read."""
        vector = (
            self._encode(self._model.encode_query, [text], self._query_prompt)[0]
            if self.can_read(text)
            else np.zeros(self._identity.dimension, np.float32)
        )
        return QueryEmbedding(vector, np.zeros((0, 0), np.float32), np.zeros((0, 2), np.int64))

    def can_read(self, text: str) -> bool:
        """Return whether the vocabulary covers the text, as any without an unknown token does."""
        if self._unknown is None or not text:
            return True
        with self._runs.acquire(), translate_failures("tokenizers", "transformers"):
            encoded = self._tokenizer(
                replace_surrogates(text),
                add_special_tokens=False,
                return_offsets_mapping=True,
                truncation=True,
                max_length=self._model.max_seq_length or MAX_CHECKED_TOKENS,
            )
        tokens = (
            (token == self._unknown, span)
            for token, span in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        )
        return measure_unknown_share(text, tokens) < MAX_UNKNOWN_SHARE

    def _encode(self, encode: Any, texts: list[str], prompt: str) -> NDArray[np.float32]:
        """Embed texts with a prompt, and return unit vectors.

        The prompt is always passed: sentence-transformers by itself would ignore "passage" and "corpus"
        prompts, because its own empty "document" prompt comes first.
        """
        clean_texts = [replace_surrogates(text) for text in texts]
        with self._runs.acquire(), translate_failures("torch", "transformers", "sentence_transformers"):
            raw = encode(clean_texts, prompt=prompt, show_progress_bar=False)
        vectors = np.asarray(raw, np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), MIN_NORM)
