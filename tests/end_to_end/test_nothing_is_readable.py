"""Nothing of what was said can be read in any file of an encrypted data directory, whatever happens to it.

The names of tenants are those of folders, and the marker names the key: neither is a secret.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.command_line import PROGRAM
from support.encryption import key_command, list_frames, make_encrypted, own_keys
from support.planted import HOSTS, PlantedStore, live
from support.readable import STEM, find_readable, is_random, plant, search, spell_embeddings
from support.stdio_peer import REPOSITORY, StdioPeer
from support.traces import traces

from sediment_mcp.config import AUDIT, PROJECT, QUESTIONS
from sediment_mcp.system import encrypted_file
from sediment_mcp.system.database_files import SQLITE_MAGIC
from sediment_mcp.system.directory_encryption import MAGIC, MARKER

pytestmark = pytest.mark.encrypt

MAGICS = (MAGIC, encrypted_file.MAGIC)
PLAIN = {
    "memories.db": {
        "content", "tag", "project", "session", "field", "metadata", "rule", "captured", "transcript",
        "asked", "question",
    },
    "backups/": {"content", "tag", "project", "session", "metadata", "rule", "captured"},
    "memories.damaged": {"content", "tag"},
    "questions.jsonl": {"question"},
    "projects.json": {"project"},
    "access.db": {"token"},
}  # fmt: skip
"""What can be read in which files of a plain directory that has lived: all that the search must find."""


@pytest.fixture(autouse=True)
def keys() -> Iterator[Path]:
    """Keep the keys of this test apart."""
    with own_keys() as folder:
        yield folder


def assert_nothing_is_readable(store: PlantedStore) -> None:
    assert store.find_readable() == []
    assert list(store.temporary.rglob("*")) == []
    for path in sorted(store.directory.rglob("*")):
        if path.is_file():
            assert is_sealed(path), f"{path.name} holds more than random bytes: {path.read_bytes()[:200]}"


def is_sealed(path: Path) -> bool:
    """Whether a file holds only what looks random, or nothing that anybody has said."""
    data = path.read_bytes()
    if path.name.endswith("-wal"):
        return is_random(b"".join(list_frames(data))) if data else True
    if path.suffix == ".db":
        return not data.startswith(SQLITE_MAGIC) and is_random(data)
    if path.name.endswith("-shm") or path.name in (MARKER, "kept-pairs.json"):
        return True  # numbers of pages; the key's id; ids of memories
    if path.suffix == ".jsonl":  # each line is encrypted by itself, and written as base64
        return all(is_random_file(base64.b64decode(line, validate=True)) for line in data.splitlines())
    return is_random_file(data)


def is_random_file(data: bytes) -> bool:
    """Whether all that follows what an encrypted file begins with looks random."""
    return not data or any(data.startswith(magic) and is_random(data[len(magic) :]) for magic in MAGICS)


def find_kinds(store: PlantedStore) -> dict[str, set[str]]:
    """By the beginning of a file's name, which of the words that are planted can be read there."""
    found = store.find_readable()
    return {
        name: {
            kind for kind in kinds
            if any(one.file.startswith(name) and one.text.startswith(kind) for one in found)
        }
        for name, kinds in PLAIN.items()
    }  # fmt: skip


# --- the search itself --------------------------------------------------------------------------

WRITTEN: dict[str, Callable[[str], bytes]] = {
    "UTF-8": str.encode,
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "compressed": lambda text: zlib.compress(text.encode()),
    "compressed by gzip": lambda text: gzip.compress(text.encode()),
}


@pytest.mark.parametrize("written", WRITTEN)
@given(before=st.text(max_size=5), after=st.text(max_size=5), around=st.tuples(st.binary(), st.binary()))
def test_the_search_finds_a_word_however_it_is_written(
    written: str, before: str, after: str, around: tuple[bytes, bytes]
) -> None:
    data = around[0] + WRITTEN[written](f"{before}{STEM}word{after}") + around[1]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "file").write_bytes(data)
        assert find_readable([Path(folder)])


