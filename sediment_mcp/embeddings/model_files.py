"""Find the files of a model of sentence-transformers: in a folder, or once on the hub.

A folder never uses the network. A hub model does once: as soon as it is in the hub's local cache it is loaded
from there, at the revision found there, and the hub is not asked again.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import huggingface_hub
import transformers
from huggingface_hub import constants
from huggingface_hub.errors import RepositoryNotFoundError

from sediment_mcp.errors import ModelUnavailable

ALLOW_PICKLES = "pickle:"
"""What the user puts before a model's name to accept weights that are a pickle."""
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"}
HUB_TIMEOUT = 10.0
"""Seconds until an unreachable hub is given up; sentence-transformers itself would try for over a minute."""

ModelT = TypeVar("ModelT")


@dataclass(frozen=True, slots=True)
class OpenedModel(Generic[ModelT]):
    """A model, the folder of its files and, if it is the hub's, its name there."""

    model: ModelT
    folder: Path
    repository: str | None


@dataclass(frozen=True, slots=True)
class ModelFiles(Generic[ModelT]):
    """Where a variable's models come from.

    ``build`` takes a folder or hub name and keyword arguments of sentence-transformers. ``kind`` is what it
    builds, in plain words; ``otherwise`` is what a user may do instead. Hub names without an owner are
    ``owner``'s. ``fetched_first`` are the files that tell, in the hub's cache, that it knows the model.
    """

    variable: str
    kind: str
    otherwise: str
    owner: str
    build: Callable[..., ModelT]
    fetched_first: tuple[str, ...]

    def open(self, name: str) -> OpenedModel[ModelT]:
        """Open a model from a folder or, if there is no such folder, from the hub.

        ``~`` in the name of a folder is expanded.

        Raises:
            ModelUnavailable: there is no such model, it cannot be fetched, or it cannot be used.
        """
        _silence_libraries()
        allows_pickles = name.startswith(ALLOW_PICKLES)
        name = name.removeprefix(ALLOW_PICKLES)
        folder = Path(name).expanduser()
        if folder.is_dir():
            return OpenedModel(self._open_folder(name, folder, allows_pickles), folder.resolve(), None)
        if not re.fullmatch(r"(?!\.)[\w.-]+(/[\w.-]+)?", name):
            raise ModelUnavailable(
                f"{self.variable} is {name}, and there is no such folder: give the folder of a model, "
                f"{self.otherwise}"
            )
        repository = name if "/" in name else f"{self.owner}/{name}"
        return self._open_from_hub(name, repository, allows_pickles)

    def _open_folder(self, name: str, folder: Path, allows_pickles: bool) -> ModelT:
        if not allows_pickles:
            self._refuse_pickles(name, folder)
        return self._build(name, str(folder.resolve()), allows_pickles, local_files_only=True)

    def _refuse_pickles(self, name: str, folder: Path) -> None:
        """Refuse weights that only a pickle has, which may run any code when it is read."""
        for path in sorted(folder.rglob("*")):
            if path.suffix in PICKLE_SUFFIXES and not any(path.parent.glob("*.safetensors")):
                raise ModelUnavailable(
                    f"The model {name} has weights in {path.name}, a pickle, which may run any code: convert "
                    f"it to safetensors, set {self.variable}={ALLOW_PICKLES}{name} if you trust it, "
                    f"{self.otherwise}"
                )

    def _open_from_hub(self, name: str, repository: str, allows_pickles: bool) -> OpenedModel[ModelT]:
        """Open a model of the hub's cache as a folder; download it first if it is not there.

        Opening it by name would use the network even for a cached model.
        """
        snapshot = self._find_cached(repository)
        if snapshot and not allows_pickles:
            self._refuse_pickles(name, snapshot)
        if snapshot:
            with contextlib.suppress(ModelUnavailable):  # the cached files are incomplete: downloaded below
                model = self._build(name, str(snapshot), allows_pickles, local_files_only=True)
                return OpenedModel(model, snapshot, repository)
        snapshot = self._download(name, repository, allows_pickles)
        return OpenedModel(self._open_folder(name, snapshot, allows_pickles), snapshot, repository)

    def _download(self, name: str, repository: str, allows_pickles: bool) -> Path:
        """Open by name, which makes sentence-transformers fill the cache; return the cached folder."""
        self._check_hub(name, repository)
        self._build(name, repository, allows_pickles, local_files_only=False)
        snapshot = self._find_cached(repository)
        if snapshot is None:
            raise ModelUnavailable(
                f"The model {name} was downloaded but is not in the hub's cache: download it into a folder "
                f"and give that folder, {self.otherwise}"
            )
        return snapshot

    def _find_cached(self, repository: str) -> Path | None:
        """Find the folder of cached files, which is named after their commit.

        None if the cache does not tell whether the model has each file of ``fetched_first``, up to one that
        it has. If another program began to fetch the model, a file may exist on the hub and be missing here,
        and the model would be built wrongly without an error.
        """
        for name in self.fetched_first:
            path = huggingface_hub.try_to_load_from_cache(repository, name, cache_dir=constants.HF_HUB_CACHE)
            if path is None:
                return None
            if isinstance(path, str):
                return Path(path).parent
        return None

    def _check_hub(self, name: str, repository: str) -> None:
        """Check with one short request that the hub can be reached and has the model.

        So a wrong name, or a missing network, is reported at once and in plain words.
        """
        try:
            huggingface_hub.HfApi().model_info(repository, timeout=HUB_TIMEOUT)
        except RepositoryNotFoundError as error:
            raise ModelUnavailable(
                f"The Hugging Face hub has no model {name} that you may use: correct {self.variable}, "
                f"{self.otherwise}"
            ) from error
        except Exception as error:  # its class changes with the version of the hub's HTTP library
            raise ModelUnavailable(
                f"The model {name} is not on this computer, and the Hugging Face hub cannot be reached "
                f"({type(error).__name__}): connect to the network once, give the model's folder, "
                f"{self.otherwise}"
            ) from error

    def _build(self, name: str, source: str, allows_pickles: bool, *, local_files_only: bool) -> ModelT:
        """Build the model on the CPU, in 32-bit floats whatever the file has.

        Half precision is slower there, and less precise.
        """
        try:
            built: Any = self.build(
                source,
                device="cpu",
                cache_folder=constants.HF_HUB_CACHE,
                local_files_only=local_files_only,
                trust_remote_code=False,
                model_kwargs={} if allows_pickles else {"use_safetensors": True},
            )
            return built.float().eval()
        except Exception as error:  # anything may come out of a model's own files
            raise ModelUnavailable(
                f"The model {name} cannot be loaded by sentence-transformers ({take_first_line(error)}): "
                f"check that it is complete and a {self.kind}, {self.otherwise}"
            ) from error


def _silence_libraries() -> None:
    """Hide progress bars and log only errors: stderr belongs to this server's own messages."""
    transformers.utils.logging.disable_progress_bar()  # this also hides those of huggingface_hub
    for name in ("transformers", "sentence_transformers", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)


def take_first_line(error: BaseException) -> str:
    """Return the first line of an error without its period; its class if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
