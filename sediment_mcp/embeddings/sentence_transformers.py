"""All models but the default one, computed by sentence-transformers.

A model is a folder, or a name on the Hugging Face hub. A folder never uses the network. A hub model does
once: as soon as it is in the hub's local cache it is loaded from there, at the revision found there, and the
hub is not asked again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import huggingface_hub
import numpy as np
import transformers
from huggingface_hub import constants
from huggingface_hub.errors import RepositoryNotFoundError
from sentence_transformers import SentenceTransformer

from sediment_mcp.config import MODEL
from sediment_mcp.embeddings.fair_semaphore import FairSemaphore
from sediment_mcp.embeddings.file_hashes import hash_file
from sediment_mcp.embeddings.protocols import DocumentEmbeddings, ModelIdentity, QueryEmbedding
from sediment_mcp.embeddings.readability import MAX_UNKNOWN_SHARE, measure_unknown_share
from sediment_mcp.embeddings.runtime import compute_fingerprint, replace_surrogates, translate_failures
from sediment_mcp.errors import ModelUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH_TEXTS = 8
"""Texts that run together. A query that arrives meanwhile waits for one batch, so it is kept small."""
ALLOW_PICKLES = "pickle:"
"""What the user puts before a model's name to accept weights that are a pickle."""
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"}
HUB_TIMEOUT = 10.0
"""Seconds until an unreachable hub is given up; sentence-transformers itself would try for over a minute."""
FINGERPRINTED_SUFFIXES = {".safetensors", ".bin", ".json", ".txt", ".model"}
"""Weights, configuration, vocabularies; other files (a README, other runtimes' weights) do not matter."""
DOCUMENT_PROMPTS = ("document", "passage", "corpus")
MAX_CHECKED_TOKENS = 512  # of a text for a model that has no limit
MIN_NORM = np.float32(1e-12)
OR_DEFAULT = f"or unset {MODEL} to use the default model."


def load(model: str, data_dir: Path) -> SentenceTransformerModel:
    """Load a model from a folder or, if there is no such folder, from the hub.

    ``~`` in the name of a folder is expanded.

    Raises:
        ModelUnavailable: there is no such model, it cannot be fetched, or it cannot be used.
    """
    _silence_libraries()
    allows_pickles = model.startswith(ALLOW_PICKLES)
    model = model.removeprefix(ALLOW_PICKLES)
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not allows_pickles:
            _refuse_pickles(model, folder)
        return _load_folder(model, folder.resolve(), data_dir, allows_pickles)
    if not re.fullmatch(r"(?!\.)[\w.-]+(/[\w.-]+)?", model):
        raise ModelUnavailable(
            f"{MODEL} is {model}, and there is no such folder: give the folder of a model, {OR_DEFAULT}"
        )
    repository = model if "/" in model else f"sentence-transformers/{model}"
    return _load_from_hub(model, repository, allows_pickles)


