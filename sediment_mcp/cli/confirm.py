"""Talk to the person at the terminal: say a sentence, ask, read what is typed or piped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sediment_mcp.errors import SedimentError

FAILED, WRONG_ARGUMENTS = 1, 2
"""Exit statuses: the command failed; its arguments were wrong."""


def say(sentence: str) -> None:
    """Write one line to stderr, without the control characters that a quotation may hold."""
    from sediment_mcp.system.text import show_control_characters

    sys.stderr.write(f"sediment-mcp: {show_control_characters(' '.join(sentence.split()))}\n")


def report_error(error: SedimentError) -> int:
    """Say what went wrong; return the exit status for it."""
    from sediment_mcp.errors import BadArgument

    say(str(error))
    return WRONG_ARGUMENTS if isinstance(error, BadArgument) else FAILED


def confirm(question: str, expected_answers: Sequence[str], refusal: str) -> bool:
    """Ask a person; return True if the answer is one of those expected.

    Raises:
        BadArgument: standard input is no terminal, so nobody can be asked; ``refusal`` is its sentence.
    """
    from sediment_mcp.errors import BadArgument

    if not sys.stdin.isatty():
        raise BadArgument(refusal)
    from sediment_mcp.system.text import show_control_characters

    sys.stderr.write(show_control_characters(question))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in expected_answers


def confirm_yes(question: str, refusal: str) -> bool:
    """Ask a question; return True if the answer is y or yes.

    Raises:
        BadArgument: standard input is no terminal, so nobody can be asked; ``refusal`` is its sentence.
    """
    return confirm(f"{question} [y/N] ", ("y", "yes"), refusal)


def read_standard_input(encoding: str | None = None) -> str:
    """Return standard input as text, cut off where it is too long for any memory.

    ``encoding`` is None where the user has named none. What had to be guessed is said.

    Raises:
        BadArgument: it is no text, or there is no saying in which encoding.
    """
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.operations.arguments import MAX_CONTENT_CHARS
    from sediment_mcp.system.encodings import NotText, decode_text
    from sediment_mcp.transfer.opening import find_codec

    most = 4 * MAX_CONTENT_CHARS + 4
    data = sys.stdin.buffer.read(most)
    try:
        decoded = decode_text(data, find_codec(encoding), is_complete=len(data) < most)
    except NotText as error:
        raise BadArgument(f"Standard input {error}") from None
    if decoded.note:
        say(f"Standard input {decoded.note}")
    return decoded.text


def read_passphrase(
    file: str | None, *, twice: bool = False, name: str = "Passphrase", is_piped: bool = False
) -> str:
    """Return a passphrase from the file that the user names, or ask for it by this ``name``.

    With ``is_piped`` it is the first line of standard input where nobody can be asked.

    Raises:
        BadArgument: there is none, or it is not the same both times.
    """
    from sediment_mcp.errors import BadArgument

    if file is not None:
        return _read_first_line(Path(file))
    if not sys.stdin.isatty():
        if is_piped and (line := sys.stdin.readline().rstrip("\r\n")):
            return line
        raise BadArgument(
            "A passphrase is needed, and nobody is here to be asked: add --passphrase-file FILE"
            f"{', or pipe it in' if is_piped else ''}."
        )
    from getpass import getpass

    passphrase = getpass(f"{name}: ")
    if not passphrase:
        raise BadArgument("An empty passphrase protects nothing: type one.")
    if twice and getpass("Once more: ") != passphrase:
        raise BadArgument("The two passphrases differ: try again.")
    return passphrase


def read_token(*, is_piped: bool) -> str:
    """Return the token that is piped or that a person is asked for; it may be empty.

    Raises:
        BadArgument: it was to be piped, and nothing was.
    """
    from sediment_mcp.errors import BadArgument

    if is_piped:
        if token := sys.stdin.readline().strip():
            return token
        raise BadArgument("--token-stdin reads the token from standard input, which is empty: pipe it in.")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    from getpass import getpass

    return getpass("Token (empty for none, or to keep the one that is there): ").strip()


def _read_first_line(path: Path) -> str:
    from sediment_mcp.errors import BadArgument

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadArgument(f"The passphrase file {path} cannot be read ({error}): check it.") from None
    if not lines or not lines[0]:
        raise BadArgument(f"The first line of {path} is empty: write the passphrase into it.")
    return lines[0]
