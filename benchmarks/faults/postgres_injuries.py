"""What is done to PostgreSQL, to the connections to it, and to the disks of both sides."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from . import proxy
from .injuries import TIMEOUT, Hit, Scene, all_dead, excused
from .slot import Slot

if TYPE_CHECKING:
    from .postgres_backend import PostgresBackend

Injury = Callable[["PostgresBackend", Scene, Slot], Hit]

# --- the database -------------------------------------------------------------------------------


def _restarted(how: signal.Signals) -> Injury:
    def injury(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
        return excused(scene, 0, _without_primary(backend, scene, how))

    return injury


@contextmanager
def _without_primary(backend: PostgresBackend, scene: Scene, how: signal.Signals) -> Iterator[None]:
    primary = backend.cluster.primary
    primary.stop(how)
    time.sleep(scene.chance.choice((0.0, 0.3, 2.0)))
    primary.start()
    backend.cluster.wait_for_standby()
    yield


def terminate_sessions(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
    with scene.common.excusing():
        backend.cluster.primary.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
    return Hit(scene.slots, time.time())


def fail_over(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
    """The primary dies and the standby takes over; a new standby is made afterwards."""
    cluster = backend.cluster
    with scene.common.excusing():
        cluster.primary.stop(signal.SIGKILL)
        time.sleep(scene.chance.choice((0.0, 0.5)))
        cluster.promote()
    hit = Hit(scene.slots, time.time())
    cluster.rebuild_standby()
    return hit


def fail_over_while_behind(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
    """The standby receives nothing for a while: what is acknowledged then would be lost with the primary."""
    cluster = backend.cluster
    with scene.common.excusing():
        cluster.standby.signal_processes("walreceiver", signal.SIGSTOP)
        time.sleep(scene.chance.uniform(1.0, backend.patience))
        cluster.primary.stop(signal.SIGKILL)
        cluster.standby.signal_processes("walreceiver", signal.SIGKILL)  # with what it has not read yet
        cluster.standby.stop(signal.SIGKILL)
        cluster.standby.start()
        cluster.promote()
    hit = Hit(scene.slots, time.time())
    cluster.rebuild_standby()
    return hit


def full_disk(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
    """Where even the log finds no room PostgreSQL ends; somebody starts it when there is room again."""
    primary = backend.cluster.primary
    with scene.common.excusing():
        with primary.disk.full():
            time.sleep(scene.chance.uniform(0.5, 2.0))
        if not primary.answers():
            primary.stop(signal.SIGQUIT)
            primary.start()
        backend.cluster.wait_for_standby()
    return Hit(scene.slots, time.time())


def set_back(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
    """The database becomes again what it was a while ago, as after a restore; caches are newer."""
    cluster, copy = backend.cluster, scene.common.logs / "copy"
    with scene.pause():
        cluster.primary.stop()
        shutil.rmtree(copy, ignore_errors=True)
        cluster.primary.copy_data(copy)
        cluster.primary.start()
        cluster.wait_for_standby()
        scene.common.history.add("kept")
    time.sleep(scene.chance.uniform(0.5, 3.0))
    with scene.pause():
        all_dead(scene)
        cluster.primary.stop()
        cluster.primary.take_data(copy)
        cluster.primary.start()
        cluster.rebuild_standby()
        scene.common.history.add("set back")
        return Hit(scene.slots, time.time())


# --- connections --------------------------------------------------------------------------------


def _cut(point: str) -> Injury:
    def injury(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
        with scene.common.excusing(), backend.proxy.armed(point) as failure:
            if failure.done.wait(TIMEOUT):
                scene.common.count("cuts")
        return Hit(scene.slots, time.time())

    return injury


def cut_all(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
    with scene.common.excusing():
        backend.proxy.cut_all()
    return Hit(scene.slots, time.time())


def refuse(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
    return excused(scene, scene.chance.choice((0.5, 3.0)), backend.proxy.refusing())


def hang(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
    """Nothing is forwarded and nothing closed: neither an error nor an end tells the servers of it."""
    return excused(scene, scene.chance.choice((1.0, 5.0, backend.patience + 5)), backend.proxy.hanging())


def hold_lock(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
    """A writer hangs in its transaction: the others are refused after a while, and readers not at all."""
    with scene.common.excusing(), backend.proxy.armed(proxy.HOLD_COMMIT) as failure:
        if failure.done.wait(TIMEOUT):
            scene.common.count("locks held")
            time.sleep(scene.chance.choice((1.0, backend.patience + 5)))
    return Hit(scene.slots, time.time())


def lose_notifications(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
    """They are hints: nothing may be refused or missed without them."""
    with ExitStack() as muted:
        for one in backend.proxies:
            muted.enter_context(one.muted())
        time.sleep(scene.chance.uniform(1.0, 3.0))
    return Hit(scene.slots, time.time())


# --- the machines of the servers ----------------------------------------------------------------


def full_cache(backend: PostgresBackend, scene: Scene, _: Slot) -> Hit:
    """The first machine has no room for its indexes; memories are kept elsewhere, so nothing is refused."""
    with backend.disk.full():
        time.sleep(scene.chance.uniform(0.5, 2.0))
    return Hit(scene.slots, time.time())


DATABASE: dict[str, Injury] = {
    "database restarted": _restarted(signal.SIGINT),
    "database ended at once": _restarted(signal.SIGQUIT),
    "kill -9 of the database": _restarted(signal.SIGKILL),
    "sessions terminated": terminate_sessions,
    "fail-over": fail_over,
    "fail-over while behind": fail_over_while_behind,
    "database set back": set_back,
}
CONNECTIONS: dict[str, Injury] = {
    "cut before COMMIT": _cut(proxy.BEFORE_COMMIT),
    "cut in COMMIT": _cut(proxy.IN_COMMIT),
    "cut after COMMIT": _cut(proxy.AFTER_COMMIT),
    "cut in rows": _cut(proxy.IN_ROWS),
    "all connections cut": cut_all,
    "connections refused": refuse,
    "connections hang": hang,
    "lock holder hangs": hold_lock,
    "notifications lost": lose_notifications,
}
DISKS: dict[str, Injury] = {"database's disk full": full_disk, "cache's disk full": full_cache}
