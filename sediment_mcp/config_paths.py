"""Read paths as users write them in their settings, make them absolute, or refuse them."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote

from sediment_mcp.errors import BadArgument

DATA_DIR = "SEDIMENT_DATA_DIR"

PLACEHOLDER = re.compile(
    r"\$\{[^{}]*\}?|\$\([^()]*\)?|\$[A-Za-z_][\w:]*|%[A-Za-z_][\w()]*%|![A-Za-z_]\w*!"
    r"|\{\{(?:[^{}\n]|\{(?!\{)|\}(?!\}))*+\}\}|\{[A-Za-z_]\w*\}|<[^<>]+>"
)
"""What is to be replaced by a value: ${…}, $(…), $NAME, %NAME%, !NAME!, {{…}}, {name}, <name>."""
QUOTES = "\"'`\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}"
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:([\\/]|$)|\\\\")
_WORD = re.compile(r"[^\\/.~][^\\/]*")
HERE = re.compile(r"\.\.?([\\/]|$)")

NO_HOME = "no home directory is known here, neither by HOME nor in the list of users"


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
    is_exact = os.path.isabs(path) or bool(HERE.match(path))
    if not (is_exact and os.path.exists(path)):  # what exists under its very name is no typing error
        refuse_unfinished(value, name)
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
        refuse_unfinished(unquote(value[5:]), name)
        return f"file:{value[5:]}"
    if is_word or (_URI.match(value) and not _WINDOWS_PATH.match(value)):
        refuse_unfinished(value, name, is_path=False)
        return value
    return parse_path(value, name, may_be_relative=may_be_relative)


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
        f"set {DATA_DIR} or {get_flag(DATA_DIR)} to an absolute path, or set HOME."
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


def get_flag(variable: str) -> str:
    """Return the flag of a variable."""
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


def refuse_unfinished(value: str, name: str, *, is_path: bool = True) -> None:
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


def default_config_dir() -> Path:
    """Return the user's directory of settings, in which no memories lie.

    Raises:
        BadArgument: no home directory is known.
    """
    if sys.platform == "win32":  # outside of AppData, as the data directory is
        return find_home() / ".sediment-mcp-settings"
    import platformdirs

    with contextlib.suppress(RuntimeError):
        directory = Path(platformdirs.user_config_dir("sediment-mcp-settings", appauthor=False))
        if directory.is_absolute() and (os.environ.get("HOME") or os.environ.get("XDG_CONFIG_HOME")):
            return directory
    return find_home() / ".config" / "sediment-mcp-settings"
