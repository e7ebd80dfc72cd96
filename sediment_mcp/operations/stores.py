"""The stores that a call asks: the caller's own, and that of the team if there is one.

A team's memories are the store of a tenant, opened as `Application.team`. All that joins the two is here and
in `search.joint_retrieval`; within a store, nothing knows of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, NoReturn

from sediment_mcp.config import TEAM as TEAM_VARIABLE
from sediment_mcp.domain.filters import Filters
from sediment_mcp.domain.memory import TEAM, Memory
from sediment_mcp.errors import BadArgument, UnknownMemory
from sediment_mcp.system.text import list_names
from sediment_mcp.system.timestamps import to_micros

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.search.retriever import Retrieval


MAX_KEY = 2**63 - 1  # the greatest that the storage engines hold; no memory has it


class StoredMemory(NamedTuple):
    """A memory, and the store that holds it."""

    memory: Memory
    store: Application


# --- which stores -------------------------------------------------------------------------------


def list_stores(app: Application) -> list[Application]:
    """Return the caller's own store, and then the team's if there is one."""
    return [app] if app.team is None else [app, app.team]


def select_stores(app: Application, scope: str) -> list[Application]:
    """Return the stores in which memories of a scope are looked for.

    Raises:
        BadArgument: the team's are asked for, and there is no team.
    """
    return list_stores(app) if scope == "all" else [choose_store(app, scope)]


def choose_store(app: Application, scope: str | None) -> Application:
    """Return the one store that a scope names: the team's for ``team``, else the caller's own.

    Raises:
        BadArgument: the team's is asked for, and there is no team.
    """
    if scope != TEAM:
        return app
    return app.team or _raise_no_team()


def _raise_no_team() -> NoReturn:
    raise BadArgument(
        f"scope is {TEAM}, and no team is known here: use another scope, or name the team with "
        f"{TEAM_VARIABLE}."
    )


# --- memories by their ids ----------------------------------------------------------------------


def find_by_id(
    stores: Iterable[Application], ids: Sequence[str], is_wanted: Callable[[Memory], bool]
) -> dict[str, StoredMemory]:
    """Return the wanted memories by id, each from the first of the stores that has it.

    Two stores have the same id where what one exported was imported into the other.
    """
    found: dict[str, StoredMemory] = {}
    for store in stores:
        missing = [memory_id for memory_id in ids if memory_id not in found]
        if missing:
            with store.storage.read() as session:
                memories = session.get(missing)
            found |= {key: StoredMemory(one, store) for key, one in memories.items() if is_wanted(one)}
    return found


def divide_ids(
    app: Application, ids: Sequence[str], is_wanted: Callable[[Memory], bool]
) -> Iterator[tuple[Application, list[str]]]:
    """Yield the stores with the ids to look for in each; the caller's own has the unknown ones."""
    if app.team is None:
        yield app, list(ids)
        return
    found = find_by_id([app, app.team], ids, is_wanted)
    of_team = [key for key in ids if key in found and found[key].store is not app]
    own = [key for key in ids if key not in of_team]
    if own or not of_team:
        yield app, own
    if of_team:
        yield app.team, of_team


def find_store(app: Application, memory_id: str) -> Application:
    """Return the store that knows an id, of an erased version too; if none does, one's own."""
    for store in list_stores(app) if app.team is not None else ():
        with store.storage.read() as session:
            if session.versions(memory_id):
                return store
    return app


def refuse_foreign(app: Application, store: Application, ids: Sequence[str]) -> None:
    """Refuse ids of memories that the other store has, and this one has not.

    Raises:
        UnknownMemory: there are such ids.
    """
    if app.team is None or not ids:
        return
    found = find_by_id([store, app if store is app.team else app.team], ids, lambda _: True)
    if foreign := [key for key, one in found.items() if one.store is not store]:
        whose, remedy = (
            ("the team", f"store with scope {TEAM}")
            if store is app
            else ("your own, not of the team", f"store with another scope than {TEAM}")
        )
        raise UnknownMemory(
            f"replaces names what is in another store, {list_names(foreign)}, a memory of {whose}: "
            f"{remedy} to correct it, or leave the id out. Nothing was stored."
        )


# --- pages --------------------------------------------------------------------------------------


class Position(NamedTuple):
    """Where a memory stands in the order of time: microseconds, its key, the place of its store.

    At the same time, the memories of a store stand together.
    """

    time: int
    key: int
    place: int = 0


def find_position(stores: Sequence[Application], stored: StoredMemory) -> Position:
    """Return where a memory of one of these stores stands."""
    return Position(to_micros(stored.memory.occurred_at), stored.memory.key, stores.index(stored.store))


def read_page(
    stores: Sequence[Application],
    filters: Filters,
    order: Literal["newest", "oldest"],
    limit: int,
    after: Position | None,
) -> tuple[list[StoredMemory], int]:
    """Return the next memories of these stores in the order of time, and the number of all."""
    now, total = stores[0].now(), 0
    found: list[StoredMemory] = []
    for place, store in enumerate(stores):
        with store.storage.read() as session:
            page = session.page(filters, now, order, limit, _continue_in(after, place))
            total += session.count(filters, now)
        found += [StoredMemory(memory, store) for memory in page]
    if len(stores) > 1:
        found.sort(key=lambda stored: _sort_key(find_position(stores, stored)), reverse=order == "newest")
    return found[:limit], total


def _sort_key(position: Position) -> tuple[int, int, int]:
    return position.time, position.place, position.key


def _continue_in(after: Position | None, place: int) -> tuple[int, int] | None:
    """Return after which (microseconds, key) a store at this place goes on.

    What another store has at that very moment comes wholly before or wholly after it.
    """
    if after is None:
        return None
    if place == after.place:
        return after.time, after.key
    return after.time, MAX_KEY if place < after.place else -1


# --- questions ----------------------------------------------------------------------------------


def retrieve(stores: Sequence[Application], text: str, filters: Filters, limit: int) -> Retrieval:
    """Return the memories of these stores that answer a query best, best first."""
    from sediment_mcp.search import joint_retrieval

    return joint_retrieval.retrieve([store.retriever for store in stores], text, filters, limit)


def join_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums of several counts by name, the greatest first."""
    joined: dict[str, int] = {}
    for count in counts:
        for name, value in count.items():
            joined[name] = joined.get(name, 0) + value
    return dict(sorted(joined.items(), key=lambda item: -item[1]))
