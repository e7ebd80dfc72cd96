"""The text index: the words of chunks in a tantivy snapshot.

Many processes read it, and one at a time writes it.

A folder holds the index and the pointer file ``text.json`` names the folder, so that a rebuilt index
takes the old one's place in one step. The state of the index (change, token, mean length) is a separate
document inside it, so it is committed together with the data.

Faults of tantivy, all met in practice: its query parser crashes on hostile text, so queries are built from
terms; unsigned fields lose deletions, so numbers are signed; its panics are no `Exception`; bit flips go
unnoticed, so the segments' checksums are verified (`segment_checksums`).
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tantivy

from sediment_mcp.domain.filters import NEVER, Filters
from sediment_mcp.domain.tags import fold_tag
from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.indexes.analyzer import ANALYZER_NAME, get_analyzer, split_into_tokens
from sediment_mcp.indexes.protocols import PHRASE_SCORE, IndexedChunk, TextHit
from sediment_mcp.indexes.segment_checksums import verify_checksums
from sediment_mcp.storage.table_protocols import SnapshotId
from sediment_mcp.system.files import make_private, read_record, read_stamp, write_record
from sediment_mcp.system.timestamps import to_micros

if TYPE_CHECKING:
    from datetime import datetime

    from tantivy import Index, IndexWriter, Query, Schema, Searcher

INDEX_NAME = "text"
POINTER, FOLDERS = "text.json", "text-*"
SETTINGS = f"tantivy-7 {ANALYZER_NAME} schema-2"
STATE_ID = -1  # the chunk id of the document that holds the state of the index
MEAN_LENGTH_UNIT = 1000  # stored in thousandths: rounded to an integer, it would not follow small writes
UPDATE_HEAP_BYTES, REBUILD_HEAP_BYTES = 15_000_000, 50_000_000  # tantivy's minimum; enough for a rebuild


class TantivyIndex:
    """An open snapshot, which does not change when others commit.

    ``mean_length`` is the mean number of terms in a chunk, ``folder`` the folder of the snapshot.
    """

    snapshot: SnapshotId
    mean_length: float

    def __init__(self, directory: Path) -> None:
        """Open the snapshot that the pointer in the data directory names.

        Raises:
            DamagedSnapshot: there is none, or it is damaged.
        """
        with _translate_unreadable_pointer():
            self.folder = _read_current_folder(directory)
        verify_checksums(self.folder)
        with _translate_tantivy_errors():
            self._schema, self._index = _open_folder(self.folder)
            self._searcher: Searcher = self._index.searcher()
            self._read_state()

    def _read_state(self) -> None:
        hits = self._searcher.search(self._build_term("chunk", STATE_ID), 1).hits
        if not hits:
            raise DamagedSnapshot("The text index does not say what it has reached: it is rebuilt.")
        address = [hits[0][1]]
        seq, token, mean = (
            int(self._searcher.fast_field_values(name, address)[0])  # pyright: ignore[reportArgumentType]
            for name in ("seq", "token", "mean_length")
        )
        self.snapshot = SnapshotId(seq, token)
        self.mean_length = mean / MEAN_LENGTH_UNIT

    def __len__(self) -> int:
        """Return the number of chunks."""
        return self._searcher.num_docs - 1

    def document_frequency(self, term: str) -> int:
        """Return in how many chunks the term occurs."""
        return self._searcher.doc_freq("body", term)

    def search(
        self,
        weights: Mapping[str, float],
        filters: Filters,
        now: datetime,
        limit: int,
        *,
        phrases: Sequence[Sequence[str]] = (),
    ) -> list[TextHit]:
        """Return the chunks that contain any of the weighted terms, best first.

        Scored by tantivy's BM25 (k1 1.2, b 0.75), and `PHRASE_SCORE` for each phrase; the filter is exact as
        of this snapshot.

        Raises:
            DamagedSnapshot: it turns out to be unreadable.
        """
        if not weights or limit < 1:
            return []
        with _translate_tantivy_errors():
            query = self._build_query(weights, phrases, filters, now)
            hits = self._searcher.search(query, limit, count=False).hits
            addresses = [address for _, address in hits]
            chunk_ids = self._searcher.fast_field_values("chunk", addresses)
            memory_keys = self._searcher.fast_field_values("memory", addresses)
        return [
            TextHit(int(chunk_id or 0), int(memory_key or 0), score)
            for (score, _), chunk_id, memory_key in zip(hits, chunk_ids, memory_keys, strict=True)
        ]

    def _build_query(
        self,
        weights: Mapping[str, float],
        phrases: Sequence[Sequence[str]],
        filters: Filters,
        now: datetime,
    ) -> Query:
        words = [
            (tantivy.Occur.Should, tantivy.Query.boost_query(self._build_term("body", term), weight))
            for term, weight in weights.items()
        ]
        words += [
            (tantivy.Occur.Should, tantivy.Query.const_score_query(self._build_phrase(phrase), PHRASE_SCORE))
            for phrase in phrases
        ]
        conditions = [
            (tantivy.Occur.Must, tantivy.Query.const_score_query(condition, 0.0))
            for condition in self._build_conditions(filters, now)
        ]
        any_word = tantivy.Query.boolean_query(words)
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, any_word), *conditions])

    def _build_conditions(self, filters: Filters, now: datetime) -> Iterator[Query]:
        yield self._build_range("expires_at", to_micros(now) + 1, None)
        if not filters.include_superseded:
            yield self._build_term("current", 1)
        if filters.scope != "all":
            project = filters.project if filters.scope == "project" else None
            yield self._build_term("project", _encode_project(project))
        if filters.kind is not None:
            yield self._build_term("kind", filters.kind)
        if filters.session is not None:
            yield self._build_term("session", filters.session)
        if filters.since is not None or filters.until is not None:
            yield self._build_range(
                "occurred_at",
                filters.since and to_micros(filters.since),
                filters.until and to_micros(filters.until),
            )
        for tag in filters.tags:
            yield self._build_term("tag", fold_tag(tag))

    def _build_term(self, field: str, value: str | int) -> Query:
        return tantivy.Query.term_query(self._schema, field, value)

    def _build_phrase(self, terms: Sequence[str]) -> Query:
        return tantivy.Query.phrase_query(self._schema, "body", list(terms))

    def _build_range(self, field: str, lower: int | None, upper: int | None) -> Query:
        return tantivy.Query.range_query(
            self._schema, field, tantivy.FieldType.Integer, -NEVER if lower is None else lower,
            NEVER if upper is None else upper, True, True,
        )  # fmt: skip


class TantivyWriter:
    """The files of the text index in a data directory.

    All methods but `open` and `stamp` need the index lock.
    """

    name = INDEX_NAME

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pointer: tuple[object, str] = None, ""  # as last read: its stamp, and the folder's name

    def stamp(self) -> tuple[object, object]:
        """Return a value that changes whenever the snapshot on disk, of any settings, is replaced.

        Raises:
            OSError or ValueError: there is none.
        """
        if (stamp := read_stamp(self._directory / POINTER)) != self._pointer[0]:
            self._pointer = stamp, Path(str(read_record(self._directory / POINTER).get("folder"))).name
        return stamp, read_stamp(self._directory / self._pointer[1] / "meta.json")

    def open(self) -> TantivyIndex:
        """Open the newest snapshot.

        Raises:
            DamagedSnapshot: there is none, or it is damaged.
        """
        return TantivyIndex(self._directory)

    def exists(self) -> bool:
        """Return True if there is any text index, even an unfinished one after a crash."""
        return any(self._directory.glob(FOLDERS))

    def built_seq(self) -> int:
        """Return the change at which the folder was last written without a base; 0 if unknown.

        No words of memories erased before it are in the folder.
        """
        try:
            return int(read_record(self._directory / POINTER).get("built", 0))
        except (OSError, ValueError, TypeError):
            return 0

    def write(
        self,
        base: TantivyIndex | None,
        added: Iterable[IndexedChunk],
        removed: Iterable[int],
        snapshot: SnapshotId,
    ) -> None:
        """Write ``snapshot`` from ``base``, or from an empty index.

        The ``removed`` memories are taken out first, then the ``added`` chunks are added. Without a base a
        new index is written beside the old one and replaces it. Errors that occur while the chunks are read
        are passed on unchanged.

        Raises:
            DamagedSnapshot: the base cannot be used, or tantivy did not commit what it was given.
        """
        folder = base.folder if base is not None else self._directory / f"text-{secrets.token_hex(8)}"
        if base is None:
            folder.mkdir(mode=0o700)
        with _translate_tantivy_errors():
            schema, index = _open_folder(folder, create=base is None)
        count = _commit(schema, index, base, added, removed, snapshot=snapshot)
        make_private(folder)
        if base is None:
            pointer = {"folder": folder.name, "settings": SETTINGS, "built": snapshot.seq}
            write_record(self._directory / POINTER, pointer)
        remove_old(self._directory, folder)
        if self.open().snapshot != snapshot:
            raise DamagedSnapshot(
                f"The text index did not keep all {count} of the passages it was given: it is rebuilt."
            )

    def remove(self) -> None:
        """Delete every text index, sound or not."""
        (self._directory / POINTER).unlink(missing_ok=True)
        _delete_folders(self._directory, but=None)


def _commit(
    schema: Schema,
    index: Index,
    base: TantivyIndex | None,
    added: Iterable[IndexedChunk],
    removed: Iterable[int],
    *,
    snapshot: SnapshotId,
) -> int:
    """Write one commit, and return the number of chunks added.

    Only tantivy's own errors are reported as damage.
    """
    with _translate_tantivy_errors():
        writer = index.writer(UPDATE_HEAP_BYTES if base is not None else REBUILD_HEAP_BYTES, 1)
    for memory_key in removed:
        with _translate_tantivy_errors():
            writer.delete_documents_by_term("memory", memory_key)
    count = terms = 0
    for chunk in added:
        tokens = split_into_tokens(chunk.text)
        terms += len(tokens)
        count += 1
        _add_document(writer, schema, _build_document(chunk, tokens))
    held, mean = (len(base), base.mean_length) if base is not None else (0, 0)
    state = {
        "chunk": STATE_ID,
        "memory": STATE_ID,
        "seq": snapshot.seq,
        "token": snapshot.token,
        "mean_length": round(MEAN_LENGTH_UNIT * (held * mean + terms) / max(1, held + count)),
    }
    with _translate_tantivy_errors():
        writer.delete_documents_by_term("chunk", STATE_ID)
        _add_document(writer, schema, state)
        writer.commit()
        writer.wait_merging_threads()
    return count


def _add_document(writer: IndexWriter, schema: Schema, document: dict[str, Any]) -> None:
    with _translate_tantivy_errors():
        writer.add_document(tantivy.Document.from_dict(document, schema))


def _build_document(chunk: IndexedChunk, tokens: Sequence[str]) -> dict[str, Any]:
    memory = chunk.memory
    return {
        "chunk": chunk.chunk_id,
        "memory": memory.key,
        "body": " ".join(tokens),
        "kind": memory.kind,
        "project": _encode_project(memory.project),
        "session": memory.session or [],
        "tag": [fold_tag(tag) for tag in memory.tags],
        "occurred_at": to_micros(memory.occurred_at),
        "expires_at": NEVER if memory.expires_at is None else to_micros(memory.expires_at),
        "current": int(memory.superseded_by is None),
    }


def _encode_project(project: str | None) -> str:
    """Return a term for the project; a global memory has one that no project can have."""
    return "global" if project is None else f"project {project}"


def _build_schema() -> Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("body", tokenizer_name=ANALYZER_NAME)
    for name in ("kind", "project", "session", "tag"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in ("chunk", "memory", "occurred_at", "expires_at", "current", "seq", "token", "mean_length"):
        builder.add_integer_field(name, indexed=True, fast=True)
    return builder.build()


def _open_folder(folder: Path, *, create: bool = False) -> tuple[Schema, Index]:
    if not create and not (folder / "meta.json").is_file():  # tantivy would create an empty index
        raise DamagedSnapshot("The text index has lost its list of segments: it is rebuilt.")
    schema = _build_schema()
    index = tantivy.Index(schema, path=str(folder))
    index.register_tokenizer(ANALYZER_NAME, get_analyzer())
    index.config_reader("manual")
    return schema, index


def _read_current_folder(directory: Path) -> Path:
    pointer = read_record(directory / POINTER)
    if pointer["settings"] != SETTINGS:
        raise DamagedSnapshot("The text index was written with other settings: it is rebuilt.")
    return directory / Path(pointer["folder"]).name


@contextlib.contextmanager
def _translate_unreadable_pointer() -> Generator[None]:
    """Raise DamagedSnapshot if the pointer is missing or malformed."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _describe_damage(error) from error


