"""Tenants are opened when they are asked for, and closed when others are, but never in use."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.app import Application
from sediment_mcp.config import TENANTS, Config
from sediment_mcp.operations.arguments import ListMemories, StoreMemory, parse_arguments
from sediment_mcp.operations.list_memories import list_memories
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.server.http.caches import Cache, choose_surplus
from sediment_mcp.server.http.tenants import MEBIBYTE, Tenants


class Recorded(Application):
    """An application that refuses to be closed while it is in use."""

    users = 0
    is_closed = False

    def close(self) -> None:
        assert not self.users
        self.is_closed = True
        super().close()


class Unopened:
    """Stands for an application where only its place in the order matters."""

    def __init__(self, config: Config, **_: Any) -> None:
        self.name = config.tenant
        self.is_file = False  # so that nothing is synchronized

    def close(self) -> None:
        pass


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
    tenants = Tenants(Config(data_dir=Path("nowhere"), model="none"), limit, build=Unopened)  # type: ignore[arg-type]
    recent: list[str] = []
    for name in names:
        with tenants.use(name) as app:
            assert app.name == name  # type: ignore[attr-defined]
        recent = [*(one for one in recent if one != name), name][-limit:]
        assert [key.tenant for key in tenants._open] == recent
    tenants.close(1)
    assert tenants.count == 0


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


def test_members_share_the_open_team_which_stays_as_long_as_one_of_them(
    make_tenants: Callable[[int], Tenants],
) -> None:
    tenants = make_tenants(3)
    with tenants.use("ann", "shop") as ann, tenants.use("ben", "shop") as ben:
        assert isinstance(ann.team, Recorded)
        assert ann.team is ben.team
        team = ann.team
    with tenants.use("cleo"), tenants.use("dan"):
        assert not team.is_closed
    with tenants.use("ann", "shop") as ann:
        assert isinstance(ann.team, Recorded)
        assert not ann.team.is_closed
        store(ann.team, "Deploys run on Tuesdays.")
    tenants.close(1)
    assert team.is_closed


# --- caches over a database elsewhere -----------------------------------------------------------


def make_cache(config: Config, tenant: str, size: int, used_at: float) -> Path:
    folder = replace(config, tenant=tenant).store_dir
    (folder / "text").mkdir(parents=True)
    (folder / "text" / "segment").write_bytes(bytes(size))
    os.utime(folder, (used_at, used_at))
    return folder


def test_the_caches_used_longest_ago_go_first_and_those_of_open_tenants_stay(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path, model="none", database="postgresql://u@localhost/d")
    folders = [
        make_cache(config, name, MEBIBYTE, 1000.0 + age) for age, name in enumerate(("ann", "ben", "cleo"))
    ]
    tenants = Tenants(config, 4, cache_mb=2, build=Unopened)  # type: ignore[arg-type]
    with tenants.use("ann"):
        tenants.trim_caches()
    assert [folder.exists() for folder in folders] == [True, False, False]
    assert sorted(path.name for path in (tmp_path / TENANTS).iterdir()) == ["ann"]


def test_a_folder_with_memories_in_it_is_never_dropped_as_a_cache(tmp_path: Path) -> None:
    own = Config(data_dir=tmp_path, model="none")
    tenants = Tenants(own, 4)
    with tenants.use("ann") as app:
        store(app, "Nobody else has this.")
    tenants.close(1)
    config = replace(own, database="postgresql://u@localhost/d")
    cached = make_cache(config, "ben", MEBIBYTE, 1000.0)
    Tenants(config, 4, cache_mb=0).trim_caches()
    assert not cached.exists()
    with Tenants(own, 4).use("ann") as app:
        assert list_contents(app) == ["Nobody else has this."]
        app.close()


@given(sizes=st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=12), limit=st.integers(0, 200))
def test_no_more_caches_go_than_have_to(sizes: list[tuple[int, bool]], limit: int) -> None:
    caches = [Cache(str(age), Path(), size, age) for age, (size, _) in enumerate(sizes)]
    open_tenants = {str(age) for age, (_, is_open) in enumerate(sizes) if is_open}
    surplus = choose_surplus(caches, limit, open_tenants)
    rest = [cache for cache in caches if cache not in surplus]
    assert not open_tenants & {cache.tenant for cache in surplus}
    total = sum(cache.size for cache in rest)
    assert total <= limit or all(cache.tenant in open_tenants for cache in rest)
    assert not surplus or total + surplus[-1].size > limit
    closed = [cache.tenant for cache in caches if cache.tenant not in open_tenants]
    assert [cache.tenant for cache in surplus] == closed[: len(surplus)]
