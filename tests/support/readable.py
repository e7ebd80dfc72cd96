"""A search for planted words in every byte of every file below some folders, however they are written there.

All planted words begin with `STEM`, which nothing else has, so that one search finds each of them. Written
may mean: as UTF-8, as UTF-16, as base64 or hexadecimal digits, or any of these compressed by zlib or gzip.
Embeddings are searched as the bytes that are stored. Words that tantivy cuts apart and compresses are not
found so: that there is no folder of it is a claim of its own.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sediment_mcp.embeddings.codec import encode_vectors
from sediment_mcp.embeddings.protocols import Embedder

STEM = "zumbelquark"
CONTEXT = 24  # bytes after a stem that are told, to know which word it was
STREAM = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
MAX_INFLATED = 1 << 22  # bytes of one stream that are looked at
SAMPLE = 16  # bytes of an embedding: eight numbers
LEAST_RANDOM = 0.98  # of its size that a file of random bytes has at least once it is compressed
LEAST_BYTES = 512  # from which on that can be said


class Readable(NamedTuple):
    """Something planted, and where it can be read: the file, in which writing, and what follows it."""

    file: str
    writing: str
    text: str


def plant(kind: str) -> str:
    """The word that stands for what is planted as this kind of thing."""
    return STEM + kind


def spell(word: str) -> dict[str, bytes]:
    """The bytes of a word in each writing, the letters of base64 that its neighbours change left out."""
    data = word.encode()
    spelled = {
        "UTF-8": data,
        "UTF-16": word.encode("utf-16-le"),
        "UTF-16, big end first": word.encode("utf-16-be"),
        "hexadecimal": data.hex().encode(),
    }
    for before in range(3):
        first, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        spelled[f"base64 after {before}"] = base64.b64encode(bytes(before) + data)[first:end]
    return spelled


def spell_embeddings(model: Embedder, texts: Iterable[str]) -> dict[str, bytes]:
    """Some bytes of the middle of the stored embedding of each text."""
    given = list(texts)
    encoded = encode_vectors(model.embed_documents(given).vectors)
    middles = (data[len(data) // 2 :][:SAMPLE] for data in encoded)
    return {f"embedding of {text[:40]}": middle for text, middle in zip(given, middles, strict=True)}


WRITINGS = spell(STEM)


def find_readable(folders: Sequence[Path], others: Mapping[str, bytes] | None = None) -> list[Readable]:
    """Whatever of `STEM` or of ``others`` can be read in files of these folders, or in their names."""
    return [
        found
        for folder in folders
        for path in sorted(folder.rglob("*"))
        for found in _search_file(path, str(path.relative_to(folder)), others or {})
    ]


def _search_file(path: Path, name: str, others: Mapping[str, bytes]) -> Iterator[Readable]:
    yield from search(name.encode(), name, {})
    try:
        data = path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return
    yield from search(data, name, others)
    for stream in _inflate_all(data):
        yield from (found._replace(writing=f"compressed {found.writing}") for found in search(stream, name))


def search(data: bytes, name: str, others: Mapping[str, bytes] | None = None) -> Iterator[Readable]:
    """What can be read among the bytes of a file."""
    for writing, spelled in WRITINGS.items():
        for found in re.finditer(re.escape(spelled), data):
            after = data[found.end() : found.end() + CONTEXT]
            yield Readable(name, writing, after.decode(errors="replace"))
    for what, sample in (others or {}).items():
        if sample in data:
            yield Readable(name, "as it is stored", what)


def _inflate_all(data: bytes) -> Iterator[bytes]:
    """What can be inflated from any place at which a stream may begin."""
    for found in STREAM.finditer(data):
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # zlib or gzip, by its header
        try:
            yield inflater.decompress(memoryview(data)[found.start() :], MAX_INFLATED)
        except zlib.error:
            continue


def is_random(data: bytes) -> bool:
    """Whether bytes look like random ones, as those of a cipher do: they cannot be compressed."""
    return len(data) < LEAST_BYTES or len(zlib.compress(data, 1)) >= LEAST_RANDOM * len(data)
