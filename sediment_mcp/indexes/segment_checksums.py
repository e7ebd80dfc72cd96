"""Check the files of a tantivy index, which tantivy itself does not do when it opens them."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

from sediment_mcp.errors import DamagedSnapshot

FOOTER_MAGIC = 1337


def verify_checksums(folder: Path) -> None:
    """Compare each segment file with the CRC-32 in its footer.

    The footer is JSON, its length, and a magic number.

    Raises:
        DamagedSnapshot: a file is damaged.
        OSError, ValueError, LookupError or struct.error: one is missing or malformed.
    """
    segments = json.loads((folder / "meta.json").read_bytes())["segments"]
    known = {str(segment["segment_id"]).replace("-", "") for segment in segments}
    for file in folder.iterdir():
        if file.name.partition(".")[0] not in known:
            continue
        data = file.read_bytes()
        length, magic = struct.unpack("<II", data[-8:])
        footer = json.loads(data[-8 - length : -8])
        if magic != FOOTER_MAGIC or zlib.crc32(data[: -8 - length]) != footer["crc"]:
            raise DamagedSnapshot(f"The text index's file {file.name} is damaged: it is rebuilt.")
