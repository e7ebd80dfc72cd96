"""Synchronize once: take over what others have written, then write what they lack."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from sediment_mcp.background.jobs import SYNC_LOCK
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.kept_pairs import adopt_former_file
from sediment_mcp.storage.sqlite.sync_tables import GIVEN_SEQ
from sediment_mcp.sync import folder as folders
from sediment_mcp.sync.give import Giving
from sediment_mcp.sync.merge import Merge
from sediment_mcp.sync.own_log import FolderTaken, OwnLog
from sediment_mcp.sync.project_identity import load_project_names
from sediment_mcp.sync.report import SyncReport
from sediment_mcp.sync.settings import SyncSettings, read_settings, require_file
from sediment_mcp.system.locks import locked
from sediment_mcp.system.progress import Progress, ignore_progress

if TYPE_CHECKING:
    from sediment_mcp.app import Application

NOT_SET_UP = (
    "Nothing is synchronized here yet: begin with sediment-mcp sync init FOLDER, or with sediment-mcp sync "
    "join FOLDER if another device has begun."
)


class SyncEngine:
    """Synchronizes one store with a folder, as its settings say."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def run(self, progress: Progress = ignore_progress, *, timeout: float | None = None) -> SyncReport:
        """Take over what is new in the folder, then write there what is new here.

        It may be repeated, and ended at any moment. ``progress`` is called with files taken over, and then
        with memories written. ``timeout`` is how many seconds another process is waited for; None: as long
        as for any lock.

        Raises:
            BadArgument: nothing is synchronized, or the memories are on a server.
            Busy: another process synchronizes for too long.
            StorageError: the folder or the data directory is not there, full, or cannot be written.
            Stopped: ``progress`` asked for it; the next run goes on.
        """
        require_file(self._app)
        self._app.storage.open()
        self._app.file.assert_writable()
        with self.lock(timeout):
            return self._run(progress)

    def lock(self, timeout: float | None = None) -> AbstractContextManager[None]:
        """Let no other process synchronize this store; see `run`."""
        patience = self._app.config.tuning.lock_timeout if timeout is None else timeout
        return locked(self._app.config.store_dir / SYNC_LOCK, patience)

    def _run(self, progress: Progress) -> SyncReport:
        report = SyncReport()
        while True:
            settings = read_settings(self._app)
            if settings is None:
                raise BadArgument(NOT_SET_UP)
            with contextlib.suppress(FolderTaken):  # a new name is taken then
                self._run_as(settings, report, progress)
                return report

    def _run_as(self, settings: SyncSettings, report: SyncReport, progress: Progress) -> None:
        report.waiting.clear()
        folders.require_folder(settings.folder)
        adopt_former_file(self._app)
        log = OwnLog(self._app, settings)
        log.recover()
        if log.settings.device != settings.device:
            report.new_name = log.settings.device
        self._forget_missing_devices(log)
        names = load_project_names(self._app, log.settings)
        Merge(self._app, log.settings, names, report, progress).run()
        Giving(self._app, log, names, report, progress).run()

    def _forget_missing_devices(self, log: OwnLog) -> None:
        """Give anew what only the log of a device had whose files are no longer in the folder."""
        with self._app.file.read() as session:
            positions = session.sync.positions()
        missing = [device for device in positions if not folders.list_log(log.settings.folder, device)]
        if missing:
            with self._app.file.write() as session:
                for device in missing:
                    session.sync.remove_position(device)
                session.sync.forget_taken()
                session.sync.set_settings({GIVEN_SEQ: None})
            log.given_seq = 0
