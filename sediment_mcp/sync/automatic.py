"""Synchronize beside the calls of a server, where the settings say so.

The background gives what has changed here and takes what is new in the folder, at intervals. A call that
looks for memories does not wait for that: it first looks whether the folder holds more than was taken over,
and lets that be taken over, for at most a fraction of a second. So a host finds what another device has
stored at the first query after the folder has it; what takes longer than that, it finds a little later.

Nothing here imports the engine before there is something for it to do.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from sediment_mcp.background.interval import Interval
from sediment_mcp.errors import SedimentError, Stopped
from sediment_mcp.sync.settings import SyncSettings, read_settings
from sediment_mcp.system.progress import Progress, ignore_progress

if TYPE_CHECKING:
    from sediment_mcp.app import Application

Listing = frozenset[tuple[str, str, int]]
"""The files of the other devices' logs: device, name, size in bytes."""

REST = timedelta(minutes=5)
"""At most, between two runs: rules and kept pairs that change alone are given then."""

GRANULE = 3.0
"""Seconds; two changes of a directory this near may leave the same time on it, on FAT within two."""

logger = logging.getLogger(__name__)


def synchronize_automatically(app: Application) -> None:
    """Let a server's application synchronize while the settings of its store say so.

    It reads them by itself from time to time, so that they may change while it runs.
    """
    if not app.is_file:
        return
    automatic = Automatic(app)
    app.add_job(automatic.run)
    app.before_query = automatic.look


