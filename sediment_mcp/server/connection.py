"""One client's connection: its era, which request is answered by what, what is refused.

It knows nothing of bytes. Messages come in one after the other; answers go out from any thread. What needs no
more than this package's own small modules is answered at once, in the thread that delivers the message, so
that the start is not waited for; everything else runs in worker threads.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from sediment_mcp.server.jsonrpc import INTERNAL_ERROR, Id, Message, build_error, is_request, is_response
from sediment_mcp.server.protocol import (
    CANCELLED,
    DISCOVER,
    INITIALIZE,
    INITIALIZED,
    PING,
    ROOTS_CHANGED,
    Params,
    ProtocolError,
    build_discovery,
    build_handshake,
    check_envelope,
    has_envelope,
    negotiate_revision,
    refuse_envelope,
    refuse_handshake,
    refuse_method,
    refuse_params,
    stamp_result,
)
from sediment_mcp.server.protocol_errors import INTERNAL_FAILURE
from sediment_mcp.server.request_shapes import ENVELOPE_SHAPES, HANDSHAKE_SHAPES, check_params, is_notice

MAX_EARLY_MESSAGES = 8  # that count before the first request; the SDK keeps as many

log = logging.getLogger(__name__)


class Client(Protocol):
    """What the functions that answer a request may ask of the client."""

    def ask(self, method: str, timeout: float) -> Message | None:
        """Return the client's result of a request to it; None without one."""
        ...

    @property
    def has_roots(self) -> bool:
        """Whether the client can be asked for its roots."""
        ...

    @property
    def name(self) -> str:
        """What the client has called itself in its handshake; empty without one."""
        ...


class Handlers(Protocol):
    """The functions that answer requests."""

    light: Mapping[str, Callable[[Params], Message]]
    """By method, those that answer at once, with parameters."""
    heavy: Mapping[str, Callable[[Client, Params], Message]]
    """By method, those that need a worker thread, with the client and parameters."""

    def forget_roots(self) -> None:
        """Forget the client's roots, because they have changed."""
        ...


