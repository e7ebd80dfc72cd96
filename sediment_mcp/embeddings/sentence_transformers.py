"""Any model but the default one, by sentence-transformers: a folder, or a name on the Hugging Face hub.

A folder never touches the network. A hub model does so once: as soon as it is in the hub's local cache
it is loaded from there, at the revision found there, and the hub is not asked again.
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
from sediment_mcp.embeddings.fair_semaphore import Turns
from sediment_mcp.embeddings.file_hashes import sha256
from sediment_mcp.embeddings.protocols import ModelIdentity, fingerprint, well_formed
from sediment_mcp.errors import ModelUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 8
"""Texts that run together. A query that arrives meanwhile waits for one batch, so it is kept small."""
HUB_PATIENCE = 10.0
"""Seconds until an unreachable hub is given up; sentence-transformers itself would try for over a minute."""
FINGERPRINTED = {".safetensors", ".bin", ".json", ".txt", ".model"}
"""Weights, configuration, vocabularies. Other files (a README, other runtimes' weights) change nothing."""
DOCUMENT_PROMPTS = ("document", "passage", "corpus")
TINY = np.float32(1e-12)
OR_DEFAULT = f"or unset {MODEL} to use the default model."


def load(model: str, data_dir: Path) -> SentenceTransformerModel:
    """Load a model from a folder (``~`` is expanded) or, where there is none of that name, from the hub.

    Raises:
        ModelUnavailable: there is no such model, it cannot be fetched, or it cannot be used.
    """
    _be_quiet()
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _load_folder(model, folder.resolve(), data_dir)
    if not re.fullmatch(r"(?!\.)[\w.-]+(/[\w.-]+)?", model):
        raise ModelUnavailable(
            f"{MODEL} is {model}, and there is no such folder: give the folder of a model, {OR_DEFAULT}"
        )
    return _load_from_hub(model, model if "/" in model else f"sentence-transformers/{model}")


def _be_quiet() -> None:
    """No progress bars, and only errors in the log: stderr belongs to this server's own messages."""
    transformers.utils.logging.disable_progress_bar()  # the hub's too
    for name in ("transformers", "sentence_transformers", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _load_folder(model: str, folder: Path, data_dir: Path) -> SentenceTransformerModel:
    loaded = _open(model, str(folder), local_files_only=True)
    try:
        files = {str(path.relative_to(folder)): sha256(path, data_dir) for path in _model_files(folder)}
    except OSError as error:
        raise ModelUnavailable(
            f"The model {model} cannot be read ({error.strerror}): make it readable, {OR_DEFAULT}"
        ) from error
    return SentenceTransformerModel(model, loaded, {"files": files})


def _model_files(folder: Path) -> list[Path]:
    """The files that decide what a vector means: those on top, and those of each module's own folder."""
    found = set(folder.glob("*"))
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        modules: Any = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        for path in (module["path"] for module in modules if module["path"]):
            found.update((folder / path).rglob("*"))
    return sorted(path for path in found if path.suffix in FINGERPRINTED and path.is_file())


def _load_from_hub(model: str, repository: str) -> SentenceTransformerModel:
    """From the hub's local cache, as a folder: asked for by name, even a cached model touches the network."""
    snapshot, loaded = _cached(repository), None
    if snapshot:
        with contextlib.suppress(ModelUnavailable):  # an incomplete one, which the next lines complete
            loaded = _open(model, str(snapshot), local_files_only=True)
    if not snapshot or not loaded:
        snapshot = _download(model, repository)
        loaded = _open(model, str(snapshot), local_files_only=True)
    return SentenceTransformerModel(model, loaded, {"repository": repository, "revision": snapshot.name})


def _cached(repository: str) -> Path | None:
    """The cached files, in a folder named after their commit; None unless it is also known whether
    modules.json is one of them.

    That file is the first to be fetched. Where it exists but was not, because something else began to
    fetch the model, it would be loaded with the wrong pooling, silently.
    """
    for name in ("modules.json", "config.json"):
        path = huggingface_hub.try_to_load_from_cache(repository, name, cache_dir=constants.HF_HUB_CACHE)
        if path is None:
            return None
        if isinstance(path, str):
            return Path(path).parent
    return None


def _download(model: str, repository: str) -> Path:
    """Let sentence-transformers fetch what it needs into the cache, which a load does."""
    _ask_hub(model, repository)
    _open(model, repository, local_files_only=False)
    snapshot = _cached(repository)
    if snapshot is None:
        raise ModelUnavailable(
            f"The model {model} was downloaded but is not in the hub's cache: download it into a folder "
            f"and give that folder, {OR_DEFAULT}"
        )
    return snapshot


def _ask_hub(model: str, repository: str) -> None:
    """One short request, so that a wrong name, or a missing network, is told at once and in plain words."""
    try:
        huggingface_hub.HfApi().model_info(repository, timeout=HUB_PATIENCE)
    except RepositoryNotFoundError as error:
        raise ModelUnavailable(
            f"The Hugging Face hub has no model {model} that you may use: correct {MODEL}, {OR_DEFAULT}"
        ) from error
    except (
        Exception
    ) as error:  # the hub's HTTP library, and with it the error's class, changes with its version
        raise ModelUnavailable(
            f"The model {model} is not on this computer, and the Hugging Face hub cannot be reached "
            f"({type(error).__name__}): connect to the network once, give the model's folder, {OR_DEFAULT}"
        ) from error


def _open(model: str, source: str, *, local_files_only: bool) -> SentenceTransformer:
    """Load on the CPU, in 32-bit floats whatever the file has: half precision is slower there and coarser."""
    try:
        loaded = SentenceTransformer(
            source, device="cpu", cache_folder=constants.HF_HUB_CACHE, local_files_only=local_files_only
        )
        return loaded.float().eval()
    except Exception as error:  # anything may come out of a model's own files
        raise ModelUnavailable(
            f"The model {model} cannot be loaded by sentence-transformers ({_first_line(error)}): "
            f"check that it is complete and a sentence-transformers model, {OR_DEFAULT}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


class SentenceTransformerModel:
    """A loaded model. Threads take turns: sentence-transformers does not promise that they may meet in one
    model, and a single call keeps every core busy anyway."""

    def __init__(self, name: str, model: SentenceTransformer, origin: dict[str, Any]) -> None:
        self._model = model
        self._turns = Turns()
        prompts = model.prompts
        self._query_prompt = prompts.get("query") or ""
        self._document_prompt = (
            next((prompts[key] for key in DOCUMENT_PROMPTS if prompts.get(key)), None) or ""
        )
        self._identity = ModelIdentity(
            name=name,
            fingerprint=fingerprint(
                **origin,
                max_tokens=model.max_seq_length,
                normalised=True,
                prompts={"query": self._query_prompt, "document": self._document_prompt},
            ),
            dimension=self._dimension(name),
        )

    def _dimension(self, name: str) -> int:
        """Found by embedding a word, which also shows that the model can do so."""
        try:
            return len(self.embed_query("dimension"))
        except Exception as error:  # anything may come out of a model's own code
            raise ModelUnavailable(
                f"The model {name} cannot embed text ({_first_line(error)}): choose another one, {OR_DEFAULT}"
            ) from error

    @property
    def identity(self) -> ModelIdentity:
        return self._identity

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of shape (len(texts), dimension), in the order of ``texts``, prompt included."""
        vectors = np.empty((len(texts), self._identity.dimension), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            vectors[batch] = self._encode(
                self._model.encode_document, [texts[i] for i in batch], self._document_prompt
            )
        return vectors

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """One unit vector of shape (dimension,), prompt included."""
        return self._encode(self._model.encode_query, [text], self._query_prompt)[0]

    def _encode(self, encode: Any, texts: list[str], prompt: str) -> NDArray[np.float32]:
        """The prompt is always given: left alone, sentence-transformers would overlook "passage" and
        "corpus" prompts, because its own empty "document" prompt comes first."""
        with self._turns.take():
            raw = encode([well_formed(text) for text in texts], prompt=prompt, show_progress_bar=False)
        vectors = np.asarray(raw, np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), TINY)
