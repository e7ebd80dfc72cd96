"""Who may ask, and what a browser may do with the answers.

Other web pages can make a browser send requests to this machine, and other users of the machine can send
some themselves. So the server's address holds a token that works once and is exchanged for a cookie; the
Host must be this server (or a foreign name that is made to point here, DNS rebinding, would do); and nothing
may come from another site or another port. Cookies are shared by all ports of a host, therefore the cookie
is bound to a path that no other local server can guess.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "sediment"
READING = ("GET", "HEAD")
OWN = ("same-origin", "none")  # Sec-Fetch-Site: of this page, or of the user's own doing
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

AGAIN = "Start sediment-mcp ui again: it prints a new one, and opens it."
ELSEWHERE = "This request comes from elsewhere and was refused: open the address that sediment-mcp ui prints."
STRANGER = f"This page opens from the address that sediment-mcp ui printed, and that works once. {AGAIN}"


def new_place() -> str:
    """A path that nobody can guess."""
    return f"/{secrets.token_urlsafe(9)}"


@dataclass(slots=True)
class Gate:
    """Lets the requests of one browser through to ``inside``, an ASGI application mounted at ``place``."""

    inside: Application
    place: str
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    last_asked: float = field(default_factory=time.monotonic)
    _cookie: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """What the user opens; good for one time."""
        return f"http://{self.host}/?token={self.token}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
        elif scope["path"] == "/" and self._takes(scope):
            await self._welcome(send)
        elif not self._is_known(scope, headers):
            await _answer(send, 401, STRANGER)
        else:
            self.last_asked = time.monotonic()
            await self.inside(scope, receive, _guarded(send))

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        if headers.get("host") != self.host:
            return 421, ELSEWHERE
        if headers.get("sec-fetch-site", "none") not in OWN:
            return 403, ELSEWHERE
        if scope["method"] not in READING and headers.get("origin") != f"http://{self.host}":
            return 403, ELSEWHERE
        return None

    def _takes(self, scope: Scope) -> bool:
        """Whether the address holds the token, which is dead from then on."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not self.token or not secrets.compare_digest(given.encode(), self.token.encode()):
            return False
        self.token = ""
        return True

    async def _welcome(self, send: Send) -> None:
        cookie = f"{COOKIE}={self._cookie}; Path={self.place}/; HttpOnly; SameSite=Strict"
        await _answer(send, 303, "", {"Location": f"{self.place}/", "Set-Cookie": cookie})

    def _is_known(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        given = cookie.value if cookie is not None else ""
        is_inside = scope["path"].startswith(f"{self.place}/")
        return is_inside and secrets.compare_digest(given.encode(), self._cookie.encode())


def _headers(scope: Scope) -> dict[str, str]:
    """By name in lower case; of a name that comes twice, both, so that neither can hide behind the other."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _guarded(send: Send) -> Send:
    """Send with the headers that every answer has."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", ()) if pair[0].lower() not in _GUARDS]
            message = {**message, "headers": [*kept, *_GUARDS.items()]}
        await send(message)

    return guarded


_GUARDS = {name.lower().encode(): value.encode() for name, value in HEADERS.items()}


async def _answer(send: Send, status: int, sentence: str, more: Mapping[str, str] | None = None) -> None:
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(sentence.encode()))}
    pairs = [(name.lower().encode(), value.encode()) for name, value in {**headers, **(more or {})}.items()]
    await _guarded(send)({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": sentence.encode()})
