"""Check the files of a tantivy index, which tantivy itself does not do when it opens them.

Reading them all takes the longer the larger the index is, so a file is read once and then counts as sound
for as long as it is the same one: its size, time of change and inode are kept in the index's folder. What
changes a file without them, a failing disk, is noticed by reading the files whole: a server does so once,
beside the calls, and `doctor` each time.
"""

from __future__ import annotations

import contextlib
import json
import struct
import zlib
from pathlib import Path

from sediment_mcp.errors import DamagedSnapshot
from sediment_mcp.system.files import read_stamp, write_private

FOOTER_MAGIC = 1337
RECORD_NAME = "verified.json"


def verify_checksums(folder: Path, *, whole: bool = False) -> None:
    """Compare each segment file that has changed with the CRC-32 in its footer.

    With ``whole`` those that have not changed are read too.

    Raises:
        DamagedSnapshot: a file is damaged, missing or malformed.
    """
    try:
        _verify_segments(folder, whole)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        raise DamagedSnapshot(f"The text index cannot be used ({error}): it is rebuilt.") from error


def _verify_segments(folder: Path, whole: bool) -> None:
    segments = json.loads((folder / "meta.json").read_bytes())["segments"]
    known = {str(segment["segment_id"]).replace("-", "") for segment in segments}
    verified = _read_verified(folder)
    found: dict[str, list[int]] = {}
    for file in folder.iterdir():
        if file.name.partition(".")[0] in known:
            found[file.name] = list(read_stamp(file))
            if whole or verified.get(file.name) != found[file.name]:
                _verify_file(file)
    if found != verified:
        with contextlib.suppress(OSError):  # the directory may only be readable
            write_private(folder / RECORD_NAME, json.dumps(found).encode())


def _verify_file(file: Path) -> None:
    """Compare a file with its footer, which is JSON, its length, and a magic number."""
    data = file.read_bytes()
    length, magic = struct.unpack("<II", data[-8:])
    footer = json.loads(data[-8 - length : -8])
    if magic != FOOTER_MAGIC or zlib.crc32(data[: -8 - length]) != footer["crc"]:
        raise DamagedSnapshot(f"The text index's file {file.name} is damaged: it is rebuilt.")


def _read_verified(folder: Path) -> dict[str, object]:
    """Return by file what `read_stamp` gave when it was last read."""
    try:
        return dict(json.loads((folder / RECORD_NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}
