"""Plan what an installation or its removal changes in a host's file, and apply that.

Inspecting and planning write nothing. The other contents of a host's file are never changed, and an entry
under our name that starts another program is only replaced by force.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts import config_file
from sediment_mcp.hosts.config_format import InvalidConfig
from sediment_mcp.hosts.launch_command import LaunchCommand, build_entry, has_same_command, merge_entry
from sediment_mcp.hosts.registry import (
    HOSTS,
    SERVER_NAME,
    Host,
    Machine,
    find_config_files,
    get_default_config_file,
)

InstallState = Literal["not installed", "installed", "another command", "unusable"]
Outcome = Literal["added", "replaced", "unchanged", "kept", "removed", "not there", "unusable"]


@dataclass(frozen=True, slots=True)
class ConfigTarget:
    """One file of one host; its methods read and edit our entry in a text of that file."""

    host: Host
    path: Path

    def read_entry(self, text: str | None) -> Any:
        """Return the entry under our name, or None if there is none.

        Raises:
            UnusableFile: The text is not of the host's format.
        """
        with self._report_unusable_file():
            return self.host.format.read_entry(text, self.host.section, SERVER_NAME)

    def put_entry(self, text: str | None, entry: dict[str, Any]) -> str:
        """Return the text with our entry.

        Raises:
            UnusableFile: The text is not of the host's format.
        """
        with self._report_unusable_file():
            return self.host.format.put_entry(text, self.host.section, SERVER_NAME, entry)

    def take_entry(self, text: str) -> str:
        """Return the text without our entry.

        Raises:
            UnusableFile: The text is not of the host's format.
        """
        with self._report_unusable_file():
            return self.host.format.take_entry(text, self.host.section, SERVER_NAME)

    @contextlib.contextmanager
    def _report_unusable_file(self) -> Generator[None]:
        """Turn `InvalidConfig` into `UnusableFile`, whose sentence names the file and a remedy."""
        try:
            yield
        except InvalidConfig as problem:
            raise UnusableFile(
                f"{self.path} {problem}: mend it in {self.host.title}, then try again."
            ) from None


@dataclass(frozen=True, slots=True)
class HostStatus:
    """What a host's file says about us."""

    target: ConfigTarget
    state: InstallState
    entry: Any = None  # the entry under our name
    problem: str = ""  # why the file cannot be used


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What is to be done to a host's file."""

    target: ConfigTarget
    outcome: Outcome
    before: str | None = None  # None: there is no file
    after: str | None = None  # None: the file is removed
    entry: Any = None  # what stands under our name now
    problem: str = ""

    @property
    def has_effect(self) -> bool:
        """Whether the file is to be written or removed."""
        return self.before != self.after

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


def inspect_target(target: ConfigTarget, command: LaunchCommand) -> HostStatus:
    """Return whether the host starts this command; never raises."""
    try:
        entry = target.read_entry(config_file.read_text(target.path))
    except UnusableFile as problem:
        return HostStatus(target, "unusable", problem=str(problem))
    if entry is None:
        return HostStatus(target, "not installed")
    is_same = has_same_command(entry, build_entry(command, target.host))
    return HostStatus(target, "installed" if is_same else "another command", entry)


def plan_install(target: ConfigTarget, command: LaunchCommand, *, force: bool = False) -> PlannedChange:
    """Return what installing changes.

    ``force`` replaces an entry under our name that starts another program.
    """
    try:
        text = config_file.read_text(target.path)
        entry = target.read_entry(text)
        expected = build_entry(command, target.host)
        if entry is not None and has_same_command(entry, expected):
            return PlannedChange(target, "unchanged", text, text, entry)
        if entry is not None and not force:
            return PlannedChange(target, "kept", text, text, entry)
        after = target.put_entry(text, merge_entry(entry, expected))
    except UnusableFile as problem:
        return PlannedChange(target, "unusable", problem=str(problem))
    return PlannedChange(target, "added" if entry is None else "replaced", text, after, entry)


def plan_removal(target: ConfigTarget) -> PlannedChange:
    """Return what removing our entry changes.

    If nothing else has changed since we wrote the file, it gets back exactly its bytes from before.
    """
    try:
        text = config_file.read_text(target.path)
        entry = target.read_entry(text)
        if text is None or entry is None:
            return PlannedChange(target, "not there", text, text)
        is_known, original = _find_original(target, text, entry)
        after = original if is_known else target.take_entry(text)
    except UnusableFile as problem:
        return PlannedChange(target, "unusable", problem=str(problem))
    return PlannedChange(target, "removed", text, after, entry)


def apply_change(change: PlannedChange) -> None:
    """Write what was planned.

    Raises:
        UnusableFile: The file cannot be written, or was changed since.
    """
    if not change.has_effect:
        return
    path = change.target.path
    restores = change.outcome == "removed" and change.after == _read_backup(change.target)
    config_file.replace_text(path, change.before, change.after)
    if change.after is None or restores:
        config_file.remove_backup(path)


def build_config(host: Host, command: LaunchCommand) -> dict[str, Any]:
    """Return the whole configuration, for a host that only takes it by hand."""
    return {host.section: {SERVER_NAME: build_entry(command, host)}}


def _find_original(target: ConfigTarget, text: str, entry: Any) -> tuple[bool, str | None]:
    """Return whether the text is an original plus our entry alone, and that original."""
    for before in (_read_backup(target), None):
        if _add_to_original(target, before, entry) == text:
            return True, before
    return False, None


def _add_to_original(target: ConfigTarget, before: str | None, entry: Any) -> str | None:
    """Return ``before`` with the entry added; None if one was there already or cannot be added."""
    try:
        return target.put_entry(before, entry) if target.read_entry(before) is None else None
    except UnusableFile:
        return None


def _read_backup(target: ConfigTarget) -> str | None:
    try:
        return config_file.read_text(config_file.get_backup_path(target.path))
    except UnusableFile:
        return None
