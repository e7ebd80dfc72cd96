"""Types of arguments: each reads a value, and describes what it takes as JSON schema.

Models send numbers and truth values as text, so these are taken for what they mean. Reading is done without a
library, because importing one that validates takes longer than answering the first request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from math import isfinite
from typing import Any, Generic, Protocol, TypeVar

from sediment_mcp.system.time_zone import Days
from sediment_mcp.system.timestamps import parse_iso

MAX_DIGITS = 4300  # of a number in text; Python refuses to parse more
LONG_TEXT = 10_000  # characters; a schema tells no shorter limit, for no real name, tag or id meets it
NOT_A_TIME = "must be an ISO 8601 time such as 2026-05-08T14:30:00Z, or a date such as 2026-05-08"
NO_OBJECT = 'must be a JSON object, such as {"source": "chat"}'
NO_TEXT = "must be a valid string"
NO_INTEGER = "must be a valid integer"
NO_NUMBER = "must be a valid number"
NOT_FINITE = "must be a finite number"
NO_BOOLEAN = "must be a valid boolean"
HALF_A_CHARACTER = "holds half of a surrogate pair: send whole Unicode characters"
MISSING = "is missing: give it and call again"

_INTEGER = re.compile(r"([+-]?[0-9]+(?:_[0-9]+)*)(?:\.0+)?")
_YES = ("1", "on", "t", "true", "y", "yes")
_NO = ("0", "off", "f", "false", "n", "no")

JsonSchema = dict[str, Any]
Fault = tuple[tuple[str, ...], str]
Prepare = Callable[[object], object]
ValueT = TypeVar("ValueT")
ValueT_co = TypeVar("ValueT_co", covariant=True)
ChoiceT = TypeVar("ChoiceT", bound=str)


class WrongValue(ValueError):
    """A value is not of its type.

    Attributes:
        faults: what is wrong, each as the path within the value and the words that follow its name.
    """

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*faults)
        self.faults = faults

    def list_faults_within(self, place: str) -> list[Fault]:
        """Return the faults as those of what holds the value at ``place``, a name or an index."""
        return [((place, *path), fault) for path, fault in self.faults]


def refuse(fault: str) -> WrongValue:
    """Return the error for one fault of a value as a whole."""
    return WrongValue(((), fault))


class ArgumentType(Protocol[ValueT_co]):
    """How the value of an argument is read, and what its JSON schema says."""

    def read(self, value: object) -> ValueT_co:
        """Return what a value means.

        Raises:
            WrongValue: it is no value of this type.
        """
        ...

    def build_schema(self) -> JsonSchema:
        """Return the JSON schema of the values."""
        ...


def leave(value: object) -> object:
    """Return a value as it was sent."""
    return value


# --- text ---------------------------------------------------------------------------------------


class Text:
    """Text of some length, in characters; ``allows_blank`` allows white space alone."""

    def __init__(
        self,
        max_length: int | None = None,
        *,
        min_length: int = 1,
        allows_blank: bool = True,
        prepare: Prepare = leave,
    ) -> None:
        self.max_length = max_length
        self.min_length = min_length
        self.allows_blank = allows_blank
        self.prepare = prepare

    def read(self, value: object) -> str:
        """Return the text.

        Raises:
            WrongValue: it is no text, or too short or long.
        """
        text = self.prepare(value)
        if not isinstance(text, str):
            raise refuse(NO_TEXT)
        if not text.isascii():
            _check_characters(text)
        if len(text) < self.min_length:
            raise refuse("is empty: give at least one character")
        if self.max_length is not None and len(text) > self.max_length:
            raise refuse(f"is too long: it must be at most {self.max_length} characters")
        if not self.allows_blank and not text.strip():
            raise refuse("must hold more than white space")
        return text

    def build_schema(self) -> JsonSchema:
        """Return the JSON schema of the text."""
        is_long = self.max_length is not None and self.max_length >= LONG_TEXT
        return {"type": "string", **({"maxLength": self.max_length} if is_long else {})}


def _check_characters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise refuse(HALF_A_CHARACTER) from None


class Choice(Generic[ChoiceT]):
    """One word of a fixed set, in any case."""

    def __init__(self, words: tuple[ChoiceT, ...]) -> None:
        self.words = words

    def read(self, value: object) -> ChoiceT:
        """Return the word as it is listed.

        Raises:
            WrongValue: it is none of them.
        """
        wanted = value.strip().lower() if isinstance(value, str) else None
        for word in self.words:
            if word == wanted:
                return word
        quoted = [f"'{word}'" for word in self.words]
        raise refuse(f"must be {', '.join(quoted[:-1])} or {quoted[-1]}")

    def build_schema(self) -> JsonSchema:
        """Return the JSON schema of the words."""
        return {"type": "string", "enum": list(self.words)}


class ScopeChoice(Choice[ChoiceT]):
    """Whose memories are meant; the word for the team's is listed only where there is a team.

    It is always read, so that a call without a team is told what is missing.
    """

    def __init__(self, words: tuple[ChoiceT, ...], team: ChoiceT) -> None:
        super().__init__(words)
        self.team: Choice[ChoiceT] = Choice((*words, team))

    def read(self, value: object) -> ChoiceT:
        """Return the word.

        Raises:
            WrongValue: it is none of them.
        """
        try:
            return self.team.read(value)
        except WrongValue:
            return super().read(value)


class Time:
    """A time of ISO 8601; ``convert`` gives the one that a date alone stands for.

    Times are shown cut to seconds, so as an end (``is_end``) a whole second includes all of itself.
    """

    def __init__(self, convert: Callable[[Days], datetime], *, is_end: bool = False) -> None:
        self.convert = convert
        self.is_end = is_end

    def read(self, value: object) -> datetime:
        """Return the time, in UTC.

        Raises:
            WrongValue: it is no such time.
        """
        try:
            time = parse_iso(value) if isinstance(value, str) else None
        except (ValueError, OverflowError):
            time = None
        if time is None:
            raise refuse(NOT_A_TIME)
        if isinstance(time, Days):
            return self.convert(time)
        return time.replace(microsecond=999_999) if self.is_end and not time.microsecond else time

    def build_schema(self) -> JsonSchema:
        """Return the JSON schema; it has no format, because "date-time" would forbid a date alone."""
        return {"type": "string"}


# --- numbers and truth values -------------------------------------------------------------------


class Integer:
    """A whole number within bounds, both inclusive."""

    def __init__(self, minimum: int, maximum: int) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def read(self, value: object) -> int:
        """Return the number.

        Raises:
            WrongValue: it is no whole number, or out of bounds.
        """
        number = _read_integer(value)
        _check_bounds(number, self.minimum, self.maximum)
        return number

    def build_schema(self) -> JsonSchema:
        """Return the JSON schema of the number."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


