"""Secrets are found in long lines as in short ones, in time proportional to the text."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain import secrets
from sediment_mcp.domain.secrets import find_secret_kinds


def part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


JWT = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': '7', 'name': 'x' * 900})}.{'c2ln' * 11}"
SECRETS = {
    'password = "hunter2x"': "Password",
    "if db_password_staging == 'hunter2x':": "Password",
    'api_key: "8f14e45fceea167a5a36dedd4bea2543aa"': "Password",
    'client_secret => `Zx81-q7!`': "Password",
    'private_key "Zx81q7kk";': "Password",
    "'Zx81q7kk' == my_secret": "Password",
    f"Authorization: Bearer {JWT}": "JSON Web Token",
    "//registry.npmjs.org/:_authToken=npm_A1b2C3d4E5f6G7h8I9j0": "NPM tokens",
    f"OPENAI=sk-proj-{'aB3' * 10}T3BlbkFJ{'aB3' * 7}": "OpenAI Token",
    "postgres://app:Tr0ub4dor@db.internal/x": "Basic Auth Credentials",
    "xoxb-123456789012-abcdef123456": "Slack Token",
    "key AKIAQ4RTZX7PLMN2KD5W": "AWS Access Key",
}  # fmt: skip
FILLER = 'the port of staging is 8080 and (note) it\'s `code` "quoted" a/b x=y - .'
words = st.lists(st.sampled_from(FILLER.split()))


@pytest.mark.parametrize("secret", SECRETS)
@given(before=words, after=words)
def test_short_lines_are_read_as_the_library_reads_them(
    secret: str, before: list[str], after: list[str]
) -> None:
    line = " ".join((*before[:12], secret, *after[:12]))
    whole = {
        {"Secret Keyword": "Password"}.get(detector.secret_type, detector.secret_type)
        for detector in secrets._load_detectors()
        if any(secrets._is_credible(detector.secret_type, found) for found in detector.analyze_string(line))
    }
    assert set(find_secret_kinds([line])) == whole


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("place", [0, 1, 100, 159, 160, 161, 200, 5_000])
def test_a_secret_is_found_wherever_it_stands_in_a_long_line(secret: str, place: int) -> None:
    filler = ("a paragraph of a note that goes on without a break and says nothing " * 100)[:place]
    assert SECRETS[secret] in find_secret_kinds([f"{filler} {secret} {filler}"])
    assert SECRETS[secret] in find_secret_kinds([f"{filler} {secret}"])


def test_a_secret_as_long_as_a_page_is_found_in_a_long_line() -> None:
    line = f'{"so " * 100}client_secret = "{"aB3/" * 500}" and more'
    assert find_secret_kinds([line]) == ["Password"]


def test_a_token_that_holds_json_of_a_thousand_levels_is_no_failure() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 60_000).decode()
    assert find_secret_kinds([f"eyJ{deep}.eyJ{deep}"]) == []