class Connection:
    """The state of one client, and the answers to its messages."""

    def __init__(
        self,
        handlers: Handlers,
        send: Callable[[Message], None],
        run: Callable[[Callable[[], None]], None],
    ) -> None:
        """Answer with the handlers.

        ``send`` takes a message for the client, from any thread, and ``run`` a function for a worker thread.
        """
        self._handlers = handlers
        self._light: dict[str, Callable[[Params], Message]] = {
            INITIALIZE: self._initialize,
            PING: _answer_ping,
            DISCOVER: _answer_discovery,
            **handlers.light,
        }
        self._send = send
        self._run = run
        self._is_enveloped: bool | None = None  # until the first request
        self._early_messages = 0
        self._is_initialized = False
        self._capabilities: Mapping[str, Any] | None = None  # of the client, once it has shaken hands
        self._name = ""
        self._waiting: set[Id] = set()
        self._numbers = itertools.count(1)
        self._questions: dict[str, SimpleQueue[Message]] = {}

    def receive(self, message: Message) -> None:
        """Take a message of the client; nothing that it holds raises an error."""
        if is_request(message):
            self._receive_request(message)
        elif is_response(message):
            self._receive_answer(message)
        else:
            self._receive_notification(message["method"], message.get("params", {}))

    # --- requests ---------------------------------------------------------------------------------

    def _receive_request(self, message: Message) -> None:
        id, method, params = message["id"], message["method"], message.get("params", {})
        if self._is_enveloped is None:
            self._is_enveloped = method != INITIALIZE and has_envelope(params)
        try:
            self._check(method, params)
        except ProtocolError as error:
            self._send(error.answer(id))
            return
        if light := self._light.get(method):
            self._respond(id, method, lambda: light(params))
            return
        heavy = self._handlers.heavy[method]
        self._waiting.add(id)
        self._run(lambda: self._work(id, method, lambda: heavy(self, params)))

    def _check(self, method: str, params: Params) -> None:
        """Check whether a request may be answered, in the order of the official SDK.

        Raises:
            ProtocolError: it may not.
        """
        if self._is_enveloped:
            if method == INITIALIZE:
                raise refuse_handshake(params)
            check_envelope(params)
            check_params(method, params, ENVELOPE_SHAPES)
        else:
            if method != INITIALIZE:
                refuse_envelope(params)
            check_params(method, params, HANDSHAKE_SHAPES)
        if method not in self._light and method not in self._handlers.heavy:
            raise refuse_method(method)
        if not (self._is_enveloped or self._has_shaken_hands or method in (INITIALIZE, PING)):
            raise refuse_params()

    @property
    def _has_shaken_hands(self) -> bool:
        """Whether the handshake has begun, or the client says that it was done."""
        return self._capabilities is not None or self._is_initialized

    def _initialize(self, params: Params) -> Message:
        self._capabilities = params["capabilities"]
        self._name = params["clientInfo"]["name"]
        return build_handshake(negotiate_revision(params["protocolVersion"]))

    def _work(self, id: Id, method: str, answer: Callable[[], Message]) -> None:
        """Answer a request in a worker thread, unless it was cancelled while it waited for one."""
        try:
            self._waiting.remove(id)
        except KeyError:
            return
        self._respond(id, method, answer)

    def _respond(self, id: Id, method: str, answer: Callable[[], Message]) -> None:
        try:
            result = answer()
        except ProtocolError as error:
            self._send(error.answer(id))
        except BaseException:  # a panic in a Rust extension is no Exception
            log.exception("%s failed", method)
            self._send(build_error(id, INTERNAL_ERROR, INTERNAL_FAILURE))
        else:
            stamped = stamp_result(method, result) if self._is_enveloped else result
            self._send({"jsonrpc": "2.0", "id": id, "result": stamped})

    # --- notifications ----------------------------------------------------------------------------

    def _receive_notification(self, method: str, params: Params) -> None:
        if method == CANCELLED:
            self._cancel(params.get("requestId"))
            return
        if self._comes_too_early() or not is_notice(params):
            return
        if method == INITIALIZED:
            self._is_initialized = True
        elif method == ROOTS_CHANGED and not self._is_enveloped and self._has_shaken_hands:
            self._handlers.forget_roots()

    def _cancel(self, id: object) -> None:
        if isinstance(id, str | int):
            self._waiting.discard(id)

    def _comes_too_early(self) -> bool:
        """Return whether this is one message too many before the first request."""
        if self._is_enveloped is None:
            self._early_messages += 1
        return self._is_enveloped is None and self._early_messages > MAX_EARLY_MESSAGES

    # --- requests to the client -------------------------------------------------------------------

    @property
    def has_roots(self) -> bool:
        """Whether the client can be asked for its roots: it said so in its handshake."""
        return self._capabilities is not None and self._capabilities.get("roots") is not None

    @property
    def name(self) -> str:
        """What the client has called itself in its handshake; empty without one."""
        return self._name

    def ask(self, method: str, timeout: float) -> Message | None:
        """Send the client a request without parameters; return its result.

        None if it answers with an error, or not within ``timeout`` seconds.
        """
        number = next(self._numbers)
        answers = self._questions[str(number)] = SimpleQueue[Message]()
        try:
            self._send({"jsonrpc": "2.0", "id": number, "method": method})
            return answers.get(timeout=timeout).get("result")
        except Empty:
            reason = {"requestId": number, "reason": f"timed out after {timeout}s"}
            self._send({"jsonrpc": "2.0", "method": CANCELLED, "params": reason})
            return None
        finally:
            del self._questions[str(number)]

    def _receive_answer(self, message: Message) -> None:
        self._comes_too_early()
        if answers := self._questions.get(str(message["id"])):  # some clients answer 1 with "1"
            answers.put(message)


def _answer_ping(_: Params) -> Message:
    return {}


def _answer_discovery(_: Params) -> Message:
    return build_discovery()
