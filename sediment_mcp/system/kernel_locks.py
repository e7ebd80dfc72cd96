"""The operating system's exclusive lock of an open file: flock, and LockFileEx on Windows.

Its waiters wait in the kernel, and it is released when its holder dies. It is the lock that the package
filelock takes, so that processes of version 0.1.0 and of this one keep each other out.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sediment_mcp.system.files import PRIVATE_FILE

if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    FAIL_IMMEDIATELY, EXCLUSIVE = 0x01, 0x02  # flags of LockFileEx
    LOCK_VIOLATION, IO_PENDING = 33, 997  # errors of Windows: another handle holds it

    class _Overlapped(ctypes.Structure):
        """OVERLAPPED: all zeros name the file's first byte, which is the one that is locked."""

        _fields_ = (
            ("internal", ctypes.c_void_p),
            ("internal_high", ctypes.c_void_p),
            ("offset", wintypes.DWORD),
            ("offset_high", wintypes.DWORD),
            ("event", wintypes.HANDLE),
        )

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.LockFileEx.argtypes = (wintypes.HANDLE, *[wintypes.DWORD] * 4, ctypes.POINTER(_Overlapped))
    _kernel32.UnlockFileEx.argtypes = (wintypes.HANDLE, *[wintypes.DWORD] * 3, ctypes.POINTER(_Overlapped))

    def _lock(descriptor: int, flags: int) -> bool:
        handle, place = msvcrt.get_osfhandle(descriptor), ctypes.byref(_Overlapped())
        if _kernel32.LockFileEx(handle, EXCLUSIVE | flags, 0, 1, 0, place):
            return True
        error = ctypes.get_last_error()
        if error in (LOCK_VIOLATION, IO_PENDING):
            return False
        raise ctypes.WinError(error)

    def try_lock(descriptor: int) -> bool:
        """Lock an open file unless another holds the lock; return whether it is locked now."""
        return _lock(descriptor, FAIL_IMMEDIATELY)

    def wait_for_lock(descriptor: int) -> None:
        """Wait in the kernel for the lock of an open file, however long that takes."""
        _lock(descriptor, 0)

    def _unlock(descriptor: int) -> None:
        _kernel32.UnlockFileEx(msvcrt.get_osfhandle(descriptor), 0, 1, 0, ctypes.byref(_Overlapped()))

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock an open file unless another holds the lock; return whether it is locked now."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # which of the two is a matter of the file system
            return False
        return True

    def wait_for_lock(descriptor: int) -> None:
        """Wait in the kernel for the lock of an open file, however long that takes."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def open_lock_file(path: Path) -> int:
    """Open a lock file, created private if there is none; return its descriptor.

    A link is not followed, and a pipe in its place is not waited for.
    """
    guards = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.open(path, os.O_RDWR | os.O_CREAT | guards, PRIVATE_FILE)


def is_file_of(descriptor: int, path: Path) -> bool:
    """Return True if the open file still has this name.

    The lock of a deleted file keeps nobody out.
    """
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def release(descriptor: int) -> None:
    """Unlock and close an open file."""
    try:
        _unlock(descriptor)
    finally:
        os.close(descriptor)
