"""Let a server's garbage collector go through all objects only while nothing is asked.

By itself, Python does so in the middle of a call, about once in some thousand calls, and every call waits for
it: 70 to 100 ms with a model loaded, nearly all of it for modules, which never become garbage. So what is
loaded is frozen, which means left out of all later collections, and the background worker collects the rest
when it has nothing else to do. Collections of young objects stay as they are; they take a millisecond.

Other processes than servers keep Python's own ways: without `postpone_full_collections` nothing here does
anything but to pause the collector while something loads.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Generator

LAST_RESORT = 1000  # collections of the middle generation; a full one follows, should none have come before
DUE = 5  # collections of the middle generation between two full ones; Python itself would wait for ten
MAX_OBJECTS = 10_000  # that a full collection goes through, about 3 ms; if more survive, they are frozen


class _State:
    """What this process has been told, and how many loads are under way."""

    lock = threading.Lock()
    is_postponed = False
    loads = 0


def postpone_full_collections() -> None:
    """Leave full collections to `collect_if_due`, in this process, from now on."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, LAST_RESORT)
    _State.is_postponed = True


@contextlib.contextmanager
def loading() -> Generator[None]:
    """Collect nothing while modules or a model are loaded, and freeze them.

    What they leave to collect is next to nothing. Loads may overlap, in several threads.
    """
    with _State.lock:
        _State.loads += 1
        gc.disable()
    try:
        yield
    finally:
        with _State.lock:
            _State.loads -= 1
            if _State.loads == 0:
                if _State.is_postponed:
                    gc.freeze()
                gc.enable()


def collect_if_due() -> None:
    """Collect all garbage that is not frozen, if enough has been created since the last time."""
    if not _State.is_postponed or gc.get_count()[2] < DUE:
        return
    gc.collect()
    if len(gc.get_objects(generation=2)) > MAX_OBJECTS:
        gc.freeze()