@given(st.binary())
def test_the_search_finds_nothing_in_other_bytes(data: bytes) -> None:
    assert STEM.encode() in data or not list(search(data, "file", {}))


def test_the_search_finds_a_word_in_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / f"of-{STEM}").mkdir()
    assert [found.file for found in find_readable([tmp_path])] == [f"of-{STEM}"]


def test_all_that_was_said_can_be_read_in_a_plain_directory(tmp_path: Path) -> None:
    """The tests below can fail."""
    store = PlantedStore(tmp_path, is_encrypted=False)
    live(store)
    assert find_kinds(store) == PLAIN
    told = {found.text for found in store.find_readable() if found.writing == "as it is stored"}
    assert told == set(spell_embeddings(store.model, store.list_contents()))
    assert traces(store.directory, f"{STEM}content number")
    assert not all(is_sealed(path) for path in store.directory.rglob("*.np*"))
    store.close()


# --- an encrypted directory -----------------------------------------------------------------------


def test_nothing_can_be_read_in_an_encrypted_directory(tmp_path: Path) -> None:
    store = PlantedStore(tmp_path, is_encrypted=True)
    live(store)
    assert_nothing_is_readable(store)
    contents = store.list_contents()
    assert len(contents) > 15
    store.close()
    assert_nothing_is_readable(store)


def test_a_plain_directory_is_encrypted_and_decrypted_with_all_that_it_holds(tmp_path: Path) -> None:
    store = PlantedStore(tmp_path, is_encrypted=False)
    live(store)
    before = store.list_contents()
    store.encrypt()
    assert_nothing_is_readable(store)
    assert store.list_contents() == before
    live(store)
    assert_nothing_is_readable(store)
    before = store.list_contents()
    store.decrypt()
    assert not (store.directory / MARKER).exists()
    assert store.list_contents() == before
    live(store)
    assert find_kinds(store) == PLAIN
    before = store.list_contents()
    store.encrypt()
    store.reopen()
    assert store.list_contents() == before
    store.close()
    assert_nothing_is_readable(store)


# --- processes that are killed --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_servers_that_are_killed_leave_nothing_readable_and_lose_nothing(tmp_path: Path) -> None:
    """Their key is printed by a command, and they embed by the real model."""
    directory, temporary = tmp_path / "data", tmp_path / "temporary"
    temporary.mkdir()
    variables = key_command(make_encrypted(directory, "command"))
    variables |= {QUESTIONS: "keep", AUDIT: "texts", PROJECT: plant("project"), "TMPDIR": str(temporary)}
    stored: set[str] = set()
    for number in range(4):
        with StdioPeer(directory, environment=variables) as peer:
            peer.initialize()
            for kind in ("first", "second", "third"):
                text = f"{plant('content')} {kind} of {number} came to the harbour"
                answer = peer.call("store_memory", content=text, tags=[plant("tag")])
                assert answer["structuredContent"]["status"] == "stored"
                stored.add(text)
            peer.call("query_memory", query=f"{plant('question')} of {number}")
            peer.start_call("store_memory", content=f"{plant('content')} cut off in {number}")
            if number % 2:
                peer.call("list_memories")
            peer.process.kill()
            peer.wait()
        assert find_readable([directory, temporary]) == []
    with StdioPeer(directory, environment=variables) as peer:
        peer.initialize()
        listed = peer.call("list_memories", limit=100)["structuredContent"]["memories"]
        assert stored <= {memory["content"] for memory in listed}
        found = peer.call("query_memory", query="harbour", limit=100)["structuredContent"]["results"]
        assert stored <= {memory["content"] for memory in found}


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_an_encryption_that_is_killed_and_resumed_leaves_nothing_readable(tmp_path: Path) -> None:
    store = PlantedStore(tmp_path, is_encrypted=False)
    live(store)
    before, chance = store.list_contents(), random.Random(5)
    for _ in range(4):
        with subprocess.Popen(
            [*PROGRAM, "--data-dir", store.directory, "encrypt", "--yes", "--key", "file"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        ) as process:  # fmt: skip
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.3, 1.0))
            process.kill()
        assert store.list_contents() == before
    store.encrypt()
    assert_nothing_is_readable(store)
    assert store.list_contents() == before
    store.close()
    assert_nothing_is_readable(store)


