"""Memory that has been freed goes back to the system.

The GNU C library keeps what a thread has freed in a pool of its own, and makes up to eight such pools a
processor. Writing an index takes 15 MB in a thread of its own, so a server's memory grew by steps of that
size, one for each pool, though nothing was in use any more. Other C libraries give back on their own.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable


def give_back() -> None:
    """Empty the pools; milliseconds, so it is done after work that is rare and large."""
    if (trim := _trim()) is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    import ctypes

    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # musl has no such function
        return None