class Automatic:
    """The synchronization of one application in the background and before its queries."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._interval = Interval(timedelta(seconds=app.config.tuning.sync_seconds))
        self._rest = Interval(REST)
        self._timer: threading.Timer | None = None
        self._is_told = False
        self._reading = threading.Lock()  # guards the settings
        self._settings: SyncSettings | None = None
        self._read_at: float | None = None
        self._looking = threading.Lock()  # guards the look that is under way
        self._look: threading.Event | None = None
        self._running = threading.Lock()  # held by whoever synchronizes in this process
        self._tried: Listing = frozenset()
        """What was there at the last run, though not all of it may have been taken over."""
        self._waiting: Listing = frozenset()
        self._times: dict[str, int] = {}
        """When each device's directory was changed, as seen at the last look, in ns."""
        self._times_since = 0.0
        self._is_settled = False
        """Whether all was taken over, and nothing can have come since that leaves the times as they are."""
        self._noted: set[str] = set()

    # --- in the background --------------------------------------------------------------------

    def run(self, progress: Progress) -> None:
        """Give and take whatever there is, unless that was done a moment ago.

        Raises:
            Stopped: ``progress`` asked for it.
        """
        settings = self._read_settings(is_fresh=True)
        if settings is None:
            return
        if not self._interval.is_due(self._app.now()):
            self._wake_later()
            return
        with self._running:
            try:
                if self._has_changes() or self._find_news(settings) or self._rest.is_due(self._app.now()):
                    self._synchronize(settings, progress, None)
            except Stopped:
                raise
            except (SedimentError, OSError) as error:  # such as a folder that is not there at the moment
                logger.log(logging.DEBUG if self._is_told else logging.WARNING, "Not synchronized: %s", error)
                self._is_told = True
            else:
                self._is_told = False

    def _wake_later(self) -> None:
        """Let the background look again once the interval has passed, which else rests for longer."""
        if self._timer is None or not self._timer.is_alive():
            self._timer = threading.Timer(self._app.config.tuning.sync_seconds, self._app.wake)
            self._timer.daemon = True
            self._timer.start()

    def _has_changes(self) -> bool:
        """Return whether memories have changed here since all were given."""
        from sediment_mcp.storage.sqlite.sync_tables import GIVEN_SEQ

        with self._app.file.read() as session:
            return session.sync.settings().get(GIVEN_SEQ) != str(session.changes.seq())

    def _synchronize(self, settings: SyncSettings, progress: Progress, timeout: float | None) -> None:
        from sediment_mcp.sync.engine import SyncEngine

        self._interval.start(self._app.now())
        self._rest.start(self._app.now())
        listing = self._list(settings)
        report = SyncEngine(self._app).run(progress, timeout=timeout)
        self._tried = listing
        if not report.given:  # the interval is between files, so nothing has to wait for this run
            self._interval.reset()

    # --- before a query -----------------------------------------------------------------------

    def look(self, project: str | None) -> None:
        """Take over what is new in the folder, in the time that a query has for it.

        After that a thread goes on. It is one of its own, because a folder on another machine can take
        minutes to answer.
        """
        try:
            settings = self._read_settings()
        except SedimentError:  # the call that follows fails in the same way, and says so
            return
        if settings is None:
            return
        end = time.monotonic() + self._app.config.tuning.sync_wait_seconds
        while (left := end - time.monotonic()) > 0:
            with self._looking:
                former = self._look
                if former is None or former.is_set():
                    look = self._look = threading.Event()
                    self._start(lambda: self._take_news(settings, project), look)
                    break
            former.wait(left)  # it may have listed the folder before this query began
        else:
            return
        look.wait(max(0.0, end - time.monotonic()))

    def _start(self, work: Callable[[], None], ended: threading.Event) -> None:
        def run() -> None:
            try:
                work()
            except (SedimentError, OSError) as error:
                logger.debug("Nothing was taken over before a query: %s", error)
            except Exception:
                logger.exception("Nothing was taken over before a query")
            finally:
                ended.set()

        threading.Thread(target=run, name="synchronize", daemon=True).start()

    def _take_news(self, settings: SyncSettings, project: str | None) -> None:
        self._note_project(settings, project)
        if not self._find_news(settings):
            return
        timeout = self._app.config.tuning.sync_wait_seconds
        if not self._running.acquire(timeout=timeout):
            return
        try:
            self._synchronize(settings, ignore_progress, timeout)
        finally:
            self._running.release()

    def _note_project(self, settings: SyncSettings, project: str | None) -> None:
        """Let what other devices store in this project be this project's here too."""
        if project is None or project in self._noted:
            return
        from sediment_mcp.sync.project_identity import note_project

        if note_project(self._app, settings, project):
            self._app.opened_projects.pop(project, None)  # so that it takes over what is there
        self._noted.add(project)

    # --- what is there ------------------------------------------------------------------------

    def _read_settings(self, *, is_fresh: bool = False) -> SyncSettings | None:
        """Return the settings as of a moment ago; None unless they say that servers synchronize."""
        with self._reading:
            now, age = time.monotonic(), self._app.config.tuning.sync_seconds
            if is_fresh or self._read_at is None or now - self._read_at >= age:
                settings = read_settings(self._app)
                self._settings = settings if settings and settings.is_automatic else None
                self._read_at = now
            return self._settings

    def _find_news(self, settings: SyncSettings) -> bool:
        """Return whether there are files that were neither taken over nor tried."""
        times, now = _read_times(settings), time.monotonic()
        if times != self._times:
            self._times, self._times_since, self._is_settled = times, now, False
        if self._is_settled:
            return False
        is_new = self._has_new(settings)
        self._is_settled = not self._waiting and now - self._times_since > GRANULE
        return is_new

    def _has_new(self, settings: SyncSettings) -> bool:
        from sediment_mcp.sync.folder import LOG_NAME

        listing = self._list(settings)
        with self._app.file.read() as session:
            positions = session.sync.positions()
        self._waiting = frozenset(
            (device, name, size)
            for device, name, size in listing
            if (match := LOG_NAME.fullmatch(name)) and int(match[2]) > positions.get(device, 0)
        )
        return not self._waiting <= self._tried

    def _list(self, settings: SyncSettings) -> Listing:
        from sediment_mcp.sync.folder import list_devices, list_log

        return frozenset(
            (device, file.path.name, file.size)
            for device in list_devices(settings.folder)
            if device != settings.device
            for file in list_log(settings.folder, device)
        )


def _read_times(settings: SyncSettings) -> dict[str, int]:
    """Return when the folder and each other device's in it were changed last, in ns."""
    times = {str(settings.folder): settings.folder.stat().st_mtime_ns}
    for entry in os.scandir(settings.folder):
        if entry.name != settings.device and entry.is_dir():
            times[entry.name] = os.stat(entry.path).st_mtime_ns
    return times
