"""Tenants are opened when they are asked for, and closed when others are, but never in use."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.operations.arguments import ListMemories, StoreMemory, parse_arguments
from sediment_mcp.operations.list_memories import list_memories
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.server.http.tenants import Tenants


class Recorded(Application):
    """An application that refuses to be closed while it is in use."""

    users = 0
    is_closed = False

    def close(self) -> None:
        assert not self.users
        self.is_closed = True
        super().close()


@pytest.fixture
def make_tenants(tmp_path: Path) -> Callable[[int], Tenants]:
    return lambda limit: Tenants(Config(data_dir=tmp_path, model="none"), limit, build=Recorded)


def store(app: Application, content: str) -> str:
    return store_memory(app, parse_arguments(StoreMemory, {"content": content}), None)["id"]


def list_contents(app: Application) -> list[str]:
    found = list_memories(app, parse_arguments(ListMemories, {"limit": 100}), None)
    return [memory["content"] for memory in found["memories"]]


def test_the_tenant_used_longest_ago_is_closed_first(make_tenants: Callable[[int], Tenants]) -> None:
    tenants = make_tenants(2)
    apps: dict[str, Any] = {}
    for name in ("ann", "ben", "ann", "cleo"):
        with tenants.use(name) as app:
            apps[name] = app
    assert (apps["ben"].is_closed, apps["ann"].is_closed) == (True, False)
    with tenants.use("ann") as app:
        assert app is apps["ann"]
    assert tenants.count == 2
    tenants.close(1)
    assert tenants.count == 0


def test_what_was_stored_is_there_when_a_tenant_is_opened_again(
    make_tenants: Callable[[int], Tenants],
) -> None:
    tenants = make_tenants(1)
    for name in ("ann", "ben"):
        with tenants.use(name) as app:
            store(app, f"This is {name}'s.")
    for name in ("ann", "ben"):
        with tenants.use(name) as app:
            assert list_contents(app) == [f"This is {name}'s."]
    tenants.close(1)


def test_tenants_in_use_stay_open_whatever_the_limit(make_tenants: Callable[[int], Tenants]) -> None:
    tenants = make_tenants(1)
    with tenants.use("ann") as ann, tenants.use("ben") as ben:
        assert tenants.count == 2
        store(ann, "first")
        store(ben, "second")
    with tenants.use("cleo"):
        assert tenants.count == 1
    tenants.close(1)


def test_a_tenant_with_a_team_is_another_one_than_without(make_tenants: Callable[[int], Tenants]) -> None:
    tenants = make_tenants(8)
    with tenants.use("ann") as alone, tenants.use("ann", "shop") as in_team:
        assert alone is not in_team
        assert (alone.config.team, in_team.config.team) == ("", "shop")
    tenants.close(1)


@given(names=st.lists(st.sampled_from("abcdef"), max_size=40), limit=st.integers(1, 4))
def test_no_more_than_the_limit_are_open_after_any_order_of_uses(names: list[str], limit: int) -> None:
    closed: list[str] = []

    class Unopened:
        def __init__(self, config: Config, **_: Any) -> None:
            self.name = config.tenant

        def close(self) -> None:
            closed.append(self.name)

    tenants = Tenants(Config(data_dir=Path("nowhere"), model="none"), limit, build=Unopened)  # type: ignore[arg-type]
    recent: list[str] = []
    for name in names:
        with tenants.use(name) as app:
            assert app.name == name  # type: ignore[attr-defined]
        recent = [*(one for one in recent if one != name), name][-limit:]
        assert [key for key, _ in tenants._open] == recent
    tenants.close(1)
    assert len(closed) >= len(set(names))


@pytest.mark.slow
def test_many_threads_never_use_a_closed_tenant(make_tenants: Callable[[int], Tenants]) -> None:
    tenants = make_tenants(3)
    failures: list[Exception] = []
    counting = threading.Lock()

    def work(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for number in range(25):
                name = chance.choice("abcdef")
                with tenants.use(name) as app:
                    assert isinstance(app, Recorded)
                    with counting:
                        app.users += 1
                    content = f"{name} {seed} {number}"
                    store(app, content)
                    assert content in list_contents(app)
                    assert all(text.startswith(name) for text in list_contents(app))
                    with counting:
                        app.users -= 1
        except Exception as error:  # noqa: BLE001 - a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tenants.close(5)
    assert failures == []
