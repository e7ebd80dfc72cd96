"""Plan what an installation or its removal changes in a host's file, and apply that.

Inspecting and planning write nothing. The other contents of a host's file are never changed, and an entry
under our name that starts another program is only replaced or removed by force. An entry that starts this
program under another name, which the user gave it, is taken for ours where none has our name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts import config_file
from sediment_mcp.hosts.config_format import InvalidConfig
from sediment_mcp.hosts.locations import Machine
from sediment_mcp.hosts.registry import (
    HOSTS,
    SERVER_NAME,
    Host,
    find_config_files,
    get_default_config_file,
)
from sediment_mcp.hosts.remote_server import find_url
from sediment_mcp.hosts.server_entry import (
    Connection,
    build_entry,
    has_same_command,
    is_ours,
    merge_entry,
    renew_entry,
    starts_this_program,
)

InstallState = Literal["not installed", "installed", "another command", "remote", "unusable"]
Outcome = Literal["added", "replaced", "unchanged", "kept", "removed", "not there", "unusable"]


@dataclass(frozen=True, slots=True)
class ConfigTarget:
    """One file of one host; its methods read and edit our entry in a text of that file."""

    host: Host
    path: Path

    def read_entries(self, text: str | None) -> dict[str, Any]:
        """Return by name our entry, if there is one, then others that start this program.

        Raises:
            UnusableFile: The text is not of the host's format.
        """
        with self._report_unusable_file():
            written = self.host.format.read_entries(text, self.host.section)
        entries = {name: self.host.shape.read(entry) for name, entry in written.items()}
        own = {SERVER_NAME: entries[SERVER_NAME]} if entries.get(SERVER_NAME) is not None else {}
        return own | {name: entry for name, entry in entries.items() if starts_this_program(entry)}

    def put_entry(self, text: str | None, entry: dict[str, Any], name: str = SERVER_NAME) -> str:
        """Return the text with our entry.

        Raises:
            UnusableFile: The text is not of the host's format.
        """
        with self._report_unusable_file():
            before = text if text and text.strip() else self.host.new_file
            return self.host.format.put_entry(before, self.host.section, name, self.host.shape.write(entry))

    def take_entry(self, text: str, name: str = SERVER_NAME) -> str:
        """Return the text without our entry, and without a list of servers that we have begun.

        Raises:
            UnusableFile: The text is not of the host's format.
        """
        format, section = self.host.format, self.host.section
        with self._report_unusable_file():
            text = format.take_entry(text, section, name)
            is_empty = format.has_section(text, section) and not format.read_entries(text, section)
            is_ours = is_empty and not self._had_section()
            return format.take_section(text, section) if is_ours else text

    def _had_section(self) -> bool:
        """Return whether the file had a list of servers before us, as far as we know."""
        if (before := _read_backup(self.path)) is not None:
            with contextlib.suppress(InvalidConfig):
                return self.host.format.has_section(before, self.host.section)
        return True

    @contextlib.contextmanager
    def _report_unusable_file(self) -> Generator[None]:
        """Turn `InvalidConfig` into `UnusableFile`, whose sentence names the file and a remedy."""
        try:
            yield
        except InvalidConfig as problem:
            raise UnusableFile(
                f"{self.path} {problem}: mend it in {self.host.title}, then try again."
            ) from None


class Target(Protocol):
    """A file of a host that is to be changed."""

    @property
    def host(self) -> Host:
        """The host that reads the file."""
        ...

    @property
    def path(self) -> Path:
        """The file."""
        ...


@dataclass(frozen=True, slots=True)
class HostStatus:
    """What a host's file says about us."""

    target: ConfigTarget
    state: InstallState
    entry: Any = None  # our entry
    problem: str = ""  # why the file cannot be used
    name: str = SERVER_NAME  # under which it stands


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What is to be done to a host's file."""

    target: Target
    outcome: Outcome
    before: str | None = None  # None: there is no file
    after: str | None = None  # None: the file is removed
    entry: Any = None  # our entry, as it stands there now
    problem: str = ""
    name: str = SERVER_NAME  # under which it stands
    other_names: tuple[str, ...] = ()  # of further entries that start this program, and stay
    is_renewal: bool = False  # only what we wrote is replaced, so that the older backup stays

    @property
    def has_effect(self) -> bool:
        """Whether the file is to be written or removed."""
        return self.before != self.after

    @property
    def has_hooks(self) -> bool:
        """Whether a host that runs hooks will run ours."""
        return self.outcome in ("added", "replaced", "unchanged")

    @property
    def diff(self) -> str:
        """What `diff -u` would show; empty where nothing changes."""
        return config_file.format_diff(self.target.path, self.before, self.after)


def list_targets(host: Host, machine: Machine) -> list[ConfigTarget]:
    """Return the files of a host, installed or not; none where it has no file to write."""
    default = get_default_config_file(host, machine)
    paths = find_config_files(host, machine) or ([default] if default else [])
    return [ConfigTarget(host, path) for path in paths]


def find_targets(machine: Machine) -> list[ConfigTarget]:
    """Return the files of all hosts that are installed on this machine."""
    return [ConfigTarget(host, path) for host in HOSTS for path in find_config_files(host, machine)]


