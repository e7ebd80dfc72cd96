"""What only the storage in PostgreSQL does; what it shares with the others is in the storage's contract."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import postgres
from support.host import QUIET, Host
from support.storage import NOW, new_memory

from sediment_mcp.config import Config
from sediment_mcp.errors import BadArgument, NewerDatabase, StorageError
from sediment_mcp.recall.reading import open_unchanged
from sediment_mcp.storage.postgres import connection as connections
from sediment_mcp.storage.postgres import database, migrations
from sediment_mcp.storage.postgres.adapters import escape_nul, unescape_nul
from sediment_mcp.storage.postgres.connection import Connection, connect
from sediment_mcp.storage.postgres.dialect import OWN_ROWS, TABLES, to_statement
from sediment_mcp.storage.postgres.storage import PostgresStorage

pytestmark = pytest.mark.postgres
TEXTS = st.text(st.sampled_from("\x00\x1a01a%?é\U0001f994"), max_size=12)


@pytest.fixture
def open_storage(tmp_path: Path) -> Iterator[Callable[..., PostgresStorage]]:
    """Return a function that opens a storage, of one tenant unless another is named."""
    tenant, opened = postgres.new_tenant(), list[PostgresStorage]()

    def open_one(name: str = tenant, url: str = "") -> PostgresStorage:
        directory = tmp_path / str(len(opened))
        opened.append(PostgresStorage(url or postgres.shared_url(), name, directory, QUIET))
        return opened[-1]

    yield open_one
    for storage in opened:
        storage.close()


# --- texts --------------------------------------------------------------------------------------


@given(TEXTS)
def test_a_text_with_nul_is_written_without_it_and_read_as_it_was(text: str) -> None:
    assert "\x00" not in escape_nul(text)
    assert unescape_nul(escape_nul(text)) == text


@given(TEXTS, TEXTS)
def test_only_equal_texts_are_written_equally(one: str, other: str) -> None:
    assert (escape_nul(one) == escape_nul(other)) == (one == other)


# --- statements ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sql", ["UPDATE memories SET seq = ?", "DELETE FROM tags WHERE memory = ?"])
def test_a_change_that_does_not_say_whose_rows_it_changes_is_refused(sql: str) -> None:
    with pytest.raises(RuntimeError, match="whose rows"):
        to_statement(sql)


def test_a_statement_reads_the_tenant_s_rows_of_every_table_that_it_names() -> None:
    for table in TABLES:
        assert f"sediment.{table} WHERE {OWN_ROWS}" in to_statement(f"SELECT 7 % 2 FROM {table} WHERE x = ?")
    assert to_statement("SELECT 7 % ? + ?") == "SELECT 7 % $1 + $2"


# --- round trips --------------------------------------------------------------------------------


def count_round_trips(call: Callable[[], object]) -> int:
    before = Connection.round_trips
    call()
    return Connection.round_trips - before


def test_a_query_waits_five_times_for_the_server_and_a_store_four_times(
    open_host: Callable[..., Host],
) -> None:
    words = [
        "word1",
        "banana",
        "cherry",
        "date",
        "elder",
        "fig",
        "grape",
        "hazel",
        "iris",
        "jade",
        "kiwi",
        "lemon",
        "mango",
        "nut",
    ]
    host = open_host()
    for number, (one, other) in enumerate(itertools.pairwise(words)):
        host.store(f"The {one} is beside the {other}", session="walk" if number % 2 else None)
    host.query("word1")
    host.query("word1")
    assert 0 < count_round_trips(lambda: host.query("word3 and word9")) <= 5
    assert 0 < count_round_trips(lambda: host.store("A wombat has eaten the roses of the neighbour")) <= 4
    assert 0 < count_round_trips(lambda: host.query("wombat")) <= 6, "the new text is read too"
    assert 0 < count_round_trips(lambda: host.store("The word1 is beside the word5, so to say")) <= 4
    assert 0 < count_round_trips(lambda: host.store("The word1 is beside the word5, so to say")) <= 7
    assert 0 < count_round_trips(lambda: host.query("word1")) <= 6


def test_a_store_holds_the_lock_for_two_round_trips(open_storage: Callable[..., PostgresStorage]) -> None:
    storage = open_storage()
    storage.open()

    def store() -> None:
        with storage.write() as session:
            session.find_by_content_hash(b"x", "semantic", None, NOW)
            session.add(new_memory("A text", tags=("a", "b")))

    assert count_round_trips(store) == 2


# --- a COMMIT without an answer -------------------------------------------------------------------


@pytest.mark.parametrize("arrives", [True, False])
def test_a_commit_whose_answer_was_lost_is_looked_up(
    open_storage: Callable[..., PostgresStorage], monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    storage = open_storage()
    send_all = Connection.send_all

    def lose(self: Connection, statements: Any) -> Any:
        if statements[-1] is not database.COMMIT or len(statements) < 3:
            return send_all(self, statements)
        monkeypatch.setattr(Connection, "send_all", send_all)
        if arrives:
            send_all(self, statements)
        self.close()
        return send_all(self, statements)

    with storage.write() as session:
        session.add(new_memory("Before"))
    monkeypatch.setattr(Connection, "send_all", lose)
    if arrives:
        with storage.write() as session:
            session.add(new_memory("Whose answer is lost"))
    else:
        with pytest.raises(StorageError, match="nothing was changed"), storage.write() as session:
            session.add(new_memory("Whose answer is lost"))
    with storage.read() as session:
        assert session.changes.count_memories() == 1 + arrives
        assert session.changes.seq() == 1 + arrives


def test_a_commit_that_cannot_be_looked_up_is_said_to_be_unknown(
    open_storage: Callable[..., PostgresStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage()
    storage.open()
    monkeypatch.setattr(database, "ASKING_SECONDS", 0.0)
    send_all = Connection.send_all

    def lose(self: Connection, statements: Any) -> Any:
        if statements[-1] is database.COMMIT and len(statements) > 2:
            self.close()
            monkeypatch.setattr("sediment_mcp.storage.postgres.pool.connect", refuse)
        return send_all(self, statements)

    def refuse(url: str) -> Connection:
        raise connections.BrokenConnection("The database server cannot be reached: check that it runs.")

    monkeypatch.setattr(Connection, "send_all", lose)
    with pytest.raises(StorageError, match="not known whether"), storage.write() as session:
        session.add(new_memory("Whose answer is lost"))


def test_a_connection_that_died_while_nobody_used_it_costs_no_call(
    open_storage: Callable[..., PostgresStorage],
) -> None:
    storage = open_storage()
    with storage.write() as session:
        session.add(new_memory("A text"))
    with postgres.shared_server().connect(postgres.ADMIN) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sediment-mcp'"
        )
    with storage.read() as session:
        assert session.changes.count_memories() == 1
    with storage.write() as session:
        session.add(new_memory("Another text"))


# --- roles and schema ---------------------------------------------------------------------------


def test_a_role_that_policies_do_not_bind_is_refused(open_storage: Callable[..., PostgresStorage]) -> None:
    server = postgres.shared_server()
    storage = open_storage(url=server.url(server.new_database(), postgres.ADMIN))
    with pytest.raises(StorageError, match="give servers a role of their own"):
        storage.open()


def test_a_role_that_may_not_make_the_tables_is_told_what_to_run(
    open_storage: Callable[..., PostgresStorage],
) -> None:
    server = postgres.shared_server()
    name = server.new_database()
    with server.connect(postgres.ADMIN, name) as admin:
        admin.execute("CREATE ROLE guest LOGIN")
    with pytest.raises(StorageError, match="sediment-mcp database upgrade"):
        open_storage(url=server.url(name, "guest")).open()
    assert migrations.upgrade(server.url(name), "guest") == (0, len(migrations.MIGRATIONS))
    with open_storage(url=server.url(name, "guest")).write() as session:
        assert session.add(new_memory("A text")).memory.key == 1


def test_a_newer_schema_is_refused(open_storage: Callable[..., PostgresStorage]) -> None:
    server = postgres.shared_server()
    url = server.url(server.new_database())
    open_storage(url=url).open()
    with closing(connect(url)) as connection:
        connection.run("UPDATE sediment.schema_version SET version = version + 1")
    with pytest.raises(NewerDatabase), closing(connect(url)) as connection:
        migrations.prepare(connection)


# --- snapshots ----------------------------------------------------------------------------------


def test_nine_machines_do_not_make_one_another_s_snapshots_unknown(
    open_storage: Callable[..., PostgresStorage],
) -> None:
    storages = [open_storage() for _ in range(9)]
    announced = []
    for _ in range(3):
        for storage in storages:
            with storage.write() as session:
                session.add(new_memory("A text"))
                announced.append(session.snapshots.register("text"))
    with storages[0].read() as session:
        assert all(session.snapshots.knows("text", snapshot) for snapshot in announced)
        assert session.snapshots.reached("text") == announced[-9].seq


def test_tokens_of_a_cache_that_nobody_writes_any_more_go(
    open_storage: Callable[..., PostgresStorage],
) -> None:
    gone, other = open_storage(), open_storage()
    with gone.write() as session:
        old = session.snapshots.register("text")
        session.database.execute(f"UPDATE snapshots SET registered_at = 0 WHERE {OWN_ROWS}")
    with other.write() as session:
        new = session.snapshots.register("text")
    with other.read() as session:
        assert [session.snapshots.knows("text", one) for one in (old, new)] == [False, True]


def test_what_is_read_ahead_is_what_is_read(open_storage: Callable[..., PostgresStorage]) -> None:
    storage = open_storage()
    with storage.write() as session:
        stored = [session.add(new_memory(f"Text {n}")).memory for n in range(3)]
    ids = [memory.id for memory in stored]
    with storage.read() as session:
        assert session.prefetch(lambda: session.get(ids), lambda: list(session.changes.memories_since(1)))
        trips = count_round_trips(
            lambda: (session.get(ids), list(session.changes.memories_since(1)), session.changes.seq())
        )
        assert trips == 0
        assert session.get(ids) == {memory.id: memory for memory in stored}
        assert [memory.id for memory in session.changes.memories_since(1)] == ids[1:]
    with storage.write() as session:
        session.prefetch(lambda: session.get(ids[:1]))
        session.update(replace(stored[0], importance=0.9), NOW)
        assert session.get(ids[:1])[ids[0]].importance == 0.9


# --- what a file has ------------------------------------------------------------------------------


def test_what_is_only_done_to_a_file_says_what_takes_its_place(open_host: Callable[..., Host]) -> None:
    app = open_host().app
    for part in ("backups", "file"):
        with pytest.raises(BadArgument, match="pg_dump"):
            getattr(app, part)


def test_what_is_read_unchanged_writes_down_no_tenant(tmp_path: Path) -> None:
    name = postgres.new_tenant()
    config = Config(tmp_path / "data", database=postgres.shared_url(), tenant=name)
    with pytest.raises(StorageError, match="Nothing is stored for the tenant"):
        open_unchanged(config)
    assert not config.store_dir.exists()
    with PostgresStorage(config.database, name, config.store_dir, QUIET).write() as session:
        session.add(new_memory("A text"))
    with closing(open_unchanged(config)) as storage, storage.read() as session:
        assert session.changes.count_memories() == 1
