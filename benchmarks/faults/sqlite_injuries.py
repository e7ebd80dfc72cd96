"""What is done to the disk, to the files and to the versions of servers that share a SQLite database."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from stdio_client import Server, close_input

from . import derived, shim
from .injuries import Hit, Scene, all_dead, excused, kill_now
from .slot import Slot

if TYPE_CHECKING:
    from .sqlite_backend import SqliteBackend

REFUSALS = ("newer sediment-mcp", "is no file but")  # the second, of a socket that it does not know yet
Injury = Callable[["SqliteBackend", Scene, Slot], Hit]

# --- disk ---------------------------------------------------------------------------------------


def full_disk(backend: SqliteBackend, scene: Scene, _: Slot) -> Hit:
    return excused(scene, scene.chance.uniform(0.5, 1.5), backend.disk.full())


def full_disk_and_kill(backend: SqliteBackend, scene: Scene, slot: Slot) -> Hit:
    with scene.common.excusing(), backend.disk.full():
        time.sleep(scene.chance.uniform(0.2, 0.8))
        slot.kill()
        time.sleep(1.0)
    return Hit(scene.slots, time.time())


def _failing(error: int, *sets: int) -> Injury:
    def injury(backend: SqliteBackend, scene: Scene, slot: Slot) -> Hit:
        assert scene.shim is not None
        calls, share = scene.chance.choice(sets), scene.chance.choice((0.02, 0.2, 1.0))
        hit = excused(scene, scene.chance.uniform(0.3, 1.2), scene.shim.failing(calls, error, share))
        if scene.chance.random() < 0.4:
            for one in scene.slots:
                one.kill()
        return hit

    return injury


def read_only_disk(backend: SqliteBackend, scene: Scene, _: Slot) -> Hit:
    """Nobody can be started on it and write; reading is tried, and refused in a clear sentence at worst."""
    with scene.common.excusing(), scene.pause():
        all_dead(scene)
        with backend.disk.read_only():
            for future in [slot.job(lambda slot: slot.try_everything()) for slot in scene.slots]:
                future.result(60)
            all_dead(scene)
    return Hit(scene.slots, time.time())


# --- files --------------------------------------------------------------------------------------


def transplant(backend: SqliteBackend, scene: Scene, _: Slot) -> Hit:
    with scene.pause():
        if scene.chance.random() < 0.5:
            all_dead(scene)
        derived.transplant(backend.foreign, backend.directory)
        return Hit(scene.slots, time.time())


def set_back(backend: SqliteBackend, scene: Scene, _: Slot) -> Hit:
    """Copy the database, let everybody go on, and put the copy back while the indexes are newer."""
    database, copy = backend.directory / "memories.db", scene.common.logs / "copy.db"
    with scene.pause():
        copy.unlink(missing_ok=True)
        with closing(backend.connect(database)) as source, closing(backend.connect(copy)) as target:
            source.backup(target)
        scene.common.history.add("kept")
    time.sleep(scene.chance.uniform(0.5, 3.0))
    with scene.pause():
        all_dead(scene)
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        shutil.copy(copy, database)
        scene.common.history.add("set back")
        return Hit(scene.slots, time.time())


# --- versions -----------------------------------------------------------------------------------


def other_version(backend: SqliteBackend, scene: Scene, slot: Slot) -> Hit:
    """For a while one slot runs another version of the package with the same schema."""
    slot.variables = {"PYTHONPATH": str(backend.other)}
    slot.kill()
    try:
        slot.right_answer(time.time()).result(45)
        time.sleep(scene.chance.uniform(0.5, 1.5))
    except TimeoutError:
        scene.common.history.complain("wrong", "the other version gives no right answer")
    finally:
        slot.variables = {}
    return kill_now(scene, slot)


def older_version(backend: SqliteBackend, scene: Scene, slot: Slot) -> Hit:
    """A version that knows only an older schema refuses, in a clear sentence, and harms nothing."""
    common = scene.common
    variables = {**slot.machine.variables, "PYTHONPATH": str(backend.older)}
    server = Server(common.command, slot.machine.directory, **variables)
    server.initialize()
    for tool, arguments in (
        ("store_memory", {"content": "An older version wrote this."}),
        ("query_memory", {"query": "older"}),
        ("list_memories", {}),
        ("delete_memory", {"ids": ["abc"], "permanent": True}),
    ):
        _, result = server.request("tools/call", {"name": tool, "arguments": arguments})
        sentence = result["content"][0]["text"]
        if not result.get("isError") or not any(why in sentence for why in REFUSALS):
            common.history.complain("wrong", f"an older version answers {tool}: {sentence[:200]}")
    server.end(close_input)
    return Hit([slot], time.time())


WRITING = (
    shim.SYNC,
    shim.WRITE,
    shim.RENAME,
    shim.WRITE | shim.SYNC | shim.RENAME | shim.OPEN,
    shim.EVERYTHING,
)
DISK: dict[str, Injury] = {
    "disk full": full_disk,
    "disk full, and kill -9": full_disk_and_kill,
    "started on a read-only disk": read_only_disk,
}
SYSTEM_CALLS: dict[str, Injury] = {
    "input/output errors": _failing(errno.EIO, *WRITING),
    "no space, from any call": _failing(errno.ENOSPC, *WRITING),
    "files turn read-only": _failing(errno.EROFS, shim.EVERYTHING),
}
FILES: dict[str, Injury] = {
    "indexes of another directory": transplant,
    "database set back": set_back,
}
OTHER: dict[str, Injury] = {"another version beside": other_version}
OLDER: dict[str, Injury] = {"an older schema beside": older_version}
