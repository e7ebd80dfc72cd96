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
    ├── UnusableFile           a host's or a project's own file cannot be read or changed
    ├── ModelUnavailable       the embedding model cannot be loaded; words still work
    └── DamagedSnapshot        derived state cannot be used; it is rebuilt, users never see this

Each message is one sentence, or two, that ends with what to do next: hosts show it to a model and
terminals to a person, and both need the remedy more than the cause.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence

LONGEST_NAME = 64  # characters


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


class UnusableFile(SedimentError):
    """A file of a host or of a project cannot be read or changed; it is left as it is."""


class ModelUnavailable(SedimentError):
    """The embedding model cannot be loaded."""


class DamagedSnapshot(SedimentError):
    """A derived index cannot be used and has to be rebuilt."""


def shown(value: object) -> str:
    """How a message names what was sent: as it stands, or quoted on one line and shortened where it is
    long or would not be plain to see."""
    plain = isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) == len(value)
    return str(value) if plain and len(str(value)) <= LONGEST_NAME else reprlib.repr(value)


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - most
    return ", ".join(map(shown, names[:most])) + (f" and {more} more" if more > 0 else "")


def told(faults: Sequence[str], most: int = 5) -> str:
    """The first few different faults of a call, a sentence each, and how many more arguments are wrong."""
    different = list(dict.fromkeys(faults))
    more = len(different) - most
    return " ".join(different[:most]) + (f" {more} more arguments are wrong." if more > 0 else "")
