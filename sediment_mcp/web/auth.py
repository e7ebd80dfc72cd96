"""Authentication: who may send requests, and what a browser may do with the answers.

Other web pages can make a browser send requests to this machine, and other users of the machine can send
some themselves. So the server's address holds a token that works once and is exchanged for a cookie; the
Host must be this server (otherwise a foreign name that is made to point to this machine, DNS rebinding, would
be accepted); and nothing may come from another site or another port. Cookies are shared by all ports of a
host, therefore the cookie is bound to a path that no other local server can guess.

Starlette parses the requests and writes the answers; the rules are written here, because starlette's
`TrustedHostMiddleware` ignores the port.
"""

from __future__ import annotations

import secrets
import threading
import time

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE_NAME = "sediment"
BROWSER_SECONDS = 60.0  # that the browser has to open the file which leads here
SAFE_METHODS = ("GET", "HEAD")
OWN_SITES: tuple[list[str], ...] = ([], ["same-origin"], ["none"])
"""Accepted values of Sec-Fetch-Site: no header, a request of this page, an address that the user opened."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

FOREIGN = "This request comes from elsewhere and was refused: open the address that sediment-mcp ui prints."
UNKNOWN_BROWSER = (
    "This page opens from the address that sediment-mcp ui printed, and that works once. "
    "Start sediment-mcp ui again: it prints a new one, and opens it."
)


def make_mount_path() -> str:
    """Return a path that nobody can guess."""
    return f"/{secrets.token_urlsafe(9)}"


class AuthMiddleware:
    """Let the requests of one browser through to ``app``, which is mounted at ``mount_path``."""

    def __init__(self, app: ASGIApp, mount_path: str, port: int) -> None:
        self.mount_path = mount_path
        self.port = port
        self.host = f"127.0.0.1:{port}"
        self.token = secrets.token_urlsafe(24)  # empty once one of the two has been used
        self.browser_token = secrets.token_urlsafe(24)  # of the file that the browser is given
        self.entered = threading.Event()
        self._started_at = time.monotonic()
        self.last_request_at = time.monotonic()
        self._app = app
        self._cookie = secrets.token_urlsafe(24)

    @property
    def address(self) -> str:
        """The address that the user opens; it works once."""
        return f"http://{self.host}/?token={self.token}"

    @property
    def browser_address(self) -> str:
        """The address in the browser's file; it works once, and for `BROWSER_SECONDS`."""
        return f"http://{self.host}/?token={self.browser_token}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on; every answer carries the security headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        answer = self._answer(Request(scope))
        if answer is None:
            self.last_request_at = time.monotonic()
        await (answer or self._app)(scope, receive, send_with_headers)

    def _answer(self, request: Request) -> Response | None:
        """Return the answer to a request that is refused or holds the token; None for any other."""
        if request.headers.getlist("host") != [self.host]:
            return PlainTextResponse(FOREIGN, 421)
        cookie = f"{COOKIE_NAME}={self._cookie}; Path={self.mount_path}/; HttpOnly; SameSite=Strict"
        if request.scope["path"] == "/" and self._use_up_browser_token(request):
            # A browser counts what follows from a file as coming from another site, and would not send the
            # cookie after a redirect; a page of this server leads on from its own site.
            page = f'<meta http-equiv="refresh" content="0;url={self.mount_path}/">'
            return HTMLResponse(page, 200, {"Set-Cookie": cookie})
        if not self._is_from_own_page(request):
            return PlainTextResponse(FOREIGN, 403)
        if request.scope["path"] == "/" and self._use_up_token(request):
            return RedirectResponse(f"{self.mount_path}/", 303, {"Set-Cookie": cookie})
        return None if self._has_cookie(request) else PlainTextResponse(UNKNOWN_BROWSER, 401)

    def _is_from_own_page(self, request: Request) -> bool:
        """Return True if neither header names another site; a repeated header counts as foreign."""
        if request.headers.getlist("sec-fetch-site") not in OWN_SITES:
            return False
        is_own = request.headers.getlist("origin") == [f"http://{self.host}"]
        return is_own or request.method in SAFE_METHODS

    def _use_up_token(self, request: Request) -> bool:
        """Return True if the address holds the token, which is not accepted again."""
        if (
            request.method != "GET"
        ):  # a preview or a scanner asks with HEAD, and could do nothing with the cookie
            return False
        token = request.query_params.get("token", "")
        return bool(self.token) and _is_equal(token, self.token) and self._enter()

    def _use_up_browser_token(self, request: Request) -> bool:
        """Return True if the address holds the browser's token, in time; it is not accepted again."""
        is_late = time.monotonic() > self._started_at + BROWSER_SECONDS
        if request.method != "GET" or not self.browser_token or is_late:
            return False
        return _is_equal(request.query_params.get("token", ""), self.browser_token) and self._enter()

    def _enter(self) -> bool:
        self.token = self.browser_token = ""
        self.entered.set()
        return True

    def _has_cookie(self, request: Request) -> bool:
        is_inside = request.scope["path"].startswith(f"{self.mount_path}/")
        return is_inside and _is_equal(request.cookies.get(COOKIE_NAME, ""), self._cookie)


def _is_equal(text: str, secret: str) -> bool:
    """Return True if both are equal, in a time that does not depend on the secret."""
    return secrets.compare_digest(text.encode(errors="replace"), secret.encode())
