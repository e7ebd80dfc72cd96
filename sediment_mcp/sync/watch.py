"""Synchronize again and again until somebody ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from sediment_mcp.errors import Busy, Stopped, StorageError
from sediment_mcp.sync.engine import SyncEngine
from sediment_mcp.system.progress import stop_when

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.sync.report import SyncReport


def watch(
    app: Application,
    seconds: float,
    ended: threading.Event,
    show: Callable[[SyncReport], None],
    say: Callable[[str], None],
) -> None:
    """Synchronize every so many ``seconds`` until ``ended`` is set.

    ``show`` gets each report. A folder that is away, as while its disk is unplugged, is waited for: ``say``
    gets one sentence when that begins, and one when it is there again.

    Raises:
        BadArgument: this store does not synchronize (any more).
    """
    engine, problem = SyncEngine(app), ""
    progress = stop_when(ended.is_set)
    while not ended.is_set():
        try:
            report = engine.run(progress)
        except Stopped:
            return
        except (StorageError, Busy) as error:
            if str(error) != problem:
                problem = str(error)
                say(problem)
        else:
            if problem:
                say("Synchronizing again.")
            problem = ""
            show(report)
        ended.wait(seconds)
