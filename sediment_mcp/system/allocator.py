"""Keep a server small where the GNU C library would hold on to memory.

Elsewhere nothing happens. That library gives threads pools of their own, up to eight a processor, and
keeps in each what was freed. Calls come in many threads, but Python runs one at a time, so one pool serves
them as well: in measurements eight were 8 MB larger after thirty queries.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

M_ARENA_MAX = -8  # of malloc.h
POOLS = 1


def limit_pools() -> None:
    """Let threads share one pool from now on; pools that are there already stay in use."""
    if (library := _load_gnu_library()) is not None:
        library.mallopt(M_ARENA_MAX, POOLS)


def release_freed_memory() -> None:
    """Return freed memory to the operating system.

    It takes milliseconds, so it is called only after rare, large work.
    """
    if (library := _load_gnu_library()) is not None:
        library.malloc_trim(0)


@functools.cache
def _load_gnu_library() -> ctypes.CDLL | None:
    """Find the library once; needs no lock, because every thread finds the same one."""
    if sys.platform != "linux":
        return None
    import ctypes

    try:
        library = ctypes.CDLL(None)
    except OSError:
        return None
    return library if hasattr(library, "malloc_trim") else None  # musl has no such function
