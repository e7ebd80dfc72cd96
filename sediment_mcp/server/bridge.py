"""The bridge, over which a host that only starts commands talks with a server elsewhere.

Each line of standard input is a message, which is sent as one request; what comes back, JSON or an event
stream, becomes lines of standard output. A call whose server could not be reached at all is sent again for
some seconds, as is one that the server puts off; one whose connection broke is not, because it may have
taken effect. A session that the server does not know any more, as after a restart, is opened again.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import IO, Any, cast

import httpx2

logger = logging.getLogger(__name__)

CALLS_AT_ONCE = 8
CALL_SECONDS = 120.0  # that the server may take for an answer
CONNECT_SECONDS = 10.0
RETRY_SECONDS = 15.0  # within which a server that restarts should be back
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0  # seconds between two tries
SESSION, VERSION, METHOD, NAME = "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name"
FAILED = -32000  # the code of JSON-RPC for what a server says of itself
PUT_OFF = (429, 502, 503, 504)
_PLAIN = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_META_VERSION = "io.modelcontextprotocol/protocolVersion"
_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Method → the parameter that a request of the modern era repeats in a header."""

Message = dict[str, Any]


class CallFailed(Exception):
    """A call has no answer; the message says why, and what is to be done."""


class Bridge:
    """Passes messages on between the streams of a host and a server."""

    def __init__(self, url: str, headers: Mapping[str, str], out: IO[str]) -> None:
        """Keep what is sent with every request; answers are written to ``out``."""
        self._url = url
        self._out = out
        self._writing, self._opening = threading.Lock(), threading.Lock()
        self._client = httpx2.Client(
            headers={**headers, "accept": "application/json, text/event-stream"},
            timeout=httpx2.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS),
        )
        self._session, self._version = "", ""
        self._initialize: Message | None = None

    def run(self, lines: Iterable[str]) -> None:
        """Pass on every line until there are no more, then end the session."""
        with self._client, ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            for line in lines:
                message = _parse(line)
                if message is None:
                    continue
                if message.get("method") == "initialize":  # all that follows needs its answer
                    self._initialize = message
                    self._pass_on(message)
                elif "id" in message and "method" in message:
                    pool.submit(self._pass_on, message)
                else:  # a notification or an answer, which must not be overtaken
                    self._pass_on(message)
            pool.shutdown()
            self._end_session()

    def _pass_on(self, message: Message) -> None:
        """Send a message, and write what comes back; a request is answered whatever happens."""
        try:
            self._send(message)
            return
        except CallFailed as failure:
            problem = str(failure)
        except Exception as error:
            logger.debug("A message could not be passed on", exc_info=True)
            problem = f"The call failed ({type(error).__name__}): try it again."
        if "id" in message and "method" in message:
            error = {"code": FAILED, "message": problem}
            self._write({"jsonrpc": "2.0", "id": message["id"], "error": error})
        else:
            logger.warning("%s", problem)

    # --- one message ----------------------------------------------------------------------------

    def _send(self, message: Message) -> None:
        """Send a message, again where that can do no harm.

        Raises:
            CallFailed: there is no answer.
        """
        end, pause, is_reopened = time.monotonic() + RETRY_SECONDS, FIRST_PAUSE, False
        while True:
            session = self._session
            try:
                status = self._post(message)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:  # nothing has arrived
                status, problem = (
                    0,
                    f"{self._url} cannot be reached ({error}): check the URL and the network.",
                )
            except httpx2.HTTPError as error:
                raise CallFailed(
                    f"The connection to {self._url} broke ({type(error).__name__}): look whether the call "
                    "has taken effect before you repeat it."
                ) from None
            else:
                problem = _explain(status, self._url)
            if not problem:
                return
            if status == HTTPStatus.NOT_FOUND and session and not is_reopened:
                is_reopened = True
                self._reopen(session)
            elif (status == 0 or status in PUT_OFF) and time.monotonic() + pause < end:
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                raise CallFailed(problem)

    def _post(self, message: Message, *, is_silent: bool = False) -> int:
        """Send a message once and write the answers; return the status."""
        is_opening = message.get("method") == "initialize"
        headers = self._describe(message) | ({} if is_opening else self._name_session())
        with self._client.stream("POST", self._url, json=message, headers=headers) as response:
            status = int(response.status_code)
            if is_opening and response.is_success:
                self._session = str(response.headers.get(SESSION, ""))
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/event-stream" and response.is_success:
                for event in httpx2.EventSource(response):
                    if event.data:
                        self._take(json.loads(event.data), is_opening, is_silent)
            elif kind == "application/json":
                answer = json.loads(response.read() or b"null")
                if response.is_success or _answers(answer, message):
                    self._take(answer, is_opening, is_silent)
                    status = HTTPStatus.OK
            return status

    def _take(self, answer: Any, is_opening: bool, is_silent: bool) -> None:
        """Write what has come back, and note the version that was agreed on."""
        for one in cast("list[Any]", answer) if isinstance(answer, list) else [answer]:
            if is_opening and isinstance(one, dict):
                result: Message = cast("Message", one).get("result") or {}
                self._version = str(result.get("protocolVersion", ""))
            if one is not None and not is_silent:
                self._write(one)

    def _write(self, message: Any) -> None:
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        with self._writing:
            self._out.write(line + "\n")
            self._out.flush()

    @staticmethod
    def _describe(message: Message) -> dict[str, str]:
        """Return the headers that repeat what a message of the modern era says."""
        given = message.get("params")
        parameters = cast("Message", given) if isinstance(given, dict) else {}
        meta: Message = parameters.get("_meta") or {}
        version = meta.get(_META_VERSION)
        method = message.get("method")
        if not isinstance(version, str) or not isinstance(method, str):
            return {}
        name = parameters.get(_NAMED_BY.get(method, ""))
        named = {NAME: encode_header(name)} if isinstance(name, str) else {}
        return {VERSION: version, METHOD: method, **named}

    def _name_session(self) -> dict[str, str]:
        known = {SESSION: self._session, VERSION: self._version}
        return {name: value for name, value in known.items() if value}

    # --- the session ----------------------------------------------------------------------------

    def _reopen(self, session: str) -> None:
        """Open a session in the place of a forgotten one, once for all calls."""
        with self._opening:
            if self._session != session or self._initialize is None:
                return
            status = self._post(self._initialize, is_silent=True)
            if problem := _explain(status, self._url):
                raise CallFailed(problem)
            self._post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _end_session(self) -> None:
        if self._session:
            try:
                self._client.delete(self._url, headers=self._name_session())
            except httpx2.HTTPError:
                logger.debug("The session could not be ended", exc_info=True)


def encode_header(text: str) -> str:
    """Return a text as a header of MCP carries it: plain ASCII as it is, else Base64."""
    if _PLAIN.fullmatch(text) and not text.startswith("=?base64?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def _parse(line: str) -> Message | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return cast("Message", message) if isinstance(message, dict) else None


def _answers(answer: Any, message: Message) -> bool:
    """Return True if the body of an error's status is itself the answer to the message.

    An error without an id, as when a session is not known, is none.
    """
    found = cast("Message", answer) if isinstance(answer, dict) else {}
    return "id" in message and found.get("id") == message["id"] and "error" in found


def _explain(status: int, url: str) -> str:
    """Return what a status means to the user; empty where all is well."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"{url} does not accept the token: ask for a new one, then `sediment-mcp install --url` again."
    if status == HTTPStatus.NOT_FOUND:
        return f"There is no memory server at {url}: check the URL, which usually ends with /mcp."
    if status in PUT_OFF:
        return f"{url} is too busy or restarting (status {status}): try again in a minute."
    if status >= HTTPStatus.BAD_REQUEST:
        return f"{url} refused the call (status {status}): ask who runs the server."
    return ""
