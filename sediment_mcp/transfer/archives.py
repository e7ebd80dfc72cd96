"""Read the ZIP archives in which Claude and ChatGPT export a user's data.

Of the files in one only those that hold what was said, and what the user has written for projects, are
read; none is written to the disk, and each is bounded by its real size, whatever the archive says of it.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import PurePosixPath

from sediment_mcp.transfer.records import Problem
from sediment_mcp.transfer.source import ReadLimits, Source, wrap_bytes

SIGNATURE = b"PK\x03\x04"
MAX_MEMBERS = 100_000
EXPORT_NAME = re.compile(r"(?:conversations(?:-\d{1,6})?|projects|memories)\.json")
"""Names of the files that are read, in whatever folder of the archive they lie."""


def find_exports(source: Source) -> list[str]:
    """Return the names of the files of an export in an archive, in their order."""
    if not source.head().startswith(SIGNATURE):
        return []
    try:
        with zipfile.ZipFile(source.stream) as archive:
            names = archive.namelist()[:MAX_MEMBERS]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []
    finally:
        source.stream.seek(0)
    found = [name for name in names if EXPORT_NAME.fullmatch(PurePosixPath(name).name)]
    return sorted(found) if any("conversations" in name for name in found) else []


def read_member(source: Source, name: str, limits: ReadLimits) -> Source | Problem:
    """Return a file of the archive, unpacked in memory, or why it cannot be read."""
    try:
        with zipfile.ZipFile(source.stream) as archive, archive.open(name) as stream:
            data = stream.read(limits.max_document_bytes + 1)
    except RuntimeError:  # what zipfile raises for a file that is encrypted
        return Problem(name, "is encrypted: unpack the archive and import the folder.")
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError) as error:
        return Problem(
            name, f"cannot be unpacked ({type(error).__name__}): the archive may have been cut off."
        )
    if len(data) > limits.max_document_bytes:
        return Problem(name, f"is larger than {limits.max_document_bytes:,} bytes: unpack and divide it.")
    return wrap_bytes(data, PurePosixPath(name).name)
