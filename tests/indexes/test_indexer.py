"""Snapshots are written on what is sound of the old ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.embedding_double import DIMENSION
from support.host import Host

from sediment_mcp.errors import DamagedDatabase
from sediment_mcp.indexes import indexer
from sediment_mcp.indexes.quantized_index import QuantizedIndex, QuantizedWriter
from sediment_mcp.indexes.tantivy_index import TantivyIndex
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.storage.sql.changes import SqlChangeFeed

pytestmark = pytest.mark.over_both

# --- what goes wrong while a snapshot is written ------------------------------------------------


def test_a_vector_index_that_is_damaged_after_its_check_is_written_anew(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = host.app.model.get()
    assert embedder is not None
    model = embedder.identity
    ids = [host.store(f"kiwi number{n}")["id"] for n in range(6)]
    host.app.services.indexer.write_vectors(model)
    host.store("kiwi number6")
    write, bases = QuantizedWriter.write, list[bool]()

    def damage_first(writer: QuantizedWriter, base: QuantizedIndex | None, *others: Any) -> None:
        bases.append(base is not None)
        if base is not None:
            (matrix,) = host.files.glob("vectors-*.npy")
            with matrix.open("r+b") as there:
                there.seek(-1, 2)
                there.write(b"\0")
        write(writer, base, *others)

    monkeypatch.setattr(QuantizedWriter, "write", damage_first)
    host.app.services.indexer.write_vectors(model)
    assert bases == [True, False]
    assert len(QuantizedIndex(host.files, model.fingerprint, DIMENSION)) == 7
    host.crash()
    assert host.found_by_meaning("kiwi number2") == {ids[2]}


def test_a_text_index_that_is_damaged_after_its_check_is_written_anew(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.store("kiwi one")
    host.app.services.indexer.write_text()
    host.store("kiwi two")
    announce = indexer.Indexer._announce

    def damage_then_announce(self: indexer.Indexer, name: str, session: ReadSession) -> Any:
        for folder in host.files.glob("text-*"):
            (folder / "meta.json").write_bytes(b"{")
        return announce(self, name, session)

    monkeypatch.setattr(indexer.Indexer, "_announce", damage_then_announce)
    host.app.services.indexer.write_text()
    assert len(TantivyIndex(host.files)) == 2
    assert len(list(host.files.glob("text-*"))) == 1


def test_a_damaged_database_is_not_taken_for_a_damaged_index(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing would be mended by writing the index anew."""
    host.store("kiwi one")
    asked: list[int] = []

    def damaged(_: SqlChangeFeed, seq: int) -> Iterator[Any]:
        asked.append(seq)
        raise DamagedDatabase("The database is damaged: restore a backup.")
        yield

    monkeypatch.setattr(SqlChangeFeed, "memories_since", damaged)
    with pytest.raises(DamagedDatabase):
        host.app.services.indexer.write_text()
    assert len(asked) == 1