def inspect_target(target: ConfigTarget, command: Connection) -> HostStatus:
    """Return whether the host starts this command, or is connected to a server; never raises."""
    try:
        entries = target.read_entries(config_file.read_text(target.path))
    except UnusableFile as problem:
        return HostStatus(target, "unusable", problem=str(problem))
    if not entries:
        return HostStatus(target, "not installed")
    name, entry = next(iter(entries.items()))
    if find_url(entry, target.host.remote):
        return HostStatus(target, "remote", entry, name=name)
    is_same = has_same_command(entry, build_entry(command, target.host), target.host)
    return HostStatus(target, "installed" if is_same else "another command", entry, name=name)


def plan_install(target: ConfigTarget, command: Connection, *, force: bool = False) -> PlannedChange:
    """Return what installing changes.

    ``force`` replaces an entry under our name that starts another program. No second entry is added beside
    one that starts this program under another name: that one counts as ours. What an earlier version wrote
    is brought into today's form, and a server's entry gets the token that is given now.
    """
    try:
        text = config_file.read_text(target.path)
        entries = target.read_entries(text)
        name, entry = next(iter(entries.items()), (SERVER_NAME, None))
        others = tuple(other for other in entries if other != name)
        expected = build_entry(command, target.host)
        renewed = renew_entry(entry, command, target.host)
        is_same = name in entries and has_same_command(renewed, expected, target.host)
        if is_same and renewed == entry:
            return PlannedChange(target, "unchanged", text, text, entry, "", name, others)
        if name in entries and not force and not is_same:
            return PlannedChange(target, "kept", text, text, entry, "", name, others)
        is_alone, original = _find_original_of_entry(target, text, entry)
        if is_same:  # as if it had been added in today's form, so that removal recognises it
            after = target.put_entry(original if is_alone else text, renewed, name)
        else:
            after = target.put_entry(text, merge_entry(entry, expected, target.host), name)
    except UnusableFile as problem:
        return PlannedChange(target, "unusable", problem=str(problem))
    outcome: Outcome = "replaced" if entries else "added"
    return PlannedChange(target, outcome, text, after, entry, "", name, others, is_alone)


def plan_removal(target: ConfigTarget, *, force: bool = False) -> PlannedChange:
    """Return what removing our entry changes.

    ``force`` removes an entry under our name that starts another program, too, and all entries that start
    this program under other names, which are the user's own. If nothing else has changed since we wrote the
    file, it gets back exactly its bytes from before.
    """
    try:
        text = config_file.read_text(target.path)
        entries = target.read_entries(text)
        if text is None or not entries:
            return PlannedChange(target, "not there", text, text)
        name, entry = next(iter(entries.items()))
        others = tuple(other for other in entries if other != name)
        if not force and (name != SERVER_NAME or not is_ours(entry, target.host)):
            return PlannedChange(target, "kept", text, text, entry, "", name, others)
        is_known, original = _find_original_of_entry(target, text, entry)
        after = original if is_known else target.take_entry(text, name)
        if force and not is_known:  # an original is never ours to change
            after, others = _take_all(target, after, others), ()
    except UnusableFile as problem:
        return PlannedChange(target, "unusable", problem=str(problem))
    return PlannedChange(target, "removed", text, after, entry, "", name, others)


def _take_all(target: ConfigTarget, text: str | None, names: Sequence[str]) -> str | None:
    for name in names:
        text = None if text is None else target.take_entry(text, name)
    return text


def apply_change(change: PlannedChange) -> None:
    """Write what was planned; after a removal, nothing of ours is left beside the file.

    Raises:
        UnusableFile: The file cannot be written, or was changed since.
    """
    if not change.has_effect:
        return
    path, is_removal = change.target.path, change.outcome == "removed"
    config_file.replace_text(
        path, change.before, change.after, keep_backup=not is_removal and not change.is_renewal
    )
    if is_removal:
        config_file.remove_backup(path)


def build_config(host: Host, command: Connection) -> dict[str, Any]:
    """Return the whole configuration, for a host that only takes it by hand."""
    return {host.section: {SERVER_NAME: host.shape.write(build_entry(command, host))}}


def find_original(
    path: Path, text: str | None, add: Callable[[str | None], str | None]
) -> tuple[bool, str | None]:
    """Return whether a text is an original plus what we add alone, and that original.

    Args:
        path: The file that holds the text.
        text: The file's text.
        add: Adds to an original what the text holds of ours; None where that is not possible.
    """
    for before in (_read_backup(path), None):
        if add(before) == text:
            return True, before
    return False, None


def _find_original_of_entry(target: ConfigTarget, text: str | None, entry: Any) -> tuple[bool, str | None]:
    """Return whether the text is an original plus our entry alone, and that original."""
    if not is_ours(entry, target.host):
        return False, None
    return find_original(target.path, text, lambda before: _add_to_original(target, before, entry))


def _add_to_original(target: ConfigTarget, before: str | None, entry: Any) -> str | None:
    """Return ``before`` with the entry added; None if one was there already or cannot be added."""
    try:
        is_absent = SERVER_NAME not in target.read_entries(before)
        return target.put_entry(before, entry) if is_absent else None
    except UnusableFile:
        return None


def _read_backup(path: Path) -> str | None:
    try:
        return config_file.read_text(config_file.get_backup_path(path))
    except UnusableFile:
        return None