# --- any order ------------------------------------------------------------------------------------


class Drawer(RuleBasedStateMachine):
    """A store to which anything happens in any order, encrypted or not from one moment to the next."""

    ids = Bundle("ids")
    host = st.integers(0, HOSTS - 1)

    @initialize(target=ids, is_encrypted=st.booleans(), count=st.integers(2, 8))
    def open(self, is_encrypted: bool, count: int) -> Any:
        self.base = Path(tempfile.mkdtemp(prefix="sediment-"))
        self.store = PlantedStore(self.base, is_encrypted=is_encrypted)
        self.is_encrypted = is_encrypted
        return multiple(*(self.store.store() for _ in range(count)))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            if not self.is_encrypted:
                self.encrypts()
            self.store.close()
            assert_nothing_is_readable(self.store)
            shutil.rmtree(self.base)

    @rule(target=ids, host=host, replaced=ids)
    def replaces(self, host: int, replaced: str) -> str:
        there = self.store.hosts[host].list(ids=[replaced])["memories"]
        return self.store.store(host, replaces=[memory["id"] for memory in there])

    @rule(target=ids, host=host, kind=st.sampled_from(["semantic", "episodic", "working"]))
    def stores(self, host: int, kind: str) -> str:
        return self.store.store(host, kind=kind)

    @rule(host=host, memory_id=ids)
    def deletes(self, host: int, memory_id: str) -> None:
        self.store.hosts[host].delete(memory_id)

    @rule(host=host, memory_id=consumes(ids))
    def erases(self, host: int, memory_id: str) -> None:
        self.store.hosts[host].delete(memory_id, permanent=True)

    @rule(host=host, memory_id=ids)
    def restores(self, host: int, memory_id: str) -> None:
        self.store.restore(memory_id, host)

    @rule(host=host)
    def asks(self, host: int) -> None:
        self.store.query(host)

    @rule(host=host, first=ids, second=ids)
    def keeps_both(self, host: int, first: str, second: str) -> None:
        if first != second:
            self.store.keep_pair(first, second, host)

    @rule(host=host)
    def captures(self, host: int) -> None:
        self.store.capture(host)

    @rule(host=host)
    def has_a_rule(self, host: int) -> None:
        self.store.set_rule(host)

    @rule(host=host)
    def backs_up(self, host: int) -> None:
        self.store.backup(host)

    @rule(host=host, number=st.integers(0, 5))
    def goes_back(self, host: int, number: int) -> None:
        self.store.restore_backup(number, host)

    @rule(host=host, days=st.sampled_from([0, 0, 1, 9, 31]))
    def works_behind(self, host: int, days: int) -> None:
        self.store.work_behind(host, days=days)

    @rule(host=host)
    def crashes(self, host: int) -> None:
        self.store.crash(host)

    @rule()
    def ends_and_starts(self) -> None:
        self.store.reopen()

    @rule(page=st.integers(0, 100))
    def is_damaged_and_mended(self, page: int) -> None:
        self.store.damage(page)

    @precondition(lambda self: not self.is_encrypted)
    @rule()
    def encrypts(self) -> None:
        before = self.store.list_contents()
        self.store.encrypt()
        self.is_encrypted = True
        assert self.store.list_contents() == before

    @precondition(lambda self: self.is_encrypted)
    @rule()
    def decrypts(self) -> None:
        before = self.store.list_contents()
        self.store.decrypt()
        self.is_encrypted = False
        assert self.store.list_contents() == before
        assert self.store.find_readable() or not before

    @invariant()
    def nothing_is_readable(self) -> None:
        if hasattr(self, "store") and self.is_encrypted:
            assert_nothing_is_readable(self.store)


@pytest.mark.slow
def test_nothing_can_be_read_whatever_happens_in_whatever_order() -> None:
    unhurried = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    amount = settings(deadline=None, suppress_health_check=unhurried, max_examples=12, stateful_step_count=30)
    run_state_machine_as_test(Drawer, settings=amount)
