"""Faults put into the synchronization on purpose: each must be noticed by the histories of a few seeds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from sediment_mcp.domain import merging
from sediment_mcp.storage.sqlite.session import SqliteSession
from sediment_mcp.sync import merge
from sediment_mcp.sync.give import Giving
from sediment_mcp.sync.log_file import Extras, LogFile, UnreadableFile, open_file
from sediment_mcp.sync.merge import Merge
from sediment_mcp.sync.own_log import OwnLog, WrittenFile
from sediment_mcp.system.files import publish

Mutation = Callable[[], AbstractContextManager[object]]


def forget_what_is_erased() -> AbstractContextManager[object]:
    """What was erased here is taken over again from a log that still holds it."""
    original = Merge._take_file

    def take(self: Merge, file: LogFile) -> None:
        with patch.object(SqliteSession, "erased_ids", lambda _: set[str]()):
            original(self, file)

    return patch.object(Merge, "_take_file", take)


def leave_erased_unread() -> AbstractContextManager[object]:
    """What others have erased is not erased here."""
    return patch.object(Merge, "_take_erased", lambda *_: None)


def echo() -> AbstractContextManager[object]:
    """What was taken over is given again."""
    return patch.object(merge, "_list_agreed", lambda *_: [])


def note_position_first() -> AbstractContextManager[object]:
    """The position in a log is noted in a transaction of its own, before the file is taken over."""
    original = Merge._take_file

    def take(self: Merge, file: LogFile) -> None:
        with self._app.file.write() as session:
            session.sync.set_position(file.device, file.last)
        original(self, file)

    return patch.object(Merge, "_take_file", take)


def take_oldest() -> AbstractContextManager[object]:
    """Of two states of a memory the earlier one counts."""
    original = merging._take_newest

    def take(target: Any, other: Any) -> Any:
        older = original(other, target) if target.changed_at > other.changed_at else target
        return original(target, older) if older is target else merging.replace(target, **states(other))

    def states(other: Any) -> dict[str, Any]:
        names = ("tags", "metadata", "importance", "occurred_at", "expires_at", "deleted_at", "changed_at")
        return {name: getattr(other, name) for name in names}

    return patch.object(merging, "_take_newest", take)


def accept_half_a_file() -> AbstractContextManager[object]:
    """A file that cannot be opened yet counts as taken over."""

    def read(path: Any, device: str, identity: str) -> LogFile:
        try:
            return open_file(path, device, identity)
        except UnreadableFile:
            return LogFile(device, path.first, path.last, Extras(), [])

    return patch.object(merge, "open_file", read)


def skip_a_missing_file() -> AbstractContextManager[object]:
    """A file that is missing before another is not waited for."""
    return patch.object(
        merge.folders, "find_next", lambda files, position: [file for file in files if file.last > position]
    )


def leave_erased_in_the_log() -> AbstractContextManager[object]:
    """Files of the own log that hold what was erased stay."""
    return patch.object(Giving, "_compact", lambda _: None)


def write_in_a_foreign_log() -> AbstractContextManager[object]:
    """A data directory that was copied or set back goes on in the sub-folder that it finds."""

    def replace(self: OwnLog, file: WrittenFile) -> bool:
        publish(self.path / file.temporary, self.path / file.name)
        return True

    return patch.multiple(
        OwnLog, _is_foreign=lambda *_: False, _require_free=lambda *_: None, _publish=replace
    )


def write_elsewhere() -> AbstractContextManager[object]:
    """A device tidies up in the sub-folders of others."""
    original = OwnLog.recover

    def recover(self: OwnLog) -> None:
        original(self)
        for path in sorted(self.settings.folder.glob("*/*.age")):
            if path.parent != self.path:
                path.unlink()
                break

    return patch.object(OwnLog, "recover", recover)


def write_plain() -> AbstractContextManager[object]:
    """Files of the log are not sealed."""
    from sediment_mcp.sync import own_log

    return patch.object(own_log, "encrypt_to_identity", lambda data, _: data)


MUTATIONS: dict[str, Mutation] = {
    "forget-what-is-erased": forget_what_is_erased,
    "leave-erased-unread": leave_erased_unread,
    "echo": echo,
    "note-position-first": note_position_first,
    "take-oldest": take_oldest,
    "accept-half-a-file": accept_half_a_file,
    "skip-a-missing-file": skip_a_missing_file,
    "leave-erased-in-the-log": leave_erased_in_the_log,
    "write-in-a-foreign-log": write_in_a_foreign_log,
    "write-elsewhere": write_elsewhere,
    "write-plain": write_plain,
}
