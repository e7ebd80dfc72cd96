"""How values travel to PostgreSQL and back: whole numbers as 64 bits, and texts with NUL characters.

A text there cannot hold NUL, and the contract keeps a text byte for byte. So NUL is written as two other
characters, and the first of these as two where a text has it itself. Equal texts stay equal, others differ.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumperUnknown

ESCAPE, ESCAPED_NUL, ESCAPED_ESCAPE = "\x1a", "\x1a0", "\x1a1"
_ESCAPE_BYTE = ESCAPE.encode()


def escape_nul(text: str) -> str:
    """Return a text without NUL, from which `unescape_nul` makes the same again."""
    if "\x00" in text or ESCAPE in text:
        return text.replace(ESCAPE, ESCAPED_ESCAPE).replace("\x00", ESCAPED_NUL)
    return text


def unescape_nul(text: str) -> str:
    """Return the text that `escape_nul` was given."""
    if ESCAPE not in text:
        return text
    return text.replace(ESCAPED_NUL, "\x00").replace(ESCAPED_ESCAPE, ESCAPE)


class _TextDumper(StrDumperUnknown):
    def dump(self, obj: str) -> Any:
        return super().dump(escape_nul(obj))


class _TextLoader(Loader):
    def load(self, data: Any) -> str:
        value = bytes(data)
        text = value.decode()
        return unescape_nul(text) if _ESCAPE_BYTE in value else text


def build_adapters() -> AdaptersMap:
    """Return the adapters of all connections."""
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(int, Int8Dumper)  # one type, so that one prepared statement serves all numbers
    adapters.register_dumper(str, _TextDumper)
    adapters.register_loader("text", _TextLoader)
    return adapters
