"""Find private keys, tokens and passwords in a text, with detect-secrets.

Its detectors of known formats are used, those of high entropy are not: memories often hold UUIDs, commit
hashes and checksums. The detector of Telegram tokens is not used either, because many names of AWS resources
match it. Nothing is verified over the network, and no secret leaves this module. The library takes a tenth of
a second to import, which happens with the first text.

Three of its detectors take quadratic time or worse, and the expressions hold the interpreter's lock. They get
a line in overlapping windows, and what repeats itself is shortened first, so that the time is proportional to
the text's length whatever it holds.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from sediment_mcp.domain.access_token import SHAPE

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

MIN_PASSWORD_LENGTH = 6  # characters; anything shorter is taken for a word of the sentence
PLACEHOLDERS = ("password", "passwd", "secret", "example", "changeme", "placeholder", "your", "xxxx", "****")

WINDOW_CHARS = 256  # what a detector of quadratic time gets at once; a keyword and its secret take less
OVERLAP_CHARS = 96  # of two windows
MAX_BACKTICKS = 12  # in a window
MIN_LINE_CHARS = 8  # no detector finds anything in a shorter line

_KEYWORD = (
    "(?:(?:api|auth|service|account|db|database|priv|private|client)_?key|(?:db|database|key)_?pass"
    "|password|passwd|pwd|secret|contrase(?:\u00f1|n)a)"
)  # those of detect-secrets
_REPEATED_KEYWORDS = re.compile(rf"({_KEYWORD})(?:\w{{0,64}}?{_KEYWORD})+", re.IGNORECASE)
_LONG_RUN = re.compile(r"(?<![\w+/=.-])([\w+/=.-]{64})[\w+/=.-]*+(?<=[\w+/=.-]{96})")
_ACCESS_TOKEN = re.compile(rf"(?<![A-Za-z0-9_])({SHAPE.pattern})(?![A-Za-z0-9])", re.ASCII)
_JWT_PAIR = re.compile(r"(?<![\w=-])([\w=-]++)\.(?=([\w=-]++))", re.ASCII)


def find_secret_kinds(texts: Iterable[str]) -> list[str]:
    """Return the kinds of secrets that the texts seem to hold, such as "GitHub Token", sorted."""
    lines = {line for text in texts for line in text.splitlines() if len(line) >= MIN_LINE_CHARS}
    return sorted({kind for line in lines for kind in _find_kinds(line)})


def _find_kinds(line: str) -> Iterator[str]:
    for detector in _load_detectors():
        pieces = _PIECES.get(detector.secret_type, _take_whole)(line)
        if any(_is_credible(detector.secret_type, secret) for secret in _find_secrets(detector, pieces)):
            yield {"Secret Keyword": "Password"}.get(detector.secret_type, detector.secret_type)


def _find_secrets(detector: BasePlugin, pieces: Iterable[str]) -> Iterator[str]:
    for piece in pieces:
        with suppress(RecursionError):  # a token that holds JSON of a thousand levels is no token
            yield from detector.analyze_string(piece)


# --- pieces of a line for each detector ---------------------------------------------------------


def _take_whole(line: str) -> Iterator[str]:
    yield line


def _cut_windows(line: str, needed: str = "") -> Iterator[str]:
    """Yield windows that overlap and hold the text ``needed``; a short line is a window."""
    if needed in line:
        for start in range(0, max(1, len(line) - OVERLAP_CHARS), WINDOW_CHARS - OVERLAP_CHARS):
            window = line[start : start + WINDOW_CHARS]
            if needed in window:
                yield window


def _cut_keyword_windows(line: str) -> Iterator[str]:
    """Yield windows for the keyword detector, which reads on from each keyword to the end.

    Of keywords that are one word together the first is kept, and of a long run of other letters the beginning
    and the end.
    """
    if len(line) <= WINDOW_CHARS:
        return _cut_windows(_REPEATED_KEYWORDS.sub(r"\1", line))
    windows = _cut_windows(_REPEATED_KEYWORDS.sub(r"\1", _LONG_RUN.sub(r"\1", line)))
    return map(_drop_backticks, windows)


def _drop_backticks(window: str) -> str:
    """Return the window with its first `MAX_BACKTICKS` only: each is tried with all after it."""
    *kept, rest = window.split("`", MAX_BACKTICKS)
    return "`".join([*kept, rest.replace("`", " ")])


def _cut_jwt_pairs(line: str) -> Iterator[str]:
    """Yield each two parts with a dot between them that may begin a JSON Web Token."""
    if "eyJ" in line:
        for match in _JWT_PAIR.finditer(line):
            start = match[1].find("eyJ")
            if start >= 0:
                yield f"{match[1][start:]}.{match[2]}"


_PIECES: Mapping[str, Callable[[str], Iterator[str]]] = {
    "Secret Keyword": _cut_keyword_windows,
    "JSON Web Token": _cut_jwt_pairs,
    "NPM tokens": functools.partial(_cut_windows, needed=":_authToken="),
    "OpenAI Token": functools.partial(_cut_windows, needed="T3BlbkFJ"),
}
"""Kind of secret → what its detector gets of a line; other detectors take linear time, and get it whole."""


# --- what is found ------------------------------------------------------------------------------


def _is_credible(kind: str, secret: str) -> bool:
    """Return whether a finding is no placeholder, no variable and no ordinary word.

    In doubt it is False: a missed secret is better than many false warnings.
    """
    from detect_secrets.filters import heuristic

    if kind in ("Private Key", "GitHub Token"):  # the detectors return only the beginning of these
        return True
    lowered = secret.lower()
    if heuristic.is_templated_secret(secret) or heuristic.is_sequential_string(secret) or secret[:1] == "$":
        return False
    if any(placeholder in lowered for placeholder in PLACEHOLDERS):
        return False
    if kind == "Basic Auth Credentials":
        return lowered not in ("pass", "pwd", "pw")
    return _is_mixed(secret) and not (kind == "Secret Keyword" and _is_no_password(secret))


def _is_mixed(secret: str) -> bool:
    return any(map(str.isdigit, secret)) and any(map(str.isalpha, secret))


def _is_no_password(secret: str) -> bool:
    from detect_secrets.filters import heuristic

    return len(secret) < MIN_PASSWORD_LENGTH or " " in secret or heuristic.is_potential_uuid(secret)


@functools.cache
def _load_detectors() -> tuple[BasePlugin, ...]:
    from detect_secrets.plugins import (
        aws,
        azure_storage_key,
        basic_auth,
        discord,
        github_token,
        gitlab_token,
        jwt,
        keyword,
        mailchimp,
        npm,
        openai,
        private_key,
        pypi_token,
        sendgrid,
        slack,
        square_oauth,
        stripe,
        twilio,
    )
    from detect_secrets.plugins.base import RegexBasedDetector

    class AccessTokenDetector(RegexBasedDetector):
        @property
        def secret_type(self) -> str:
            return "sediment-mcp Token"

        @property
        def denylist(self) -> tuple[re.Pattern[str], ...]:
            return (_ACCESS_TOKEN,)

    return (
        aws.AWSKeyDetector(),
        azure_storage_key.AzureStorageKeyDetector(),
        basic_auth.BasicAuthDetector(),
        discord.DiscordBotTokenDetector(),
        github_token.GitHubTokenDetector(),
        gitlab_token.GitLabTokenDetector(),
        jwt.JwtTokenDetector(),
        keyword.KeywordDetector(),
        mailchimp.MailchimpDetector(),
        npm.NpmDetector(),
        openai.OpenAIDetector(),
        private_key.PrivateKeyDetector(),
        pypi_token.PypiTokenDetector(),
        sendgrid.SendGridDetector(),
        slack.SlackDetector(),
        square_oauth.SquareOAuthDetector(),
        stripe.StripeDetector(),
        twilio.TwilioKeyDetector(),
        AccessTokenDetector(),
    )
