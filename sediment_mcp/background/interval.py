"""Do something at intervals, by a clock that may be set back."""

from __future__ import annotations

from datetime import datetime, timedelta


class Interval:
    """Remember when something was last done, and say when it is due again."""

    def __init__(self, length: timedelta) -> None:
        self._length = length
        self._last: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Return True if it has not been done within the interval, or the clock was set back since."""
        return self._last is None or not timedelta(0) <= now - self._last < self._length

    def start(self, now: datetime) -> None:
        """Note that it is done now."""
        self._last = now

    def reset(self) -> None:
        """Note that it has not been done."""
        self._last = None
