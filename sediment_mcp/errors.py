"""Everything that can go wrong, as one tree.

    SedimentError
    ├── BadArgument            a parameter is missing, of the wrong type, or out of range
    │   ├── UnknownMemory      an id that names no memory
    │   ├── NoProject          a project is asked for and none is known
    │   └── HoldsSecret        a text with a secret in it, where those are refused
    ├── StorageError           the data directory or the database cannot be used
    │   ├── NewerDatabase      written by a newer version of sediment-mcp
    │   ├── DamagedDatabase    SQLite says that the file is malformed
    │   ├── DiskFull           no space left
    │   └── Busy               another process holds the write lock for too long
    ├── ModelUnavailable       the embedding model cannot be loaded; words still work
    └── DamagedSnapshot        derived state cannot be used; it is rebuilt, users never see this

Each message is one sentence, or two, that ends with what to do next: hosts show it to a model and
terminals to a person, and both need the remedy more than the cause.
"""

from __future__ import annotations


class SedimentError(Exception):
    """Base of everything that this package raises on purpose."""


class BadArgument(SedimentError):
    """A parameter is missing, of the wrong type, or out of range."""


class UnknownMemory(BadArgument):
    """An id names no memory."""


class NoProject(BadArgument):
    """A project is asked for, but this process knows none."""


class HoldsSecret(BadArgument):
    """A text seems to hold a secret, and the configuration refuses such texts."""


class StorageError(SedimentError):
    """The data directory or the database cannot be used."""


class NewerDatabase(StorageError):
    """The database was written by a newer version of sediment-mcp."""


class DamagedDatabase(StorageError):
    """SQLite reports that the database file is malformed."""


class DiskFull(StorageError):
    """There is no space left for a write."""


class Busy(StorageError):
    """Another process holds the write lock for longer than anyone should."""


class ModelUnavailable(SedimentError):
    """The embedding model cannot be loaded."""


class DamagedSnapshot(SedimentError):
    """A derived index cannot be used and has to be rebuilt."""
