"""Whoever asks for what has changed since a number misses no row, while others commit, roll back and die."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import postgres
from support.storage import new_memory

from sediment_mcp.errors import StorageError
from sediment_mcp.storage.protocols import MemoryStorage

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

Ending = Literal["commit", "roll back", "die"]
Plan = Sequence[tuple[int, Ending]]  # the transactions of a writer: how many rows, and how it ends

WRITERS = 8
ENDINGS: tuple[Ending, ...] = ("commit", "commit", "roll back", "die")
PLANS = st.lists(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from(ENDINGS)), min_size=1, max_size=6),
    min_size=WRITERS,
    max_size=WRITERS,
)
UNDISTURBED: Sequence[Plan] = [[(3, "commit")] * 25] * WRITERS


class RolledBack(Exception):
    """A transaction ended on purpose."""


class Feed(Protocol):
    """Numbered rows that several connections write."""

    def write(self, names: Sequence[str], ending: Ending) -> None:
        """Write the rows in one transaction, whose end may be an error."""
        ...

    def since(self, number: int) -> tuple[list[str], int]:
        """The rows after a number, and the last number."""
        ...


class Memories:
    """Memories of a tenant."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    def write(self, names: Sequence[str], ending: Ending) -> None:
        with self._storage.write() as session:
            for name in names:
                session.add(new_memory(name, id=name))
            if ending == "roll back":
                raise RolledBack
            if ending == "die":
                postgres.kill_connection(session.database.scalar("SELECT pg_backend_pid()"))

    def since(self, number: int) -> tuple[list[str], int]:
        with self._storage.read() as session:
            return [memory.id for memory in session.changes.memories_since(number)], session.changes.seq()


class PlainSequence:
    """Rows numbered by a sequence of the server, as the feed must not be."""

    def __init__(self, database: str) -> None:
        self._database = database
        with postgres.shared_server().connect(database=database) as connection:
            connection.execute("CREATE TABLE feed (number bigserial PRIMARY KEY, name text)")

    def write(self, names: Sequence[str], ending: Ending) -> None:
        with (
            postgres.shared_server().connect(database=self._database) as connection,
            connection.transaction(),
        ):
            for name in names:
                connection.execute("INSERT INTO feed (name) VALUES (%s)", (name,))
            if ending == "roll back":
                raise RolledBack

    def since(self, number: int) -> tuple[list[str], int]:
        with postgres.shared_server().connect(database=self._database) as connection:
            rows = connection.execute("SELECT name, number FROM feed WHERE number > %s", (number,)).fetchall()
        return [name for name, _ in rows], max((number for _, number in rows), default=number)


def carry_out(feed: Feed, writer: int, plan: Plan) -> list[str]:
    """Carry out a writer's plan; returns what was acknowledged."""
    acknowledged: list[str] = []
    for step, (count, ending) in enumerate(plan):
        names = [f"w{writer}s{step}n{number}" for number in range(count)]
        try:
            feed.write(names, ending)
        except (RolledBack, StorageError):
            assert ending != "commit"
        else:
            assert ending == "commit"
            acknowledged += names
    return acknowledged


def find_skipped(feed: Feed, plans: Sequence[Plan]) -> set[str]:
    """Let a reader read while all write; returns what is there and was never read."""
    read: list[str] = []
    last = 0
    with ThreadPoolExecutor(len(plans)) as threads:
        writers = [threads.submit(carry_out, feed, writer, plan) for writer, plan in enumerate(plans)]
        while not all(writer.done() for writer in writers):
            new, last = feed.since(last)
            read += new
    read += feed.since(last)[0]
    there = set(feed.since(0)[0])
    assert there == set(itertools.chain.from_iterable(writer.result() for writer in writers))
    assert len(read) == len(set(read)), "nothing is read twice"
    return there - set(read)


@given(plans=PLANS)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_the_change_feed_never_skips(open_tenant: Callable[[], MemoryStorage], plans: Sequence[Plan]) -> None:
    assert find_skipped(Memories(open_tenant()), plans) == set()


def test_the_change_feed_never_skips_what_many_write_at_once(
    open_tenant: Callable[[], MemoryStorage],
) -> None:
    assert find_skipped(Memories(open_tenant()), UNDISTURBED) == set()


def test_a_plain_sequence_does_skip() -> None:
    """The check can fail: a number given first may be committed last."""
    feed = PlainSequence(postgres.shared_server().new_database())
    assert find_skipped(feed, UNDISTURBED) != set()
