"""The user's settings: one frozen value, built once at the start and passed as an argument.

The user's own settings, in ``SEDIMENT_…`` variables of the environment, are defined and read by this module
alone; a flag of the same name wins over a variable. Variables of other programs are named elsewhere:
`cli.main` sets three that libraries read, `cli` has that of shell completion, and `hosts` has those of hosts.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Literal, TypeVar

from sediment_mcp.errors import BadArgument

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LOG_LEVELS: tuple[LogLevel, ...] = ("DEBUG", "INFO", "WARNING", "ERROR")

DATA_DIR = "SEDIMENT_DATA_DIR"
PROJECT = "SEDIMENT_PROJECT"
MODEL = "SEDIMENT_MODEL"
LOG_LEVEL = "SEDIMENT_LOG_LEVEL"
SECRETS = "SEDIMENT_SECRETS"
QUESTIONS = "SEDIMENT_QUESTIONS"
BACKUPS = "SEDIMENT_BACKUPS"
TIMEZONE = "SEDIMENT_TIMEZONE"
VARIABLES = (DATA_DIR, PROJECT, MODEL, LOG_LEVEL, SECRETS, QUESTIONS, BACKUPS, TIMEZONE)

Secrets = Literal["warn", "refuse"]
SECRETS_CHOICES: tuple[Secrets, ...] = ("warn", "refuse")
Questions = Literal["forget", "keep"]
QUESTIONS_CHOICES: tuple[Questions, ...] = ("forget", "keep")

ChoiceT = TypeVar("ChoiceT", bound=str)

DEFAULT_MODEL = "all-MiniLM-L6-v2"
NO_MODEL = "none"
KEPT_BACKUPS = 7
MOST_BACKUPS = 1000
OFFSET = re.compile(r"(?:UTC|GMT)?([+-])([0-9]{1,2})(?::?([0-5][0-9]))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tuning:
    """Measured thresholds, batch sizes and timeouts; only tests and benchmarks set them."""

    text_memtable_limit: int = 256  # chunks; an index commit costs the same for one and for hundreds
    exact_search_limit: int = 10_000  # embeddings; exact search takes 2 ms for so many and misses nothing
    vector_memtable_limit: int = 5_000  # embeddings beyond a snapshot; 0.9 ms more for a query
    far_behind: int = 2000  # chunks not indexed, 0.1 ms each; from this number on, an index is written first
    common_terms_from: int = 1000  # chunks; from this number on, common terms are left out for rarer ones
    foremost: int = 48  # memories whose neighbours are read, which is most of the cost of a query ...
    foremost_per_result: int = 8  # ... or so many for each result, because neighbours change the ranking
    commit_every: int = 512  # chunks embedded between two commits; one of 32 takes a fifth longer
    retention_batch: int = 500  # memories removed between two commits
    settle_seconds: float = 0.2  # to wait for more writes before background work begins
    rest_seconds: float = 60.0  # between two checks for work that other processes may have left undone
    lock_timeout: float = 30.0  # seconds; a writer holds a lock for milliseconds, unless it hangs
    close_timeout: float = 0.5  # seconds that the end of the process waits for work under way
    erase_timeout_ms: int = 2000  # how long emptying the log waits for readers
    max_wal_bytes: int = 4 * 1024 * 1024  # a longer log is moved into the database
    spare_disk_bytes: int = 100 * 1024 * 1024  # that a backup leaves free for storing memories


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of a process.

    ``project`` None means that it is to be found out; the empty string means that there is none.
    ``model`` is `DEFAULT_MODEL`, `NO_MODEL`, or a folder or hub name for sentence-transformers.
    ``secrets``: a text that seems to hold a secret is stored with a warning ("warn") or refused ("refuse").
    ``questions``: a query that finds nothing is forgotten ("forget") or kept for `stats` ("keep").
    ``backups`` is how many automatic backups are kept; with 0 none are made.
    ``zone`` is the time zone in which days are the user's; None: that of the machine.
    ``tuning`` is not a setting of the user: no variable and no flag sets it.
    """

    data_dir: Path
    project: str | None = None
    model: str = DEFAULT_MODEL
    log_level: LogLevel = "INFO"
    secrets: Secrets = "warn"
    questions: Questions = "forget"
    backups: int = KEPT_BACKUPS
    zone: tzinfo | None = None
    tuning: Tuning = field(default_factory=Tuning)


