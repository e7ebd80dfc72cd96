"""What the user decides: one frozen value, built once at the edge and passed on as an argument.

This is the only module that names an environment variable. A flag of the same name wins over it.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
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
VARIABLES = (DATA_DIR, PROJECT, MODEL, LOG_LEVEL, SECRETS, QUESTIONS, BACKUPS)

Secrets = Literal["warn", "refuse"]
SECRETS_CHOICES: tuple[Secrets, ...] = ("warn", "refuse")
Questions = Literal["forget", "keep"]
QUESTIONS_CHOICES: tuple[Questions, ...] = ("forget", "keep")

ChoiceT = TypeVar("ChoiceT", bound=str)

DEFAULT_MODEL = "all-MiniLM-L6-v2"
NO_MODEL = "none"
KEPT_BACKUPS = 7
MOST_BACKUPS = 1000


@dataclass(frozen=True, slots=True)
class Config:
    """``project`` None means "find out"; the empty string means "none, and do not look for one".

    ``model`` is `DEFAULT_MODEL`, `NO_MODEL`, or a folder or hub name for sentence-transformers.
    ``secrets`` says what becomes of a text that seems to hold one: stored with a warning, or refused.
    ``questions`` says what becomes of a question that finds nothing: forgotten, or kept for `stats`.
    ``backups`` is how many automatic backups are kept; with 0 none are made.
    """

    data_dir: Path
    project: str | None = None
    model: str = DEFAULT_MODEL
    log_level: LogLevel = "INFO"
    secrets: Secrets = "warn"
    questions: Questions = "forget"
    backups: int = KEPT_BACKUPS


def load_config(environment: Mapping[str, str], flags: Mapping[str, str | None] | None = None) -> Config:
    """Build the configuration; ``flags`` has the variables' names as keys and wins over ``environment``.

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
        log_level=_one_of(LOG_LEVELS, LOG_LEVEL, given.get(LOG_LEVEL, "").upper() or "INFO"),
        secrets=_one_of(SECRETS_CHOICES, SECRETS, given.get(SECRETS, "").lower()),
        questions=_one_of(QUESTIONS_CHOICES, QUESTIONS, given.get(QUESTIONS, "").lower()),
        backups=_count(given.get(BACKUPS, "").strip() or str(KEPT_BACKUPS)),
    )


def _one_of(choices: tuple[ChoiceT, ...], variable: str, value: str) -> ChoiceT:
    """The choice that the value names; the first one if it is empty."""
    for choice in choices:
        if choice == (value.strip() or choices[0]):
            return choice
    raise BadArgument(f"{variable} is {value!r}: set it to one of {', '.join(choices)}.")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MOST_BACKUPS):
        raise BadArgument(
            f"{BACKUPS} is {text!r}: set it to how many daily backups to keep, 0 to {MOST_BACKUPS}."
        )
    return int(text)


def default_data_dir() -> Path:
    """The user's data directory.

    On Windows it lies outside AppData: Claude Desktop is a packaged app there, and Windows gives its
    children a private copy of AppData that no other host would see.
    """
    if sys.platform == "win32":
        return Path.home() / ".sediment-mcp"
    import platformdirs

    return Path(platformdirs.user_data_dir("sediment-mcp", appauthor=False))


def environment() -> Mapping[str, str]:
    """All variables of this process, for an edge that hands them on; nothing else may look at them."""
    return os.environ


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A warning for each ``SEDIMENT_…`` variable that means nothing, so that a typing error is noticed."""
    warnings: list[str] = []
    for name in sorted(environment):
        if name.startswith("SEDIMENT_") and name not in VARIABLES:
            close = difflib.get_close_matches(name, VARIABLES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(VARIABLES)}."
            warnings.append(f"{name} is set but means nothing here: {hint}")
    return warnings
