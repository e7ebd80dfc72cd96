"""Server entries: what a host's file says of one server, in the common form.

`entry_shape` has that form. An entry is ours if it starts this program, whatever its name is, or connects to
a server as we have written it; what the user has added to it stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

from sediment_mcp.hosts.entry_shape import ARGUMENTS, COMMAND, ENVIRONMENT
from sediment_mcp.hosts.jsonc import to_object
from sediment_mcp.hosts.launch_command import BRIDGE, LaunchCommand, split_extras, strip_version
from sediment_mcp.hosts.registry import Host
from sediment_mcp.hosts.remote_server import RemoteServer, find_url, is_remote_of_ours

_OWN_PROGRAM = re.compile(r"sediment-mcp(\.(exe|cmd|bat|ps1|sh|py))?", re.IGNORECASE)
_OWN_PACKAGE = re.compile(r"sediment-mcp(\.exe)?([\[=<>~!@].*)?", re.IGNORECASE)
_SHELL = re.compile(r"((ba|z|da|k|fi)?sh|cmd|powershell|pwsh|env)(\.exe)?", re.IGNORECASE)
_WORD_BREAK = re.compile(r"[\s\"'&|;]+")


Connection = LaunchCommand | RemoteServer
"""What an entry says: a command to be started, or a server to be connected to."""


def build_entry(connection: Connection, host: Host) -> dict[str, Any]:
    """Return the entry of a command, or of a server that the host can reach, for a host."""
    if isinstance(connection, RemoteServer):
        assert host.remote is not None  # else a bridge is started
        return host.remote.write(connection, host.name) | dict(host.default_fields)
    entry: dict[str, Any] = {
        **host.fixed_fields,
        COMMAND: connection.program,
        ARGUMENTS: list(connection.arguments),
    }
    environment = {ENVIRONMENT: dict(connection.environment)} if connection.environment else {}
    return entry | environment | dict(host.default_fields)


def is_ours(entry: Any, host: Host) -> bool:
    """Return True if an entry starts this program, or is one of ours that connects to a server."""
    return starts_this_program(entry) or is_remote_of_ours(entry, host.remote)


def starts_this_program(entry: Any) -> bool:
    """Return True if an entry, whatever its name is, starts this program.

    That is a program or package called sediment-mcp, run directly, by another program such as uvx, pipx or a
    shell, or as a Python module.
    """
    found = to_object(entry)
    if found is None:
        return False
    program, *arguments = _split_command(found) or [""]
    if _OWN_PROGRAM.fullmatch(re.split(r"[\\/]", program)[-1]):
        return True
    if _SHELL.fullmatch(re.split(r"[\\/]", program)[-1]):
        words = [word for line in arguments for word in _WORD_BREAK.split(line)]
        arguments = [re.split(r"[\\/]", word)[-1] for word in words]
    modules = [name for flag, name in pairwise(arguments) if flag == "-m"]
    return "sediment_mcp" in modules or any(map(_OWN_PACKAGE.fullmatch, arguments))


def lacks_extra(entry: Any, extra: str) -> bool:
    """Return True if an entry installs this package for a server here, without an extra.

    Of one that starts an installed program nobody knows by the entry.
    """
    program, *arguments = _split_command(to_object(entry) or {}) or [""]
    if _OWN_PROGRAM.fullmatch(re.split(r"[\\/]", program)[-1]) or BRIDGE in arguments:
        return False
    packages = [argument for argument in arguments if _OWN_PACKAGE.fullmatch(argument)]
    given = {name for package in packages for name in split_extras(package)}
    return bool(packages) and not split_extras(extra) <= given


def _split_command(entry: Mapping[str, Any]) -> list[str]:
    """Return the program and the arguments of an entry in any host's shape."""
    command = entry.get("command", entry.get("cmd"))
    nested = to_object(command)
    if nested is not None:
        return _split_command({"command": nested.get("path"), "args": nested.get("args")})
    parts = cast("list[Any]", command) if isinstance(command, list) else [command]
    arguments = entry.get("args")
    parts = [*parts, *(cast("list[Any]", arguments) if isinstance(arguments, list) else [])]
    return [part for part in parts if isinstance(part, str)]


