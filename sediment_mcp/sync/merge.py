"""Take over the logs of other devices.

What is erased is read first, from all files that can be read, and then the logs file by file, each in one
transaction with its position in the log. A file that cannot be opened yet, or that is missing before another,
ends the turn of its device and of no other.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sediment_mcp.background.audit import forget_queries_about
from sediment_mcp.storage.sqlite.sync_tables import ERASED, MERGED_SEQ
from sediment_mcp.sync import folder as folders
from sediment_mcp.sync.digests import (
    State,
    digest_kept_pair,
    digest_memory,
    digest_project_pair,
    digest_rule,
    name_kept_pair,
    name_project_pair,
    name_rule,
)
from sediment_mcp.sync.folder import LogPath
from sediment_mcp.sync.log_file import LogFile, UnreadableFile, open_file
from sediment_mcp.sync.own_log import read_former_logs
from sediment_mcp.sync.project_identity import list_kept_names
from sediment_mcp.sync.project_pairs import adopt_project_pair, rank_owner
from sediment_mcp.transfer.exporter import READ_AT_ONCE
from sediment_mcp.transfer.import_report import ImportReport
from sediment_mcp.transfer.importer import merge_repeated, take_over
from sediment_mcp.transfer.prepare import PreparedMemory, prepare_exported
from sediment_mcp.transfer.records import split_into_batches

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.domain.memory import Memory
    from sediment_mcp.storage.sqlite.session import SqliteSession
    from sediment_mcp.sync.project_identity import ProjectNames
    from sediment_mcp.sync.report import SyncReport
    from sediment_mcp.sync.settings import SyncSettings
    from sediment_mcp.system.progress import Progress

logger = logging.getLogger(__name__)


class Merge:
    """One pass over the logs of all other devices."""

    def __init__(
        self,
        app: Application,
        settings: SyncSettings,
        names: ProjectNames,
        report: SyncReport,
        progress: Progress,
    ) -> None:
        self._app = app
        self._settings = settings
        self._names = names
        self._report = report
        self._progress = progress
        self._done = self._total = 0  # files
        self._former: dict[str, int] = {}
        self._superseded: dict[tuple[str, str], bytes] = {}
        """(Memory, device) -> digest of what the device's log says last of it, if that is superseded."""

    def run(self) -> None:
        """Take over what is new.

        Raises:
            Stopped: the progress asked for it; what was taken over by then is on disk.
        """
        devices = [
            device
            for device in folders.list_devices(self._settings.folder)
            if device != self._settings.device
        ]
        with self._app.file.read() as session:
            positions = session.sync.positions()
            self._former = read_former_logs(session)
        self._total = 2 * sum(len(self._list_new(device, positions.get(device, 0))) for device in devices)
        self._take_erased(devices, positions)
        for device in devices:
            self._take_log(device, positions.get(device, 0))
        if not self._report.waiting:
            self._merge_repeated()
        self._note_superseded()

    def _list_new(self, device: str, position: int) -> list[LogPath]:
        files = folders.list_log(self._settings.folder, device)
        return [file for file in files if file.last > position]

    def _advance(self) -> None:
        self._done += 1
        self._progress(min(self._done, self._total), self._total)

    def _is_read_by_all(self, device: str, first: int) -> bool:
        """Return True if whoever reads a log reads what it holds from this number on.

        Of a log that was this device's own another file of this number may have been read, which this device
        wrote itself. Then what is taken over is given again.
        """
        return first > self._former.get(device, 0)

    # --- what is erased ---------------------------------------------------------------------------

    def _take_erased(self, devices: Sequence[str], positions: dict[str, int]) -> None:
        told, held = set[str](), set[str]()
        for device in devices:
            for file in self._list_new(device, positions.get(device, 0)):
                erased = set(self._read_erased(file, device))
                told |= erased
                held |= erased if self._is_read_by_all(device, file.first) else set()
        if not told:
            return
        with self._app.file.read() as session:
            known = session.sync.digests(sorted(told))
            told = {memory_id for memory_id in told if known.get(memory_id) != ERASED}
            unerased = told - session.erased_ids()
            are_here = bool(session.get(sorted(unerased)))
        if told:
            self._erase(told, held, are_here=are_here)

    def _read_erased(self, file: LogPath, device: str) -> Iterator[str]:
        self._advance()
        try:
            yield from open_file(file, device, self._settings.identity).extras.erased
        except UnreadableFile:
            return  # the log's own turn says so

    def _erase(self, told: set[str], held: set[str], *, are_here: bool) -> None:
        with self._app.file.write(secure_erase=are_here) as session:
            new = sorted(told - session.erased_ids())
            memories = list(session.get(new).values())
            for memory in memories:
                session.erase(memory)
            session.record_erased(new)
            session.sync.note((memory_id, ERASED) for memory_id in sorted(told & held))
            forget_queries_about(session, memories)
        self._report.erased += len(memories)
        if memories:
            self._app.services.erasure.purge(memory.content for memory in memories)

    # --- logs ---------------------------------------------------------------------------------

    def _take_log(self, device: str, position: int) -> None:
        """Take over a device's files one after the other, as far as they can be read."""
        reason: str | None = None
        while reason is None:
            new = self._list_new(device, position)
            if not new:
                return
            following = folders.find_next(new, position)
            reason = f"file {position + 1} is missing, and is not carried here yet"
            for path in following:
                self._advance()
                try:
                    self._take_file(open_file(path, device, self._settings.identity))
                except UnreadableFile as error:
                    reason = f"{path.path.name} {error}"
                else:
                    position, reason = path.last, None
                    break
        self._report.waiting.append((device, reason))

    def _take_file(self, file: LogFile) -> None:
        """Take over a file in one transaction, which notes that it was.

        Raises:
            UnreadableFile: a memory in it cannot be read; nothing of it was taken over.
        """
        prepared = [
            prepare_exported(file.device, memory, memory.project and self._names.to_local(memory.project))
            for memory in file.memories()
        ]
        has_vectors = any(memory.exported and memory.exported.vectors for memory in prepared)
        embedder = self._app.model.get() if has_vectors else None
        done = ImportReport()
        with self._app.file.write() as session:
            erased = session.erased_ids()
            wanted = [memory for memory in prepared if memory.id not in erased]
            take_over(self._app, session, wanted, embedder, done)
            here = session.get([memory.id for memory in wanted])
            told = self._take_owners(session, wanted, here)
            states = _list_agreed(told, here)
            rules = self._take_rules(session, file, states)
            kept = self._take_kept_pairs(session, file, states)
            self._take_project_pairs(session, file, states)
            if is_read_by_all := self._is_read_by_all(file.device, file.first):
                session.sync.note(states)
            session.sync.set_position(file.device, file.last)
        self._keep_superseded(file.device, wanted, told if is_read_by_all else ())
        for _, sentence in done.skipped:
            logger.warning("A memory of the device %s %s", file.device, sentence)
        self._report.taken += done.imported + done.updated
        self._report.rules += rules
        self._report.kept_pairs += kept

    def _take_owners(
        self, session: SqliteSession, taken: Sequence[PreparedMemory], here: Mapping[str, Memory]
    ) -> list[PreparedMemory]:
        """Let memories have the same project everywhere; return those that had no better one here.

        Two devices may know a memory under two projects, as where one had imported an export of the other
        before, with the other's path. All choose the same of their shared names; where that is the one here,
        the others have to be told.
        """
        told: list[PreparedMemory] = []
        moved: dict[str | None, list[Memory]] = defaultdict(list)
        for memory in taken:
            known, project = here.get(memory.id), memory.memory.project
            order = 0 if known is None else self._compare_owners(project, known.project)
            if order <= 0:
                told.append(memory)
            if known is not None and order < 0:
                moved[project].append(known)
        for project, memories in moved.items():
            ids = [memory.id for memory in memories]
            session.assign_project(ids, [memory.key for memory in memories], project)
            session.sync.note_better(ids)
        return told

    def _compare_owners(self, one: str | None, other: str | None) -> int:
        """Return -1 if the first of two projects is better for a memory, 1 if the other is."""
        ranks = [
            rank_owner(name and self._names.to_shared(self._names.to_local(name))) for name in (one, other)
        ]
        return (ranks[0] > ranks[1]) - (ranks[0] < ranks[1])

    def _take_project_pairs(self, session: SqliteSession, file: LogFile, states: list[State]) -> None:
        """Join projects as on the other device, for what is in the files that follow too.

        A log that was written anew tells of a pair before another log tells of what has the former name.
        What came is added to ``states``.
        """
        if not file.extras.projects:
            return
        for pair in file.extras.projects:
            adopt_project_pair(session, pair)
            states.append((name_project_pair(pair), digest_project_pair(pair)))
        self._names.replace_known(list_kept_names(session))

    def _merge_repeated(self) -> None:
        """Merge memories that say the same, once all logs were taken over.

        In the middle of them, a text may look current that another log has replaced.
        """
        with self._app.file.read() as session:
            merged = int(session.sync.settings().get(MERGED_SEQ, 0))
            seq = session.changes.seq()
            changed = [memory.id for memory in session.changes.memories_since(merged if merged <= seq else 0)]
        if not changed:
            return
        done = ImportReport()
        with self._app.file.write() as session:
            merge_repeated(self._app, session, changed, done)
            session.sync.set_settings({MERGED_SEQ: str(seq)})
        self._report.taken += done.merged

    def _take_rules(self, session: SqliteSession, file: LogFile, states: list[State]) -> int:
        """Let the later change of each rule count; return how many were changed.

        What is here as it came is added to ``states``.
        """
        if not file.extras.rules:
            return 0
        session.retention.date_changes(self._app.now())
        own = {(change.subject, change.folded_name): change for change in session.retention.changes()}
        taken = 0
        for change in file.extras.rules:
            present = own.get((change.subject, change.folded_name))
            if present is None or change.rank > present.rank:
                session.retention.adopt(change)
                taken += 1
            if present is None or change.rank >= present.rank:
                states.append((name_rule(change), digest_rule(change)))
        return taken

    @staticmethod
    def _take_kept_pairs(session: SqliteSession, file: LogFile, states: list[State]) -> int:
        """Keep the pairs of both devices; return how many are new, and add what came to ``states``."""
        if not file.extras.kept_pairs:
            return 0
        own = {(pair.first_id, pair.second_id): pair.kept_at for pair in session.kept_pairs.list_all()}
        new = [
            pair
            for pair in file.extras.kept_pairs
            if pair.kept_at > own.get((pair.first_id, pair.second_id), pair.kept_at - 1)
        ]
        session.kept_pairs.add(new)
        states += [(name_kept_pair(pair), digest_kept_pair(pair)) for pair in new]
        return sum((pair.first_id, pair.second_id) not in own for pair in new)

    # --- what only a later file brings about --------------------------------------------------------

    def _keep_superseded(
        self, device: str, taken: Sequence[PreparedMemory], told: Sequence[PreparedMemory]
    ) -> None:
        """Keep what a log says of superseded memories, for `_note_superseded`."""
        for memory in taken:
            self._superseded.pop((memory.id, device), None)
        for memory in told:
            if memory.memory.superseded_by is not None:
                self._superseded[memory.id, device] = digest_memory(memory.memory)

    def _note_superseded(self) -> None:
        """Note which superseded memories are now as the last line of some log has them.

        By which of two memories another is superseded depends on which of the two are here. So after a later
        file it may be as a log says that was read before, and need not be given again.
        """
        held: dict[str, set[bytes]] = defaultdict(set)
        for (memory_id, _), digest in self._superseded.items():
            held[memory_id].add(digest)
        states: list[State] = []
        with self._app.file.read() as session:
            for ids in split_into_batches(sorted(held), READ_AT_ONCE):
                known = session.sync.digests(ids)
                here = {memory.id: digest_memory(memory) for memory in session.get(ids).values()}
                states += [
                    (memory_id, digest)
                    for memory_id, digest in here.items()
                    if digest != known.get(memory_id) and digest in held[memory_id]
                ]
        if states:
            with self._app.file.write() as session:
                session.sync.note(states)


def _list_agreed(taken: Sequence[PreparedMemory], here: Mapping[str, Memory]) -> list[State]:
    """Return (id, digest) of what is here as the other device has it, and needs no answer."""
    states = [(memory.id, digest_memory(memory.memory)) for memory in taken]
    return [
        (memory_id, digest)
        for memory_id, digest in states
        if memory_id in here and digest_memory(here[memory_id]) == digest
    ]
