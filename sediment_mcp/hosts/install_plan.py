"""Into a host and out again: what would change in its file, and the change itself.

Nothing is written by looking or planning. What a host holds besides our entry is never touched, and an entry
under our name that starts something else stays until it is forced out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sediment_mcp.errors import UnusableFile
from sediment_mcp.hosts import config_file, jsonc
from sediment_mcp.hosts.launch_command import Command, entry_of, merged, starts_the_same
from sediment_mcp.hosts.registry import HOSTS, NAME, Host, Machine, files, usual_file

State = Literal["not installed", "installed", "another command", "unusable"]
Outcome = Literal["added", "replaced", "unchanged", "kept", "removed", "not there", "unusable"]

_NEW = "{}\n"


@dataclass(frozen=True, slots=True)
class Target:
    """One file of one host."""

    host: Host
    path: Path


@dataclass(frozen=True, slots=True)
class Look:
    """What a file says about us: ``entry`` is what stands there, ``problem`` why it cannot be used."""

    target: Target
    state: State
    entry: Any = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to a file; ``before`` None means that there is none, ``after`` None that it goes."""

    target: Target
    outcome: Outcome
    before: str | None = None
    after: str | None = None
    entry: Any = None  # that stands there
    problem: str = ""

    @property
    def changes(self) -> bool:
        return self.before != self.after

    @property
    def diff(self) -> str:
        return config_file.diff(self.target.path, self.before, self.after)


def targets_of(host: Host, machine: Machine) -> list[Target]:
    """The files of a host, found or not; none where it has no file to write."""
    usual = usual_file(host, machine)
    found = files(host, machine) or ([usual] if usual else [])
    return [Target(host, path) for path in found]


def found_targets(machine: Machine) -> list[Target]:
    """The files of all hosts on this machine."""
    return [Target(host, path) for host in HOSTS for path in files(host, machine)]


def look(target: Target, command: Command) -> Look:
    """How the host stands; never raises."""
    try:
        entry = _entry(target, config_file.read(target.path))
    except UnusableFile as problem:
        return Look(target, "unusable", problem=str(problem))
    if entry is None:
        return Look(target, "not installed")
    same = starts_the_same(entry, entry_of(command, target.host))
    return Look(target, "installed" if same else "another command", entry)


def plan_install(target: Target, command: Command, *, force: bool = False) -> Change:
    """What installing changes; ``force`` replaces an entry of ours that starts something else."""
    try:
        text = config_file.read(target.path)
        entry = _entry(target, text)
        wanted = entry_of(command, target.host)
        if entry is not None and starts_the_same(entry, wanted):
            return Change(target, "unchanged", text, text, entry)
        if entry is not None and not force:
            return Change(target, "kept", text, text, entry)
        after = _put(target, text, merged(entry, wanted))
    except UnusableFile as problem:
        return Change(target, "unusable", problem=str(problem))
    return Change(target, "added" if entry is None else "replaced", text, after, entry)


def plan_removal(target: Target) -> Change:
    """What taking our entry out changes: back to the very bytes of before where nothing else has changed."""
    try:
        text = config_file.read(target.path)
        entry = _entry(target, text)
        if text is None or entry is None:
            return Change(target, "not there", text, text)
        known, original = _original(target, text, entry)
        after = original if known else _take(target, text)
    except UnusableFile as problem:
        return Change(target, "unusable", problem=str(problem))
    return Change(target, "removed", text, after, entry)


def carry_out(change: Change) -> None:
    """Write what was planned.

    Raises:
        UnusableFile: it cannot be written, or was changed since.
    """
    if not change.changes:
        return
    path = change.target.path
    restores = change.outcome == "removed" and change.after == _backup(change.target)
    config_file.change(path, change.before, change.after)
    if change.after is None or restores:
        config_file.forget_backup(path)


def to_paste(host: Host, command: Command) -> dict[str, Any]:
    """The whole configuration, for a host that only takes it by hand."""
    return {host.servers: {NAME: entry_of(command, host)}}


# --- texts --------------------------------------------------------------------------------------


def _entry(target: Target, text: str | None) -> Any:
    """What stands under our name; None if nothing does."""
    if _is_new(text):
        return None
    try:
        value = jsonc.read(text or "", comments=target.host.comments)
        servers = jsonc.member(value, (target.host.servers,))
        if servers is None and target.host.servers in (jsonc.as_object(value) or {}):  # null
            raise jsonc.NotJson(f"holds no object in “{target.host.servers}”")
        return None if servers is None else jsonc.member({target.host.servers: servers}, _path(target))
    except jsonc.NotJson as problem:
        raise _unusable(target, problem) from None


def _put(target: Target, text: str | None, entry: Any) -> str:
    try:
        return jsonc.put(_NEW if text is None or _is_new(text) else text, _path(target), entry)
    except jsonc.NotJson as problem:
        raise _unusable(target, problem) from None


def _take(target: Target, text: str) -> str:
    try:
        return jsonc.take(text, _path(target))
    except jsonc.NotJson as problem:
        raise _unusable(target, problem) from None


def _path(target: Target) -> Sequence[str]:
    return (target.host.servers, NAME)


def _is_new(text: str | None) -> bool:
    return text is None or not text.strip()


def _original(target: Target, text: str, entry: Any) -> tuple[bool, str | None]:
    """Whether the file is what it was before us and our entry alone, and what that was."""
    backup = _backup(target)
    found = [before for before in (backup, None) if _puts(target, before, entry) == text]
    return bool(found), found[0] if found else None


def _puts(target: Target, before: str | None, entry: Any) -> str | None:
    """``before`` with the entry added; None if it was there already or cannot be added."""
    try:
        return _put(target, before, entry) if _entry(target, before) is None else None
    except UnusableFile:
        return None


def _backup(target: Target) -> str | None:
    try:
        return config_file.read(config_file.backup_of(target.path))
    except UnusableFile:
        return None


def _unusable(target: Target, problem: jsonc.NotJson) -> UnusableFile:
    return UnusableFile(f"{target.path} {problem}: mend it in {target.host.title}, then try again.")
