"""Write and read one file of a device's log: lines of an export, encrypted with age.

The first line names the format, the device and the numbers of the file; the second has what was erased, the
rules of retention and the kept pairs; then come memories. `age -d` opens a file, and what comes out can be
imported like any export.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sediment_mcp.domain.retention import MAX_RULE_DAYS
from sediment_mcp.errors import BadArgument
from sediment_mcp.storage.sqlite.rule_changes import RuleChange
from sediment_mcp.storage.table_protocols import KeptPair
from sediment_mcp.sync.folder import LogPath
from sediment_mcp.sync.project_pairs import ProjectPair, is_shared_name
from sediment_mcp.system.text import to_json
from sediment_mcp.transfer.encryption import decrypt_with_identity
from sediment_mcp.transfer.formats.sediment_jsonl import (
    FORMAT_VERSION,
    MAX_INTEGER,
    SYNC_TYPE,
    VALID_ID,
    ExportedMemory,
    decode_memory,
    format_header,
)


class UnreadableFile(Exception):
    """A file of a log cannot be taken over yet; its text says why."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What a file has besides memories."""

    erased: tuple[str, ...] = ()
    rules: tuple[RuleChange, ...] = ()
    kept_pairs: tuple[KeptPair, ...] = ()
    projects: tuple[ProjectPair, ...] = ()

    def __bool__(self) -> bool:
        """Return True if there is anything."""
        return bool(self.erased or self.rules or self.kept_pairs or self.projects)


@dataclass(slots=True)
class LogFile:
    """A file that was opened; its memories are read from their lines as they are asked for."""

    device: str
    first: int
    last: int
    extras: Extras
    _lines: list[bytes] = field(repr=False)

    def memories(self) -> Iterator[ExportedMemory]:
        """Yield the memories.

        Raises:
            UnreadableFile: one of them cannot be read.
        """
        for line in self._lines:
            try:
                yield decode_memory(_load_object(line))
            except (ValueError, BadArgument) as error:
                raise UnreadableFile(f"holds a memory that cannot be read here ({error})") from error


def format_head(device: str, first: int, last: int, now: datetime, extras: Extras) -> list[str]:
    """Return the lines before the memories."""
    header = json.loads(format_header(now, None)) | {
        SYNC_TYPE: {"device": device, "first": first, "last": last}
    }
    rest = {
        "type": SYNC_TYPE,
        "erased": extras.erased,
        "rules": extras.rules,
        "kept_pairs": extras.kept_pairs,
        "projects": extras.projects,
    }
    return [to_json(header), to_json(rest)]


def join_lines(lines: Iterable[str]) -> bytes:
    """Return the content of a file, not encrypted yet."""
    return b"".join(f"{line}\n".encode() for line in lines)


def open_file(path: LogPath, device: str, identity: str) -> LogFile:
    """Open a file of a device's log.

    Raises:
        UnreadableFile: it is not whole yet, not encrypted for this key, or is not what its name says.
    """
    file = parse_file(read_encrypted(path, identity))
    if (file.device, file.first, file.last) != (device, path.first, path.last):
        raise UnreadableFile("is another file than its name says")
    return file


def read_encrypted(path: LogPath, identity: str) -> bytes:
    """Return what a file holds.

    Raises:
        UnreadableFile: it is not whole yet, or not encrypted for this key.
    """
    try:
        data = decrypt_with_identity(path.path.read_bytes(), identity)
    except OSError as error:
        raise UnreadableFile(f"cannot be read ({error.strerror})") from error
    if data is None:
        raise UnreadableFile("is not whole yet, or is encrypted for another key")
    return data


def parse_file(data: bytes) -> LogFile:
    """Return a file by what was encrypted in it.

    Raises:
        UnreadableFile: it is none, or was written by a newer version of this package.
    """
    header, rest, *memories = data.rstrip(b"\n").split(b"\n") if b"\n" in data.rstrip() else (b"", b"")
    try:
        fields = _load_object(header)
        if int(fields["version"]) > FORMAT_VERSION:
            raise UnreadableFile("was written by a newer sediment-mcp: update it on this device")
        about, extras = fields[SYNC_TYPE], _parse_extras(_load_object(rest))
        return LogFile(str(about["device"]), int(about["first"]), int(about["last"]), extras, memories)
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableFile("is no file of a log") from error


def _parse_extras(fields: dict[str, Any]) -> Extras:
    return Extras(
        erased=tuple(memory_id for memory_id in fields["erased"] if VALID_ID.fullmatch(memory_id)),
        rules=tuple(_check_rule(RuleChange(*rule)) for rule in fields["rules"]),
        kept_pairs=tuple(_check_pair(KeptPair(*pair)) for pair in fields["kept_pairs"]),
        projects=tuple(_check_projects(ProjectPair(*pair)) for pair in fields["projects"]),
    )


def _check_rule(change: RuleChange) -> RuleChange:
    numbers: list[object] = [change.changed_at]
    numbers += [limit for limit in (change.max_age, change.max_count) if limit is not None]
    is_sound = _is_text(change.name) and _is_text(change.folded_name) and all(map(_is_positive, numbers))
    if not is_sound or change.subject not in ("kind", "tag") or (change.max_age or 0) > MAX_RULE_DAYS:
        raise ValueError("no change of a rule")
    return change


def _check_pair(pair: KeptPair) -> KeptPair:
    are_ids = VALID_ID.fullmatch(pair.first_id) and VALID_ID.fullmatch(pair.second_id)
    if not (are_ids and pair.first_id < pair.second_id and _is_positive(pair.kept_at)):
        raise ValueError("no pair of ids")
    return pair


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and 0 < value < MAX_INTEGER


def _check_projects(pair: ProjectPair) -> ProjectPair:
    if not all(is_shared_name(name) for name in pair):
        raise ValueError("no pair of shared names")
    return pair


def _load_object(line: bytes) -> dict[str, Any]:
    value: object = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return cast("dict[str, Any]", value)
