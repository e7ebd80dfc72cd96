"""Locks between processes: files that the operating system unlocks when a process ends.

A free lock is taken at once. A held one is waited for in the kernel, which wakes a waiter when the lock is
free; asking again and again would find it free only by chance. The kernel cannot be told to give up, so a
thread waits there and the caller waits for the thread, as long as it likes.

Whoever waits first locks the file ``….queue`` beside it, and holds that until it has the lock itself. So a
process that releases the lock and asks for it again at once comes after those who wait.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Generator
from pathlib import Path

from sediment_mcp.errors import Busy, StorageError
from sediment_mcp.system.files import translate_os_errors
from sediment_mcp.system.kernel_locks import is_file_of, open_lock_file, release, try_lock, wait_for_lock

UNSUPPORTED_ERRNOS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


@contextlib.contextmanager
def locked(path: Path, timeout: float) -> Generator[None]:
    """Hold the lock of a file, against other threads too, until the block ends.

    ``timeout`` is how long to wait for it, in seconds.

    Raises:
        Busy: another process or thread held it all that time.
        StorageError: the lock file cannot be created, opened or locked.
    """
    descriptor = _acquire(path, timeout)
    try:
        yield
    finally:
        release(descriptor)


@contextlib.contextmanager
def locked_if_free(path: Path) -> Generator[bool]:
    """Hold the lock if no other process or thread does; the value says whether it is held."""
    try:
        descriptor = _acquire(path, timeout=0)
    except Busy:
        yield False
        return
    try:
        yield True
    finally:
        release(descriptor)


def _acquire(path: Path, timeout: float) -> int:
    """Return the descriptor of the locked file."""
    with translate_os_errors(), _translate_unsupported():
        descriptor = _try(path)
        if descriptor is None and timeout > 0:
            descriptor = _find_abandoned_claim(path).wait(timeout)
    if descriptor is None:
        raise Busy(
            "Another sediment-mcp process has been writing for too long: try again, "
            "and end a process that hangs if it happens twice."
        )
    return descriptor


def _try(path: Path) -> int | None:
    """Lock the file, unless another holds it or waits for it."""
    queue = _get_queue_path(path)
    if not queue.exists():  # nobody has ever waited
        return _lock(path, try_lock)
    place = _lock(queue, try_lock)
    if place is None:
        return None
    try:
        return _lock(path, try_lock)
    finally:
        release(place)


def _wait(path: Path) -> int:
    """Wait in the kernel, however long that takes, first for the head of the queue."""
    place = _lock(_get_queue_path(path), _wait_for_lock)
    try:
        descriptor = _lock(path, _wait_for_lock)
    finally:
        if place is not None:
            release(place)
    assert descriptor is not None
    return descriptor


def _lock(path: Path, lock: Callable[[int], bool]) -> int | None:
    """Open a file and lock it, once more if another file has taken its name meanwhile."""
    while True:
        descriptor = open_lock_file(path)
        try:
            is_locked = lock(descriptor)
            if is_locked and is_file_of(descriptor, path):
                kept, descriptor = descriptor, None
                return kept
        finally:
            if descriptor is not None:
                release(descriptor)
        if not is_locked:
            return None


def _wait_for_lock(descriptor: int) -> bool:
    wait_for_lock(descriptor)
    return True


def _get_queue_path(path: Path) -> Path:
    return path.with_suffix(".queue")


@contextlib.contextmanager
def _translate_unsupported() -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in UNSUPPORTED_ERRNOS:
            raise
        raise StorageError(
            f"Files cannot be locked in the data directory ({error.strerror}): "
            "set SEDIMENT_DATA_DIR to a directory on a disk of this machine."
        ) from error


# --- waiting ------------------------------------------------------------------------------------


class _Claim:
    """A thread that waits for a lock in the kernel, and the caller that waits for the thread.

    If the caller has given up, the thread waits on, and the next caller of this process that wants the lock
    takes it over; so there are never more such threads than there were callers at one time. A thread that
    nobody has taken over gives the lock back as soon as it has it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition(_claiming)
        self._is_finished = False
        self._descriptor: int | None = None
        self._error: OSError | None = None
        threading.Thread(target=self._run, name=f"wait for {path.name}", daemon=True).start()

    def wait(self, timeout: float) -> int | None:
        """Return the descriptor of the locked file, or None if others hold it for so many seconds.

        Raises:
            OSError: the file cannot be opened or locked.
        """
        with self._changed:
            try:
                self._changed.wait_for(lambda: self._is_finished, timeout)
            except BaseException:  # the user has interrupted it
                self._abandon()
                raise
            if not self._is_finished:
                self._abandon()
            elif self._error is not None:
                raise self._error
            return self._descriptor

    def _abandon(self) -> None:
        if not self._is_finished:
            _abandoned.setdefault(self._path, []).append(self)
        elif self._descriptor is not None:
            release(self._descriptor)

    def _run(self) -> None:
        descriptor = error = None
        try:
            descriptor = _wait(self._path)
        except OSError as failure:
            error = failure
        with self._changed:
            self._is_finished, self._error = True, error
            if self in _abandoned.get(self._path, ()):
                _abandoned[self._path].remove(self)
                if descriptor is not None:
                    release(descriptor)
            else:
                self._descriptor = descriptor
                self._changed.notify()


_claiming = threading.Lock()
_abandoned: dict[Path, list[_Claim]] = {}
"""By lock file, the claims whose callers have given up."""


def _find_abandoned_claim(path: Path) -> _Claim:
    """Return a claim that waits already, or a new one."""
    with _claiming:
        if claims := _abandoned.get(path):
            return claims.pop(0)
    return _Claim(path)
