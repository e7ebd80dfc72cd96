"""How the server over HTTP listens, and what it allows a caller."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from sediment_mcp.errors import BadArgument

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8787
DEFAULT_TENANTS = 64  # open at once, 4 MB each with few memories
DEFAULT_RATE = 50  # calls a second of one caller
DEFAULT_CALLS = 16  # of one caller at the same time
DEFAULT_CACHE = 4096  # MB of indexes on disk, over a database elsewhere

MAX_PORT = 65_535
MAX_BODY_BYTES = 1024 * 1024
MAX_THREADS = 32  # in which calls run, of all callers together
MAX_SESSIONS = 5_000
MAX_SESSIONS_OF_CALLER = 200
SESSION_SECONDS = 1800.0  # without a request, after which a session ends
DRAIN_SECONDS = 10.0  # that running calls have when the server ends


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The address, the limits, and the URL by which clients reach the server.

    ``public_url`` is empty where clients use the address itself. ``metrics`` is the address of the metrics'
    own listener, None without one. ``rate`` is in calls a second of one caller, 0 for any; ``cache_mb`` is
    of all tenants together. ``is_stateless`` keeps no sessions, for several servers behind one address.
    ``leave_seconds`` is how long calls are still answered after the signal to end, while whoever distributes
    them finds out that the server is not ready any more.
    """

    host: str = LOOPBACK
    port: int = DEFAULT_PORT
    public_url: str = ""
    metrics: tuple[str, int] | None = None
    open_tenants: int = DEFAULT_TENANTS
    rate: int = DEFAULT_RATE
    calls_at_once: int = DEFAULT_CALLS
    cache_mb: int = DEFAULT_CACHE
    is_stateless: bool = False
    leave_seconds: int = 0

    def allowed_hosts(self) -> list[str]:
        """Return the values of the header Host that are meant for this server."""
        own = [] if is_any_address(self.host) else [self.host]
        names = dict.fromkeys([LOOPBACK, "localhost", "[::1]", *map(bracket, own)])
        return [*_with_ports(names), *([urlsplit(self.public_url).netloc] if self.public_url else [])]

    def allowed_origins(self) -> list[str]:
        """Return the values of the header Origin that pages of this server have."""
        own = [f"http://{host}" for host in (LOOPBACK, "localhost", "[::1]")]
        return [*_with_ports(own), *([_get_origin(self.public_url)] if self.public_url else [])]


def bracket(host: str) -> str:
    """Return the host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def _with_ports(names: list[str] | dict[str, None]) -> list[str]:
    return [form for name in names for form in (name, f"{name}:*")]


def _get_origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_any_address(host: str) -> bool:
    """Return whether this listens on all addresses of the machine."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def parse_public_url(text: str) -> str:
    """Return the URL by which clients reach the server, without a slash at its end.

    Raises:
        BadArgument: it is none, has a path, or would send tokens unencrypted over a network.
    """
    parts = urlsplit(text)
    has_origin_only = parts.netloc and not (parts.query or parts.fragment or parts.path.strip("/"))
    if not has_origin_only or "@" in parts.netloc or parts.scheme not in ("https", "http"):
        raise BadArgument(
            f"--public-url is {text!r}: write only scheme and host, as in https://memory.example.com."
        )
    return f"{parts.scheme}://{parts.netloc}"


def parse_metrics_address(text: str) -> tuple[str, int]:
    """Return the address at which metrics are given; the host is loopback unless it is named.

    Raises:
        BadArgument: it is no address.
    """
    host, colon, digits = text.rpartition(":")
    is_bracketed = host[:1] == "[" and host[-1:] == "]"
    is_host = bool(host) == bool(colon) and (":" in host) == is_bracketed and not any(map(str.isspace, host))
    port = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 5 else MAX_PORT + 1
    if not is_host or port > MAX_PORT:
        raise BadArgument(f"--metrics is {text!r}: write a port, or host:port, as in 127.0.0.1:9464.")
    return (host or LOOPBACK).strip("[]"), port


def check_exposure(settings: HttpSettings, *, has_authentication: bool) -> None:
    """Refuse to serve whoever is on the network.

    Raises:
        BadArgument: the address is reached from elsewhere, and callers are not asked who they are, or there
            is no name by which requests for this server can be told from others.
    """
    is_public = bool(settings.public_url) or not is_loopback(settings.host)
    if is_public and not has_authentication:
        raise BadArgument(
            "Whoever reaches this address could read and change all memories: create a token with "
            "sediment-mcp token create, or listen on 127.0.0.1 without --public-url."
        )
    if is_any_address(settings.host) and not settings.public_url:
        raise BadArgument(
            f"--host {settings.host} is every address of this machine: give with --public-url the one that "
            "clients use, so that requests meant for others are refused."
        )