def load_config(environment: Mapping[str, str], flags: Mapping[str, str | None] | None = None) -> Config:
    """Build the configuration from the environment and the flags.

    ``flags`` has names of variables as keys, and wins over ``environment``.

    Raises:
        BadArgument: a value is not one of those allowed.
    """
    given = {name: value for name, value in environment.items() if name in VARIABLES}
    given.update({name: value for name, value in (flags or {}).items() if value is not None})
    directory = given.get(DATA_DIR, "").strip()
    return Config(
        data_dir=Path(directory).expanduser().absolute() if directory else default_data_dir(),
        project=given.get(PROJECT),
        model=given.get(MODEL, "").strip() or DEFAULT_MODEL,
        log_level=_parse_choice(LOG_LEVELS, LOG_LEVEL, given.get(LOG_LEVEL, "").upper() or "INFO"),
        secrets=_parse_choice(SECRETS_CHOICES, SECRETS, given.get(SECRETS, "").lower()),
        questions=_parse_choice(QUESTIONS_CHOICES, QUESTIONS, given.get(QUESTIONS, "").lower()),
        backups=_parse_backups(given.get(BACKUPS, "").strip() or str(KEPT_BACKUPS)),
        zone=_parse_zone(given.get(TIMEZONE, "").strip()),
    )


def _parse_choice(choices: tuple[ChoiceT, ...], variable: str, value: str) -> ChoiceT:
    """Return the choice that the value names; the first choice if the value is empty."""
    for choice in choices:
        if choice == (value.strip() or choices[0]):
            return choice
    raise BadArgument(f"{variable} is {value!r}: set it to one of {', '.join(choices)}.")


def _parse_backups(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MOST_BACKUPS):
        raise BadArgument(
            f"{BACKUPS} is {text!r}: set it to how many daily backups to keep, 0 to {MOST_BACKUPS}."
        )
    return int(text)


def _parse_zone(name: str) -> tzinfo | None:
    zone = find_zone(name)
    if name and zone is None:
        raise BadArgument(
            f"{TIMEZONE} is {name!r}: set it to a time zone such as Europe/Berlin or +02:00, or leave it out "
            "for that of the machine."
        )
    return zone


def find_zone(name: str) -> tzinfo | None:
    """Return the time zone of a name of the tz database, or of an offset; None if there is none."""
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    if offset := OFFSET.fullmatch(name):
        east = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return timezone(-east if offset[1] == "-" else east) if east < timedelta(days=1) else None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such name, no name at all, or a folder of names
        return None


def default_data_dir() -> Path:
    """Return the user's data directory.

    On Windows it lies outside AppData: Claude Desktop is a packaged app there, and Windows gives its
    children a private copy of AppData that no other host would see.
    """
    if sys.platform == "win32":
        return Path.home() / ".sediment-mcp"
    import platformdirs

    return Path(platformdirs.user_data_dir("sediment-mcp", appauthor=False))


def environment() -> Mapping[str, str]:
    """Return all environment variables of this process.

    Only the entry points in `cli` may call this; they pass the variables on as an argument.
    """
    return os.environ


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a warning for each unknown ``SEDIMENT_…`` variable: it may be a typing error."""
    warnings: list[str] = []
    for name in sorted(environment):
        if name.startswith("SEDIMENT_") and name not in VARIABLES:
            close = difflib.get_close_matches(name, VARIABLES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(VARIABLES)}."
            warnings.append(f"{name} is set but means nothing here: {hint}")
    return warnings