@contextlib.contextmanager
def _translate_tantivy_errors() -> Generator[None]:
    """Raise DamagedSnapshot for tantivy's errors and panics, so that the snapshot is rebuilt.

    All errors of tantivy are raised as ValueError. Only calls of tantivy belong inside. Text that is not
    valid Unicode is an error of the caller.
    """
    try:
        yield
    except UnicodeError:
        raise
    except (ValueError, RuntimeError) as error:
        raise _describe_damage(error) from error
    except BaseException as error:
        if not _is_panic(error):
            raise
        raise _describe_damage(error) from error


def _is_panic(error: BaseException) -> bool:
    """Return True for a panic inside an extension written in Rust.

    It is recognised by name, because its class cannot be imported.
    """
    return type(error).__name__ == "PanicException" and type(error).__module__ == "pyo3_runtime"


def _describe_damage(error: BaseException) -> DamagedSnapshot:
    return DamagedSnapshot(f"The text index cannot be used ({error}): it is rebuilt.")


def remove_old(directory: Path, current: Path) -> None:
    """Delete all text indexes but the ``current`` folder; open snapshots stay readable."""
    _delete_folders(directory, but=current)


def _delete_folders(directory: Path, but: Path | None) -> None:
    for folder in directory.glob(FOLDERS):
        if folder != but:
            shutil.rmtree(folder, ignore_errors=True)
