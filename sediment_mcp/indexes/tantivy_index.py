"""The text index: BM25 over passages, in a tantivy snapshot that many processes read and one writes.

A folder holds the index and the pointer file ``text.json`` names the folder, so that a rebuilt index
takes the old one's place in one step. What the index has reached (sequence, token, mean length) stands in
a document of its own inside it, so it is committed together with the data.

tantivy's edges, all met in practice: its query parser crashes on hostile text, so queries are built from
terms; unsigned fields lose deletions, so numbers are signed; its panics are no `Exception`; bit flips go
unnoticed, so the segments' checksums are verified when an index is opened.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import struct
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sediment_mcp.domain.filters import NEVER, micros
from sediment_mcp.domain.memory import Filters, Memory
from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.analyzer import ANALYZER, analyzer
from sediment_mcp.system.files import make_private, read_record, stamp, write_record
from sediment_mcp.system.progress import Stopped

if TYPE_CHECKING:
    from datetime import datetime

    from tantivy import Index, Query, Schema, Searcher

POINTER = "text.json"
SETTINGS = f"tantivy-7 {ANALYZER} schema-2"
STATE = -1  # the number of the document that says what the index has reached
FOOTER_MAGIC = 1337
PARTS = 1000  # the mean length is kept in thousandths: an integer would never grow by small writes
SMALL_HEAP, LARGE_HEAP = 15_000_000, 50_000_000  # bytes; tantivy's minimum, and enough for a rebuild


@dataclass(frozen=True, slots=True)
class Passage:
    """What is indexed of a chunk."""

    chunk: int
    memory: Memory
    text: str


@dataclass(frozen=True, slots=True)
class TextHit:
    chunk: int
    memory: int
    score: float


class TextIndex:
    """An open snapshot, which stays as it is whatever others commit. ``seq``, ``token``, ``count`` (passages)
    and ``mean_length`` (terms a passage) say what it holds."""

    seq: int
    token: int
    count: int
    mean_length: float

    def __init__(self, directory: Path) -> None:
        """Open the snapshot that the pointer in the data directory names.

        Raises:
            DamagedSnapshot: there is none, or it cannot be trusted.
        """
        with _damage_noticed():
            self.folder = _current_folder(directory)
            _verify_checksums(self.folder)
            self._schema, self._index = _open(self.folder)
            self._read_state()

    def _read_state(self) -> None:
        import tantivy

        self._searcher: Searcher = self._index.searcher()
        hits = self._searcher.search(tantivy.Query.term_query(self._schema, "chunk", STATE), 1).hits
        if not hits:
            raise DamagedSnapshot("The text index does not say what it has reached: it is rebuilt.")
        address = [hits[0][1]]
        self.seq, self.token, mean = (
            int(self._searcher.fast_field_values(name, address)[0])  # pyright: ignore[reportArgumentType]
            for name in ("seq", "token", "mean_length")
        )
        self.mean_length = mean / PARTS
        self.count = self._searcher.num_docs - 1

    def frequency(self, term: str) -> int:
        """In how many passages the term occurs."""
        return self._searcher.doc_freq("body", term)

    def search(
        self, terms: Mapping[str, float], filters: Filters, now: datetime, limit: int
    ) -> list[TextHit]:
        """The passages that match any of the weighted terms, best first, by tantivy's BM25 (k1 1.2, b 0.75);
        the filter is exact as of this snapshot."""
        if not terms or limit < 1:
            return []
        query = self._query(terms, filters, now)
        with _damage_noticed():
            hits = self._searcher.search(query, limit, count=False).hits
            addresses = [address for _, address in hits]
            chunks = self._searcher.fast_field_values("chunk", addresses)
            memories = self._searcher.fast_field_values("memory", addresses)
        return [
            TextHit(int(chunk or 0), int(memory or 0), score)
            for (score, _), chunk, memory in zip(hits, chunks, memories, strict=True)
        ]

    def _query(self, terms: Mapping[str, float], filters: Filters, now: datetime) -> Query:
        import tantivy

        words = [
            (tantivy.Occur.Should, tantivy.Query.boost_query(self._term("body", term), weight))
            for term, weight in terms.items()
        ]
        rules = [
            (tantivy.Occur.Must, tantivy.Query.const_score_query(rule, 0.0))
            for rule in self._rules(filters, now)
        ]
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, tantivy.Query.boolean_query(words)), *rules])

    def _rules(self, filters: Filters, now: datetime) -> Iterator[Query]:
        yield self._range("expires_at", micros(now) + 1, None)
        if not filters.include_superseded:
            yield self._term("current", 1)
        if filters.scope != "all":
            yield self._term("project", _project(filters.project if filters.scope == "project" else None))
        if filters.kind is not None:
            yield self._term("kind", filters.kind)
        if filters.session is not None:
            yield self._term("session", filters.session)
        if filters.since is not None or filters.until is not None:
            yield self._range(
                "occurred_at",
                filters.since and micros(filters.since),
                filters.until and micros(filters.until),
            )
        for tag in filters.tags:
            yield self._term("tag", tag)

    def _term(self, field: str, value: str | int) -> Query:
        import tantivy

        return tantivy.Query.term_query(self._schema, field, value)

    def _range(self, field: str, lower: int | None, upper: int | None) -> Query:
        import tantivy

        return tantivy.Query.range_query(
            self._schema, field, tantivy.FieldType.Integer, -NEVER if lower is None else lower,
            NEVER if upper is None else upper, True, True,
        )  # fmt: skip


def stamp_of(directory: Path) -> tuple[object, object]:
    """What tells the snapshot on disk from the one before; raises OSError or ValueError without one."""
    return stamp(directory / POINTER), stamp(_current_folder(directory) / "meta.json")


def write_snapshot(
    directory: Path,
    base: TextIndex | None,
    passages: Iterable[Passage],
    changed: Iterable[int],
    *,
    seq: int,
    token: int,
) -> None:
    """Bring ``base`` to ``seq``: forget the ``changed`` memories, then add the ``passages``; without a base
    write a new snapshot beside the old one and put it in its place. The caller holds the index lock.

    Raises:
        DamagedSnapshot: tantivy did not commit what it was given.
    """
    folder = base.folder if base else directory / f"text-{secrets.token_hex(8)}"
    with _damage_noticed():
        schema, index = _open(folder, create=base is None)
        added = _commit(schema, index, passages, changed, seq=seq, token=token, base=base)
        make_private(folder)
        if base is None:
            write_record(directory / POINTER, {"folder": folder.name, "settings": SETTINGS, "built": seq})
        remove_old(directory)
    written = TextIndex(directory)
    if (written.seq, written.token) != (seq, token):
        raise DamagedSnapshot(
            f"The text index did not keep the {added} passages it was given: it is rebuilt."
        )


def _commit(
    schema: Schema,
    index: Index,
    passages: Iterable[Passage],
    changed: Iterable[int],
    *,
    seq: int,
    token: int,
    base: TextIndex | None,
) -> int:
    import tantivy

    writer = index.writer(SMALL_HEAP if base else LARGE_HEAP, 1)
    for memory in changed:
        writer.delete_documents_by_term("memory", memory)
    added = words = 0
    for passage in passages:
        words += len(analyzer().analyze(passage.text))
        added += 1
        writer.add_document(tantivy.Document.from_dict(_document(passage), schema))
    before, mean = (base.count, base.mean_length) if base else (0, 0)
    state = {
        "chunk": STATE,
        "memory": STATE,
        "seq": seq,
        "token": token,
        "mean_length": round(PARTS * (before * mean + words) / max(1, before + added)),
    }
    writer.delete_documents_by_term("chunk", STATE)
    writer.add_document(tantivy.Document.from_dict(state, schema))
    writer.commit()
    writer.wait_merging_threads()
    return added


def _document(passage: Passage) -> dict[str, Any]:
    memory = passage.memory
    return {
        "chunk": passage.chunk,
        "memory": memory.number,
        "body": passage.text,
        "kind": memory.kind,
        "project": _project(memory.project),
        "session": memory.session or [],
        "tag": list(memory.tags),
        "occurred_at": micros(memory.occurred_at),
        "expires_at": NEVER if memory.expires_at is None else micros(memory.expires_at),
        "current": int(memory.superseded_by is None),
    }


def _project(project: str | None) -> str:
    """A term for the project; a global memory's is one that no project can have."""
    return "global" if project is None else f"project {project}"


