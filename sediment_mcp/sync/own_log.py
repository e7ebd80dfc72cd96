"""Write the log of this device: files are noted in the database, then get their names.

What the database notes and what the folder holds are brought together in three steps, each of which survives
a kill: (1) finished files lie in the folder under names that readers ignore, (2) one transaction notes what
they hold and that they wait, (3) they get their names, then files that they replace go. Whoever finds files
that wait carries out step 3, or gives everything anew if they are gone.

No number is used for two files. Where this database cannot know how far the own log has come, or the folder
has what it has never written, the log belongs to another one, as after a salvage, after an older database
came back, or where a data directory was copied: this device then takes a new name, and reads that log as any
other's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sediment_mcp.storage.sqlite.sync_tables import (
    ERASED,
    FILES,
    FORMER,
    GIVEN_SEQ,
    LOG_STATE,
    NUMBER,
    WAITING,
)
from sediment_mcp.sync import folder as folders
from sediment_mcp.sync.folder import (
    ABOUT_FILE,
    TEMPORARY_PREFIX,
    LogPath,
    format_name,
    read_about,
    writing,
)
from sediment_mcp.sync.log_file import join_lines
from sediment_mcp.sync.settings import DEVICE, SyncSettings
from sediment_mcp.system.files import create_private, publish, sync_directory, write_atomically
from sediment_mcp.transfer.encryption import encrypt_to_identity

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.storage.sqlite.session import SqliteSession

SUFFIX_BYTES = 2  # random, of a device's new name
SUFFIX = re.compile(r"-[0-9a-f]{4}$")
Note = tuple[str, int, int]  # of a file: its digest, its size, when it was written in ns


class FolderTaken(Exception):
    """Somebody else writes in the own folder; the next `OwnLog.recover` takes a new name."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that is finished and has no name yet.

    ``digest`` is that of its encrypted content, ``size`` and ``mtime_ns`` are what the folder says of it.
    """

    temporary: str
    name: str
    digest: str
    size: int
    mtime_ns: int


class OwnLog:
    """The own folder and what the database notes of it.

    Attributes:
        settings: with the name that the device has now.
        number: that of the last file.
        given_seq: up to this change of the database all was given.
    """

    def __init__(self, app: Application, settings: SyncSettings) -> None:
        self._app = app
        self.settings = settings
        self.number = 0
        self.given_seq = 0

    @property
    def path(self) -> Path:
        """The own folder."""
        return self.settings.folder / self.settings.device

    def files(self) -> list[LogPath]:
        """Return the own files, by their first number."""
        return folders.list_log(self.settings.folder, self.settings.device)

    # --- what a killed run has left ---------------------------------------------------------------

    def recover(self) -> None:
        """Finish what was begun, and find out whether the own folder is still that of this database."""
        with self._app.file.read() as session:
            values, seq = session.sync.settings(), session.changes.seq()
        self.number, self.given_seq = int(values.get(NUMBER, 0)), int(values.get(GIVEN_SEQ, 0))
        if self.given_seq > seq:  # the rows were written anew
            self.given_seq = 0
        with writing(self.settings.folder):
            self.path.mkdir(exist_ok=True)
        is_taken = NUMBER not in values  # lost in a salvage
        if WAITING in values:
            try:
                self._finish(json.loads(values[WAITING]))
            except FolderTaken:
                is_taken = True
        self._remove_unfinished()
        files = self.files()
        if is_taken or self._is_foreign(files):
            self._take_new_name()
            return
        self._remove_covered(files)
        if not folders.is_complete(files, self.number):
            self.start_over()

    def _finish(self, waiting: dict[str, Any]) -> None:
        """Give files that are noted their names; if one is gone, everything is given anew.

        Raises:
            FolderTaken: somebody else has a file of such a name there.
        """
        written = [WrittenFile(*each) for each in waiting["files"]]
        self._require_free(written)
        if all(self._publish(each) for each in written):
            with writing(self.settings.folder):
                for name in waiting["replaced"]:
                    (self.path / name).unlink(missing_ok=True)
                sync_directory(self.path)
            with self._app.file.write() as session:
                notes = _read_notes(session.sync.settings())
                kept = {name: note for name, note in notes.items() if name not in waiting["replaced"]}
                session.sync.set_settings({WAITING: None, FILES: json.dumps(kept)})
        else:
            self.start_over()

    def _publish(self, file: WrittenFile) -> bool:
        temporary, path = self.path / file.temporary, self.path / file.name
        with writing(self.settings.folder):
            if path.exists():
                return True
            if temporary.exists():
                publish(temporary, path)
                return True
            return False

    def _require_free(self, written: Iterable[WrittenFile]) -> None:
        """Check that no file would take the place of another.

        The name of a file is never used again.

        Raises:
            FolderTaken: it would.
        """
        with folders.reading(self.path):
            for file in written:
                path = self.path / file.name
                if path.exists() and _digest_file(path) != file.digest:
                    raise FolderTaken

    def _remove_unfinished(self) -> None:
        with writing(self.settings.folder):
            for name in os.listdir(self.path):
                if name.startswith(TEMPORARY_PREFIX) and name.endswith(".tmp"):
                    (self.path / name).unlink(missing_ok=True)

    def _remove_covered(self, files: Sequence[LogPath]) -> None:
        """Remove own files whose numbers another one has, as when a carrier brings them back."""
        with writing(self.settings.folder):
            for file in files:
                if _is_covered(file, files):
                    file.path.unlink(missing_ok=True)

    def _is_foreign(self, files: Sequence[LogPath]) -> bool:
        """Return True if somebody else has written in the own folder, or may have."""
        if any(file.last > self.number for file in files):
            return True
        about = read_about(self.settings.folder, self.settings.device, self.settings.identity)
        if about is not None and about.number > self.number:
            return True
        if not self.has_about and not folders.is_complete(files, self.number):
            return True  # it was emptied, and nothing says what had been there
        with self._app.file.read() as session:
            notes = _read_notes(session.sync.settings())
        own = [file for file in files if file.path.name in notes]
        if not all(file in own or _is_covered(file, own) for file in files):
            return True
        with folders.reading(self.path):
            found = {file.path.name: _look_up(file.path, notes[file.path.name]) for file in own}
        if any(note[0] != notes[name][0] for name, note in found.items()):
            return True
        if any(note != notes[name] for name, note in found.items()):  # carried, as to another disk
            with self._app.file.write() as session:
                session.sync.set_settings({FILES: json.dumps(notes | found)})
        return False

    def _take_new_name(self) -> None:
        """Leave the log to the other one, and give anew what this one has written there.

        Both may have written a number: of two such files one stays, and some device may have read the other.
        """
        base = SUFFIX.sub("", self.settings.device)
        device = f"{base}-{secrets.token_hex(SUFFIX_BYTES)}"
        with self._app.file.write() as session:
            former = read_former_logs(session) | {self.settings.device: self.number}
            values = {**dict.fromkeys(LOG_STATE), NUMBER: "0", FORMER: json.dumps(former), DEVICE: device}
            session.sync.set_settings(values)
            session.sync.forget_given()
        self.settings = replace(self.settings, device=device)
        self.number = self.given_seq = 0
        with writing(self.settings.folder):
            self.path.mkdir(exist_ok=True)

    def start_over(self) -> None:
        """Give everything anew, in files with numbers after the last one."""
        with self._app.file.write() as session:
            session.sync.forget_known()
            session.sync.set_settings({GIVEN_SEQ: None, WAITING: None})
        self.given_seq = 0

    # --- writing ----------------------------------------------------------------------------------

    def write(self, first: int, last: int, lines: Iterable[str]) -> WrittenFile:
        """Write a finished file that has no name yet."""
        encrypted = encrypt_to_identity(join_lines(lines), self.settings.identity)
        name = format_name(first, last)
        with writing(self.settings.folder):
            temporary, descriptor = create_private(self.path / f"{TEMPORARY_PREFIX}{name}")
            with os.fdopen(descriptor, "wb") as file:
                file.write(encrypted)
                file.flush()
                os.fsync(file.fileno())
                mtime_ns = os.fstat(file.fileno()).st_mtime_ns
        digest = hashlib.sha256(encrypted).hexdigest()
        return WrittenFile(temporary.name, name, digest, len(encrypted), mtime_ns)

    def commit(
        self,
        written: Sequence[WrittenFile],
        number: int,
        *,
        note: list[tuple[str, bytes, int]],
        erased: Iterable[str] = (),
        purged: Iterable[str] = (),
        replaced: Iterable[str] = (),
        given_seq: int | None = None,
    ) -> None:
        """Note what files hold, then give them their names.

        Args:
            written: the files; the last one has the highest number.
            number: that highest number.
            note: (item, digest, number of the file) of what they hold.
            erased: ids that they tell to be erased.
            purged: erased ids whose text no file holds any more.
            replaced: the names of files that go.
            given_seq: up to this change of the database all was given.

        Raises:
            FolderTaken: somebody else has a file of such a name there.
        """
        waiting = {"files": [astuple(each) for each in written], "replaced": list(replaced)}
        values: dict[str, str | None] = {NUMBER: str(number), WAITING: json.dumps(waiting)}
        if given_seq is not None:
            values[GIVEN_SEQ] = str(given_seq)
        try:
            self._require_free(written)
            present = {file.path.name for file in self.files()}
            with self._app.file.write() as session:
                notes = _read_notes(session.sync.settings())
                kept = {name: note for name, note in notes.items() if name in present}
                kept |= {each.name: (each.digest, each.size, each.mtime_ns) for each in written}
                values[FILES] = json.dumps(kept)
                session.sync.note_given(note)
                session.sync.note((memory_id, ERASED) for memory_id in erased)
                session.sync.forget_erased_given(purged)
                session.sync.set_settings(values)
        except BaseException:
            self.discard(written)
            raise
        self.number, self.given_seq = number, given_seq if given_seq is not None else self.given_seq
        self._finish(waiting)

    def discard(self, written: Iterable[WrittenFile]) -> None:
        """Remove files that nobody has noted."""
        for each in written:
            with contextlib.suppress(OSError):
                (self.path / each.temporary).unlink(missing_ok=True)

    def note_seq(self, seq: int) -> None:
        """Note that up to this change of the database all was given."""
        with self._app.file.write() as session:
            session.sync.set_settings({GIVEN_SEQ: str(seq)})
        self.given_seq = seq

    def write_about(self) -> None:
        """Say what this device is, and what its clock says."""
        about = folders.encrypt_about(
            self.settings.device, self.settings.identity, self._app.now(), self.number
        )
        with writing(self.settings.folder):
            write_atomically(self.path / ABOUT_FILE, about)

    @property
    def has_about(self) -> bool:
        """Whether the folder says what this device is."""
        return (self.path / ABOUT_FILE).exists()


def read_former_logs(session: SqliteSession) -> dict[str, int]:
    """Return by former name of this device the number up to which it wrote that log."""
    return json.loads(session.sync.settings().get(FORMER, "{}"))


def _read_notes(values: Mapping[str, str]) -> dict[str, Note]:
    """Return what is noted of the own files, by their names."""
    found: dict[str, list[Any]] = json.loads(values.get(FILES, "{}"))
    return {name: (digest, size, mtime_ns) for name, (digest, size, mtime_ns) in found.items()}


def _look_up(path: Path, note: Note) -> Note:
    """Return what is to be noted of a file; one of the noted size and time is not read."""
    found = path.stat()
    if (found.st_size, found.st_mtime_ns) == note[1:]:
        return note
    return _digest_file(path), found.st_size, found.st_mtime_ns


def _is_covered(file: LogPath, files: Iterable[LogPath]) -> bool:
    """Return True if another file has its numbers."""
    return any(other != file and other.first <= file.first and file.last <= other.last for other in files)


def _digest_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
