"""What both runtimes share: fingerprints, clean text, and one error for failures on a text."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Generator
from typing import Any

from sediment_mcp.errors import ModelFailed


def compute_fingerprint(**parts: Any) -> str:
    """Return the SHA-256, in hex, of everything that an embedding depends on.

    ``parts`` are values that JSON can hold.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which no tokenizer accepts, by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


@contextlib.contextmanager
def translate_failures(*packages: str) -> Generator[None]:
    """Turn what a model raises on a text into `ModelFailed`.

    These are errors of the system or of a value, error classes that are defined in one of the ``packages``,
    and a bare ``Exception``, which tokenizers raises. Anything else, such as a TypeError, is a mistake in
    this package and is not changed.

    Raises:
        ModelFailed: the block has failed on a text.
    """
    try:
        yield
    except (RuntimeError, ValueError, IndexError, OSError, MemoryError) as error:
        raise _build_failure(error) from error
    except Exception as error:
        if type(error) is Exception or type(error).__module__.partition(".")[0] in packages:
            raise _build_failure(error) from error
        raise


def _build_failure(error: Exception) -> ModelFailed:
    return ModelFailed(
        f"The embedding model failed on a text ({type(error).__name__}): it is found by its words alone."
    )