def is_switched_off(entry: Any) -> bool:
    """Return True if the host was told not to start an entry."""
    found = to_object(entry) or {}
    return found.get("disabled") is True or found.get("enabled") is False


def has_same_command(entry: Any, expected: Mapping[str, Any], host: Host) -> bool:
    """Return True if an entry does the same as the expected one, in whatever version.

    One that connects to a server does so if its URL is the same. The user may have added flags, variables and
    other fields, but no other command of ours behind the arguments, and may have set the fields for which
    the host has a default of ours.
    """
    found = to_object(entry)
    if url := find_url(expected, host.remote):
        return find_url(found, host.remote).rstrip("/") == url
    if found is None or found.get(COMMAND) != expected[COMMAND]:
        return False
    arguments, environment = found.get(ARGUMENTS, []), to_object(found.get(ENVIRONMENT, {}))
    if not isinstance(arguments, list) or environment is None:
        return False
    return (
        all(found.get(name, value) == value for name, value in host.fixed_fields.items())
        and _has_only_added_flags(_list_packages(arguments), _list_packages(expected[ARGUMENTS]))
        and _is_subset(expected.get(ENVIRONMENT, {}), environment)
    )


def renew_entry(entry: Any, command: Connection, host: Host) -> Any:
    """Return an entry of ours in today's form and of today's version; any other one as it is.

    Flags, variables and fields that the user has added stay.
    """
    if isinstance(command, RemoteServer):
        expected = build_entry(command, host)
        return merge_entry(entry, expected, host) if has_same_command(entry, expected, host) else entry
    for earlier in (*command.earlier, replace(command, earlier=())):
        if has_same_command(entry, build_entry(earlier, host), host):
            return _renew(entry, earlier, command, host)
    return entry


def _renew(
    entry: dict[str, Any], earlier: LaunchCommand, command: LaunchCommand, host: Host
) -> dict[str, Any]:
    added = tuple(map(str, entry.get(ARGUMENTS, [])[len(earlier.arguments) :]))
    renewed = build_entry(replace(command, arguments=(*command.arguments, *added)), host)
    if ARGUMENTS not in entry and not renewed[ARGUMENTS]:
        del renewed[ARGUMENTS]
    variables: Mapping[str, str] = entry.get(ENVIRONMENT, {})
    kept = {name: value for name, value in variables.items() if name not in earlier.environment}
    others = {name: value for name, value in entry.items() if name != ENVIRONMENT or kept or not variables}
    return merge_entry(others | ({ENVIRONMENT: kept} if kept else {}), renewed, host)


def merge_entry(entry: Any, expected: Mapping[str, Any], host: Host) -> dict[str, Any]:
    """Return the expected entry, with what the user has added to the one that exists."""
    found = to_object(entry) or {}
    if bool(find_url(found, host.remote)) != bool(find_url(expected, host.remote)):
        return dict(expected)  # nothing of a command fits a server
    environment = {**(to_object(found.get(ENVIRONMENT)) or {}), **expected.get(ENVIRONMENT, {})}
    own = {name: found[name] for name in host.default_fields if name in found}
    if host.remote is not None and find_url(expected, host.remote):
        return {**host.remote.merge(found, expected), **own}
    return {**found, **expected, **own} | ({ENVIRONMENT: environment} if environment else {})


def _list_packages(arguments: Any) -> list[str]:
    """Return arguments without the versions of packages in them."""
    return [strip_version(str(one)) for one in cast("list[Any]", arguments)]


def _has_only_added_flags(arguments: Sequence[str], expected: Sequence[str]) -> bool:
    added = arguments[len(expected) :]
    return arguments[: len(expected)] == expected and (not added or added[0].startswith("--"))


def _is_subset(part: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    return all(whole.get(name) == value for name, value in part.items())
