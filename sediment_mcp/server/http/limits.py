"""How much one caller may ask for: calls a second, calls at the same time, open sessions.

All of this runs in the event loop's thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sediment_mcp.server.http.settings import MAX_SESSIONS_OF_CALLER, SESSION_SECONDS, HttpSettings

BURST_SECONDS = 2  # whose calls a caller may make at once
MAX_IDLE_CALLERS = 1_000  # that are remembered

Key = tuple[str, str]  # tenant and name of a caller


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is refused, in a word and a sentence, and for how many seconds."""

    reason: str
    sentence: str
    retry_after: int


@dataclass(slots=True)
class _Usage:
    """What a caller uses: its running calls, and how many it may still make, as of a time."""

    allowance: float
    updated_at: float
    running: int = 0
    sessions: dict[str, float] = field(default_factory=dict[str, float])


class CallLimits:
    """Counts the calls and sessions of each caller."""

    def __init__(self, settings: HttpSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = settings.rate
        self._most_running = settings.calls_at_once
        self._clock = clock
        self._callers: dict[Key, _Usage] = {}

    def start(self, caller: Key) -> Refusal | None:
        """Count a call, or return why it is refused."""
        usage = self._update(caller)
        if usage.running >= self._most_running:
            sentence = f"More than {self._most_running} calls at the same time: wait for answers."
            return Refusal("concurrency", sentence, 1)
        if self._rate and usage.allowance < 1:
            wait = math.ceil((1 - usage.allowance) / self._rate)
            return Refusal("rate", f"More than {self._rate} calls a second: try again in {wait} s.", wait)
        usage.allowance -= 1
        usage.running += 1
        return None

    def finish(self, caller: Key) -> None:
        """Count a call no longer."""
        self._callers[caller].running -= 1

    def check_session(self, caller: Key) -> Refusal | None:
        """Return why a caller may open no other session, or None."""
        usage = self._update(caller)
        since = self._clock() - SESSION_SECONDS
        usage.sessions = {id: used_at for id, used_at in usage.sessions.items() if used_at > since}
        if len(usage.sessions) < MAX_SESSIONS_OF_CALLER:
            return None
        sentence = f"More than {MAX_SESSIONS_OF_CALLER} open sessions: end one, or use one for several calls."
        return Refusal("sessions", sentence, 60)

    def note_session(self, caller: Key, session: str) -> None:
        """Note that a session was opened or used."""
        self._update(caller).sessions[session] = self._clock()

    def forget_session(self, caller: Key, session: str) -> None:
        """Note that a session has ended."""
        self._update(caller).sessions.pop(session, None)

    def _update(self, caller: Key) -> _Usage:
        """Return what the caller uses, with the calls that the time since has allowed."""
        now, most = self._clock(), float(self._rate * BURST_SECONDS)
        usage = self._callers.pop(caller, None) or _Usage(most, now)
        usage.allowance = min(most, usage.allowance + (now - usage.updated_at) * self._rate)
        usage.updated_at = now
        self._callers[caller] = usage  # the last one now
        if len(self._callers) > MAX_IDLE_CALLERS:
            self._forget_idle(now)
        return usage

    def _forget_idle(self, now: float) -> None:
        """Forget callers without calls and sessions of whom a new entry would say the same."""
        self._callers = {
            key: usage
            for key, usage in self._callers.items()
            if usage.running
            or now - usage.updated_at < BURST_SECONDS
            or any(used_at > now - SESSION_SECONDS for used_at in usage.sessions.values())
        }
