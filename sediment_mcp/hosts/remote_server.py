"""Remote servers: a server that is reached by its URL, and how a host's file says so.

A host that cannot reach one starts a bridge in its place, see `server.bridge`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from sediment_mcp.errors import BadArgument
from sediment_mcp.hosts.jsonc import to_object

ENDPOINT = "/mcp"  # the path of the server, where a URL names none
AUTHORIZATION = "Authorization"
TOKEN = "MEMORY_TOKEN"  # noqa: S105 - the name of a variable
"""The variable in which a bridge finds its token, unless another one is named."""
PROJECT_HEADER = "Sediment-Project"
"""What tells the server which project a host works on, percent-encoded."""
HOST_HEADER = "Sediment-Host"
"""What tells the server which host calls, and an entry of ours from one that the user has written."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN = re.compile(r"[\x21-\x7e]+")  # what a header can carry


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """A server on another machine, and what it is told of the caller.

    ``token`` is written into the host's file; ``token_variable`` names a variable of the environment that
    holds it instead. ``project`` is the one that all memories belong to; empty: none is named.
    """

    url: str
    token: str = ""
    token_variable: str = ""
    project: str = ""


@dataclass(frozen=True, slots=True)
class RemoteShape:
    """The names that a host has for the parts of a remote server.

    ``variable`` is how a header refers to a variable of the environment, with ``NAME`` in its place; empty:
    it cannot. ``token_variable`` is a field that takes the name of the variable with the token instead.
    """

    url: str = "url"
    headers: str = "headers"
    fixed_fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    variable: str = ""
    token_variable: str = ""

    @property
    def reads_variables(self) -> bool:
        """Whether the host can take the token from its environment."""
        return bool(self.variable or self.token_variable)

    def write(self, server: RemoteServer, host_name: str) -> dict[str, Any]:
        """Return the fields of an entry for the server."""
        headers, named = build_headers(server, host_name), dict[str, Any]()
        if server.token_variable and self.token_variable:
            named[self.token_variable] = server.token_variable
        elif server.token_variable:
            headers[AUTHORIZATION] = f"Bearer {self.variable.replace('NAME', server.token_variable)}"
        return {**self.fixed_fields, self.url: server.url, **named, self.headers: headers}

    def merge(self, entry: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
        """Return the expected entry with what the user has added to the one that exists.

        Where no token is given, the one that stands there stays.
        """
        mine = dict(to_object(expected.get(self.headers)) or {})
        theirs = dict(to_object(entry.get(self.headers)) or {})
        if AUTHORIZATION in mine or self.token_variable in expected:
            theirs.pop(AUTHORIZATION, None)
        kept = dict(entry)
        if AUTHORIZATION in mine:
            kept.pop(self.token_variable, None)
        theirs.pop(PROJECT_HEADER, None)
        return {**kept, **expected, self.headers: {**theirs, **mine}}


def check_server(server: RemoteServer) -> RemoteServer:
    """Return the server with its full URL.

    Raises:
        BadArgument: It is no URL that a token may be sent to, or the token or variable cannot be written.
    """
    try:
        parts = urlsplit(server.url)
        host, _ = parts.hostname, parts.port  # a port out of range is told here
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("https", "http") or not host or parts.query or parts.fragment:
        raise BadArgument(f"--url is {server.url!r}: write it as https://memory.example.com/mcp.")
    if "@" in parts.netloc:
        raise BadArgument("--url holds a password: give a token instead, as --token-env NAME.")
    if parts.scheme == "http" and not _is_loopback(host):
        raise BadArgument(
            f"{server.url} would carry the token and the memories unencrypted: use https://, with a proxy "
            "in front of the server."
        )
    if server.token_variable and not _VARIABLE.fullmatch(server.token_variable):
        raise BadArgument(
            f"--token-env is {server.token_variable!r}: name a variable, as MEMORY_TOKEN, not its value."
        )
    if server.token and not _TOKEN.fullmatch(server.token):
        raise BadArgument("The token holds characters that no token has: copy it again, without blanks.")
    path = parts.path if parts.path.strip("/") else ENDPOINT
    url = urlunsplit((parts.scheme, parts.netloc, path.rstrip("/"), "", ""))
    return RemoteServer(url, server.token, server.token_variable, server.project)


def build_headers(server: RemoteServer, host_name: str) -> dict[str, str]:
    """Return the headers of every request to the server, but for a token in a variable."""
    headers = {HOST_HEADER: host_name} if host_name else {}
    if server.token:
        headers[AUTHORIZATION] = f"Bearer {server.token}"
    if server.project:
        headers[PROJECT_HEADER] = quote(server.project, safe="/:")
    return headers


def find_url(entry: Any, shape: RemoteShape | None) -> str:
    """Return the URL that an entry connects to; empty if it starts a command."""
    found = to_object(entry) or {}
    url = found.get(shape.url) if shape else None
    return url if isinstance(url, str) else ""


def is_remote_of_ours(entry: Any, shape: RemoteShape | None) -> bool:
    """Return True if `RemoteShape.write` has written an entry, whatever became of it since."""
    headers = (to_object(entry) or {}).get(shape.headers) if shape else None
    return bool(find_url(entry, shape)) and HOST_HEADER in (to_object(headers) or {})


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