def _read_integer(value: object) -> int:
    if isinstance(value, str):
        found = _INTEGER.fullmatch(value.strip())
        if found is None:
            raise refuse(f"{NO_INTEGER}, unable to parse string as an integer")
        return int(found[1][:MAX_DIGITS])  # of a longer one only the sign and that it is large matter
    if not isinstance(value, int | float):
        raise refuse(NO_INTEGER)
    if isinstance(value, float) and not isfinite(value):
        raise refuse(NOT_FINITE)
    if value != int(value):
        raise refuse(f"{NO_INTEGER}, got a number with a fractional part")
    return int(value)


class Number:
    """A number within bounds, both inclusive."""

    def __init__(self, minimum: int, maximum: int, *, prepare: Prepare = leave) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.prepare = prepare

    def read(self, value: object) -> float:
        """Return the number.

        Raises:
            WrongValue: it is no number, not finite, or out of bounds.
        """
        number = _read_number(self.prepare(value))
        if not isfinite(number):
            raise refuse(NOT_FINITE)
        _check_bounds(number, self.minimum, self.maximum)
        return number

    def build_schema(self) -> JsonSchema:
        """Return the JSON schema of the number."""
        return {"type": "number", "minimum": self.minimum, "maximum": self.maximum}


def _read_number(value: object) -> float:
    if isinstance(value, str):
        try:
            return float(value if value.isascii() else value.strip().encode("ascii"))
        except ValueError:
            raise refuse(f"{NO_NUMBER}, unable to parse string as a number") from None
    if not isinstance(value, int | float):
        raise refuse(NO_NUMBER)
    try:
        return float(value)
    except OverflowError:
        raise refuse(NO_NUMBER) from None


def _check_bounds(number: float, minimum: int, maximum: int) -> None:
    if number < minimum:
        raise refuse(f"must be greater than or equal to {minimum}")
    if number > maximum:
        raise refuse(f"must be less than or equal to {maximum}")


class Boolean:
    """True or false, also as 1 or 0 or in a word."""

    def read(self, value: object) -> bool:
        """Return the truth value.

        Raises:
            WrongValue: it is none.
        """
        word = value.lower() if isinstance(value, str) else value
        if word in (1, *_YES):
            return True
        if word in (0, *_NO):
            return False
        if isinstance(value, str | int | float):
            raise refuse(f"{NO_BOOLEAN}, unable to interpret input")
        raise refuse(NO_BOOLEAN)

    def build_schema(self) -> JsonSchema:
        """Return the JSON schema of a truth value."""
        return {"type": "boolean"}
