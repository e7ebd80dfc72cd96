"""Find private keys, tokens and passwords in a text, with detect-secrets.

Its detectors of known formats are used, those of high entropy are not: memories often hold UUIDs, commit
hashes and checksums. The detector of Telegram tokens is not used either, because many names of AWS resources
match it. Nothing is verified over the network, and no secret leaves this module. The library takes a tenth of
a second to import, which happens with the first text.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

MIN_PASSWORD_LENGTH = 6  # characters; anything shorter is taken for a word of the sentence
PLACEHOLDERS = ("password", "passwd", "secret", "example", "changeme", "placeholder", "your", "xxxx", "****")


def find_secret_kinds(texts: Iterable[str]) -> list[str]:
    """Return the kinds of secrets that the texts seem to hold, such as "GitHub Token", sorted."""
    return sorted({kind for text in texts for line in text.splitlines() for kind in _find_kinds(line)})


def _find_kinds(line: str) -> Iterator[str]:
    for detector in _load_detectors():
        if any(_is_credible(detector.secret_type, secret) for secret in detector.analyze_string(line)):
            yield {"Secret Keyword": "Password"}.get(detector.secret_type, detector.secret_type)


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
    )