def _schema() -> Schema:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("body", tokenizer_name=ANALYZER)
    for name in ("kind", "project", "session", "tag"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in ("chunk", "memory", "occurred_at", "expires_at", "current", "seq", "token", "mean_length"):
        builder.add_integer_field(name, indexed=True, fast=True)
    return builder.build()


def _open(folder: Path, *, create: bool = False) -> tuple[Schema, Index]:
    import tantivy

    schema = _schema()
    if create:
        folder.mkdir(mode=0o700)
    elif not (folder / "meta.json").is_file():  # tantivy would make it an empty index
        raise DamagedSnapshot("The text index has lost its list of segments: it is rebuilt.")
    index = tantivy.Index(schema, path=str(folder))
    index.register_tokenizer(ANALYZER, analyzer())
    index.config_reader("manual")
    return schema, index


def _current_folder(directory: Path) -> Path:
    pointer = read_record(directory / POINTER)
    if pointer["settings"] != SETTINGS:
        raise DamagedSnapshot("The text index was written with other settings: it is rebuilt.")
    return directory / Path(pointer["folder"]).name


def _verify_checksums(folder: Path) -> None:
    """Compare each segment file with the CRC-32 in its footer: JSON, its length, and a magic number."""
    segments = json.loads((folder / "meta.json").read_bytes())["segments"]
    known = {str(segment["segment_id"]).replace("-", "") for segment in segments}
    for file in folder.iterdir():
        if file.name.partition(".")[0] not in known:
            continue
        data = file.read_bytes()
        length, magic = struct.unpack("<II", data[-8:])
        footer = json.loads(data[-8 - length : -8])
        if magic != FOOTER_MAGIC or zlib.crc32(data[: -8 - length]) != footer["crc"]:
            raise DamagedSnapshot(f"The text index's file {file.name} is damaged: it is rebuilt.")


@contextlib.contextmanager
def _damage_noticed() -> Generator[None]:
    """Anything at all that goes wrong with a snapshot means: rebuild it."""
    try:
        yield
    except (DamagedSnapshot, Stopped, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise DamagedSnapshot(f"The text index cannot be used ({error}): it is rebuilt.") from error


def is_anything_there(directory: Path) -> bool:
    """Whether there is any text index, be it the leavings of a crash."""
    return any(directory.glob("text-*"))


def remove(directory: Path) -> None:
    """Delete every text index, whatever its state."""
    (directory / POINTER).unlink(missing_ok=True)
    for folder in directory.glob("text-*"):
        shutil.rmtree(folder, ignore_errors=True)


def built_at(directory: Path) -> int:
    """The change from which the folder was written anew: what was erased before it has left no word in it;
    0 if nobody knows."""
    try:
        return int(read_record(directory / POINTER).get("built", 0))
    except (OSError, ValueError, TypeError):
        return 0


def remove_old(directory: Path) -> None:
    """Delete folders that the pointer does not name; readers keep what they have open."""
    current = _current_folder(directory)
    for folder in directory.glob("text-*"):
        if folder != current:
            shutil.rmtree(folder, ignore_errors=True)
