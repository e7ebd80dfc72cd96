"""What is erased for good is in no file, also where SQLite itself would leave a piece of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.host import Host

from sediment_mcp.errors import DiskFull
from sediment_mcp.storage.sqlite.connection import SqliteDatabase
from sediment_mcp.storage.sqlite.secure_erase import has_remains

OpenHost = Callable[..., Host]


def live_through(host: Host, chance: random.Random, steps: int) -> list[str]:
    """Store texts of all lengths and erase some of them; returns the words that stood in those alone."""
    kept: dict[str, str] = {}
    erased: list[str] = []
    for number in range(steps):
        if kept and chance.random() < 0.35:
            word = chance.choice(sorted(kept))
            host.delete(kept.pop(word), permanent=True)
            erased.append(word)
        else:
            word = f"quux{number}zz{chance.randrange(10**9)}"
            kept[word] = host.store(f"{word} {'and after ' * int(10 ** chance.uniform(1, 2.3))}")["id"]
    return erased


def with_any_of(directory: Path, words: list[str]) -> dict[str, list[str]]:
    files = {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    found = {name: [word for word in words if word.encode() in data] for name, data in files.items()}
    return {name: left for name, left in found.items() if left}


@pytest.mark.parametrize("seed", [5, 7])  # with which SQLite 3.40 leaves a piece in the file
def test_no_file_holds_what_was_erased(open_host: OpenHost, seed: int) -> None:
    host = open_host(model=None)
    erased = live_through(host, random.Random(seed), 400)
    assert len(erased) > 100
    assert with_any_of(host.directory, erased) == {}


def test_no_file_holds_the_token_vectors_of_what_was_erased(open_host: OpenHost) -> None:
    """They are planted, so that bytes that no other text has can be looked for."""
    host = open_host()
    ids = [host.store(f"fact number {n} of many")["id"] for n in range(40)]
    planted = [f"token{n}of_a_secret".encode() * 64 for n in range(len(ids))]
    with host.app.storage.write() as session:
        for chunk_id, one in enumerate(planted, start=1):
            session.database.execute("UPDATE token_vectors SET vectors = ? WHERE chunk = ?", (one, chunk_id))
    host.app.backups.make()
    words = [f"token{n}of_a_secret" for n in range(len(ids))]
    assert with_any_of(host.directory, words)
    host.delete(*ids[::2], permanent=True)
    host.run_jobs()
    assert with_any_of(host.directory, words[::2]) == {}
    assert with_any_of(host.directory, words[1::2])


def test_where_the_disk_has_no_room_the_background_tries_again(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: SqliteDatabase) -> None:
        raise DiskFull("The disk is full.")

    host = open_host(model=None)
    with monkeypatch.context() as patched:
        patched.setattr(SqliteDatabase, "vacuum", full)
        erased = live_through(host, random.Random(1), 40)
        with host.app.storage.read() as session:
            assert has_remains(session)
    host.crash()
    host.run_jobs()
    assert with_any_of(host.directory, erased) == {}
    with host.app.storage.read() as session:
        assert not has_remains(session)
