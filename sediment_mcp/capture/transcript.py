"""Read what is new in a transcript that its host is still writing.

Only whole lines are read, and where the last one ended is told: a host may be in the middle of a line. The
path comes from a host's JSON, so the file has to be the user's own, and of a form that is known.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.capture_state import Position
from sediment_mcp.system.encodings import NotText
from sediment_mcp.transfer.detect import match_transcript
from sediment_mcp.transfer.formats import TRANSCRIPTS
from sediment_mcp.transfer.records import TranscriptFormat
from sediment_mcp.transfer.source import Source, wrap_bytes

MAX_PIECE_BYTES = 16 * 1024 * 1024  # read at once
MAX_HEADER_BYTES = 1024 * 1024
LINE_FORMATS = ("claude-code", "codex", "copilot", "cursor", "gemini-cli")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some new lines of a transcript.

    Attributes:
        source: the lines, after the first line of the file if that says what they do not repeat.
        end: the position after them.
    """

    source: Source
    end: Position


def find_format(path: Path) -> TranscriptFormat:
    """Return the format of a transcript.

    Raises:
        BadArgument: it is no file of the user's own, or of no form that is known.
        OSError: it cannot be read.
    """
    status = path.stat()
    is_own = sys.platform == "win32" or status.st_uid == os.geteuid()
    if not stat.S_ISREG(status.st_mode) or not is_own:
        raise BadArgument("The transcript is no file of this user: look at what the host hands to its hooks.")
    with path.open("rb") as stream:
        source = Source(path, path.name, stream, status.st_size)
        try:
            name = match_transcript(source.decode_head().lstrip("\ufeff\0 \t\r\n"))
        except NotText:
            name = None
    if name not in LINE_FORMATS or path.suffix != ".jsonl":
        raise BadArgument("The transcript is of a form that is not known: nothing was captured.")
    return TRANSCRIPTS[name]


def read_pieces(path: Path, start: Position, *, has_header: bool) -> Iterator[Piece]:
    """Yield what stands in a transcript after a position.

    If it is shorter by now, it was written anew, and is read from its beginning.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        place = start if start.offset <= os.fstat(stream.fileno()).st_size else Position()
        header = stream.readline(MAX_HEADER_BYTES) if has_header and place.offset else b""
        while (data := _read_lines(stream, place.offset)) is not None:
            lines, length = data
            number = place.lines + 1
            place = Position(place.offset + length, place.lines + lines.count(b"\n"), start.read_at)
            source = wrap_bytes(header + lines, path.name)
            source.path = path
            source.first_line = number - bool(header)
            yield Piece(source, place)


def _read_lines(stream: BinaryIO, offset: int) -> tuple[bytes, int] | None:
    """Return (whole lines from a place on, their length), None if there is none.

    A line that is longer than `MAX_PIECE_BYTES` is passed over: in its place stands an empty one.
    """
    stream.seek(offset)
    data = stream.read(MAX_PIECE_BYTES)
    end = data.rfind(b"\n") + 1
    if end:
        return data[:end], end
    length = len(data)
    while len(data) == MAX_PIECE_BYTES:
        data = stream.read(MAX_PIECE_BYTES)
        if (end := data.find(b"\n") + 1) > 0:
            return b"\n", length + end
        length += len(data)
    return None