def _refuse_pickles(model: str, folder: Path) -> None:
    """Refuse weights that only a pickle has, which may run any code when it is read."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in PICKLE_SUFFIXES and not any(path.parent.glob("*.safetensors")):
            raise ModelUnavailable(
                f"The model {model} has weights in {path.name}, a pickle, which may run any code: convert it "
                f"to safetensors, set {MODEL}={ALLOW_PICKLES}{model} if you trust it, {OR_DEFAULT}"
            )


def _silence_libraries() -> None:
    """Hide progress bars and log only errors: stderr belongs to this server's own messages."""
    transformers.utils.logging.disable_progress_bar()  # this also hides those of huggingface_hub
    for name in ("transformers", "sentence_transformers", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _load_folder(model: str, folder: Path, data_dir: Path, allows_pickles: bool) -> SentenceTransformerModel:
    loaded = _open(model, str(folder), allows_pickles, local_files_only=True)
    try:
        files = {
            str(path.relative_to(folder)): hash_file(path, data_dir) for path in _list_model_files(folder)
        }
    except OSError as error:
        raise ModelUnavailable(
            f"The model {model} cannot be read ({error.strerror}): make it readable, {OR_DEFAULT}"
        ) from error
    return SentenceTransformerModel(model, loaded, {"files": files})


def _list_model_files(folder: Path) -> list[Path]:
    """List the files that embeddings depend on: at the top, and in the folder of each module."""
    found = set(folder.glob("*"))
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        modules: Any = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        for path in (module["path"] for module in modules if module["path"]):
            found.update((folder / path).rglob("*"))
    return sorted(path for path in found if path.suffix in FINGERPRINTED_SUFFIXES and path.is_file())


def _load_from_hub(model: str, repository: str, allows_pickles: bool) -> SentenceTransformerModel:
    """Load from the hub's cache as a folder; download the model first if it is not there.

    Loading it by name would use the network even for a cached model.
    """
    snapshot, loaded = _find_cached(repository), None
    if snapshot and not allows_pickles:
        _refuse_pickles(model, snapshot)
    if snapshot:
        with contextlib.suppress(ModelUnavailable):  # the cached files are incomplete: downloaded below
            loaded = _open(model, str(snapshot), allows_pickles, local_files_only=True)
    if not snapshot or not loaded:
        snapshot = _download(model, repository, allows_pickles)
        if not allows_pickles:
            _refuse_pickles(model, snapshot)
        loaded = _open(model, str(snapshot), allows_pickles, local_files_only=True)
    return SentenceTransformerModel(model, loaded, {"repository": repository, "revision": snapshot.name})


def _find_cached(repository: str) -> Path | None:
    """Find the folder of cached files, which is named after their commit.

    None if the cache does not tell whether the model has a modules.json. sentence-transformers fetches that
    file first. If another program began to fetch the model, the file may exist on the hub and be missing
    here, and the model would be loaded with the wrong pooling, without an error.
    """
    for name in ("modules.json", "config.json"):
        path = huggingface_hub.try_to_load_from_cache(repository, name, cache_dir=constants.HF_HUB_CACHE)
        if path is None:
            return None
        if isinstance(path, str):
            return Path(path).parent
    return None


def _download(model: str, repository: str, allows_pickles: bool) -> Path:
    """Load by name, which makes sentence-transformers fill the cache; return the cached folder."""
    _check_hub(model, repository)
    _open(model, repository, allows_pickles, local_files_only=False)
    snapshot = _find_cached(repository)
    if snapshot is None:
        raise ModelUnavailable(
            f"The model {model} was downloaded but is not in the hub's cache: download it into a folder "
            f"and give that folder, {OR_DEFAULT}"
        )
    return snapshot


def _check_hub(model: str, repository: str) -> None:
    """Check with one short request that the hub can be reached and has the model.

    So a wrong name, or a missing network, is reported at once and in plain words.
    """
    try:
        huggingface_hub.HfApi().model_info(repository, timeout=HUB_TIMEOUT)
    except RepositoryNotFoundError as error:
        raise ModelUnavailable(
            f"The Hugging Face hub has no model {model} that you may use: correct {MODEL}, {OR_DEFAULT}"
        ) from error
    except Exception as error:  # its class changes with the version of the hub's HTTP library
        raise ModelUnavailable(
            f"The model {model} is not on this computer, and the Hugging Face hub cannot be reached "
            f"({type(error).__name__}): connect to the network once, give the model's folder, {OR_DEFAULT}"
        ) from error


def _open(model: str, source: str, allows_pickles: bool, *, local_files_only: bool) -> SentenceTransformer:
    """Load on the CPU, in 32-bit floats whatever the file has.

    Half precision is slower there, and less precise.
    """
    try:
        loaded = SentenceTransformer(
            source,
            device="cpu",
            cache_folder=constants.HF_HUB_CACHE,
            local_files_only=local_files_only,
            trust_remote_code=False,
            model_kwargs={} if allows_pickles else {"use_safetensors": True},
        )
        return loaded.float().eval()
    except Exception as error:  # anything may come out of a model's own files
        raise ModelUnavailable(
            f"The model {model} cannot be loaded by sentence-transformers ({_take_first_line(error)}): "
            f"check that it is complete and a sentence-transformers model, {OR_DEFAULT}"
        ) from error


def _take_first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


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
            reason = _take_first_line(error.__cause__ or error)
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
