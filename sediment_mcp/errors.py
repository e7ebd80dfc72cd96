"""The error classes of the package, as one tree.

    SedimentError
    ├── BadArgument            a parameter is missing, of the wrong type, or out of range
    │   ├── UnknownMemory      an id that names no memory
    │   ├── UnknownProject     a project that nothing belongs to
    │   ├── NoProject          a project is asked for and none is known
    │   └── HoldsSecret        a text with a secret in it, where those are refused
    ├── StorageError           the data directory or the database cannot be used
    │   ├── NewerDatabase      written by a newer version of sediment-mcp
    │   ├── DamagedDatabase    SQLite says that the file is malformed
    │   ├── DamagedFile        another file of the data directory does not open with its key
    │   ├── KeyUnavailable     the directory is encrypted, and its key cannot be had
    │   ├── DiskFull           no space left
    │   └── Busy               another process holds the write lock for too long
    ├── NotAllowed             the caller may read, and asked for a change
    ├── ProviderUnavailable    the identity provider's keys cannot be had, so nobody can be told from anybody
    ├── UnusableFile           a host's or a project's own file cannot be read or changed
    ├── ModelUnavailable       the embedding model cannot be loaded; words still work
    ├── ModelFailed            the embedding model fails on a text, which is found by its words
    ├── DamagedSnapshot        derived state cannot be used; it is rebuilt, users never see this
    └── Stopped                the progress callback of long work has stopped it; the old state stays valid

All errors that leave their folder are defined here. A folder may define others for itself, which it catches
or which its callers know only by a base class in this tree: `BrokenConnection` in storage,
`InvalidConfig` and `InvalidJson` in hosts,
`InvalidMessage` in server.

Each message is one sentence, or two, that ends with what to do next: hosts show it to a model and
terminals to a person, and the remedy is what both need most.
"""

from __future__ import annotations


class SedimentError(Exception):
    """The base of all errors that this package raises on purpose."""


class BadArgument(SedimentError):
    """A parameter is missing, of the wrong type, or out of range."""


class UnknownMemory(BadArgument):
    """An id names no memory."""


class UnknownProject(BadArgument):
    """Nothing belongs to a project that is named."""


class NoProject(BadArgument):
    """A project is asked for, but this process knows none."""


class HoldsSecret(BadArgument):
    """A text seems to hold a secret, and the configuration refuses such texts."""


class StorageError(SedimentError):
    """The data directory or the database cannot be used."""


class NewerDatabase(StorageError):
    """The database was written by a newer version of sediment-mcp."""


DAMAGED = (
    "The database is damaged: run `sediment-mcp doctor --fix`, which saves what can be read, takes the rest "
    "from the newest backup and keeps the damaged file."
)


class DamagedDatabase(StorageError):
    """SQLite reports that the database file is malformed."""

    def __init__(self, message: str = DAMAGED) -> None:
        super().__init__(message)


class DamagedFile(StorageError):
    """An encrypted file of the data directory does not open with the directory's key."""


class KeyUnavailable(StorageError):
    """The data directory is encrypted, and its key cannot be had."""


class DiskFull(StorageError):
    """There is no space left for a write."""


class Busy(StorageError):
    """Another process holds the write lock for too long."""


class NotAllowed(SedimentError):
    """The caller may only read, and asked for a change."""


class ProviderUnavailable(SedimentError):
    """The keys of the identity provider cannot be had, so its tokens cannot be checked."""


class UnusableFile(SedimentError):
    """A file of a host or of a project cannot be read or changed; it is unchanged."""


class ModelUnavailable(SedimentError):
    """The embedding model cannot be loaded."""


class ModelFailed(SedimentError):
    """The embedding model was loaded but fails on a text."""


class DamagedSnapshot(SedimentError):
    """A derived index cannot be used and has to be rebuilt."""


class Stopped(SedimentError):
    """Long work was stopped by its progress callback; the state before it stays valid."""
