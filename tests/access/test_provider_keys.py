"""The keys of an identity provider: found, kept, and fetched anew no more often than is right."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.identity_provider import ISSUER, private_key, public_jwk, published_keys, run_provider

from sediment_mcp.access.provider import MAX_BYTES, fetch_keys, list_metadata_urls
from sediment_mcp.access.provider_keys import (
    KEEP_SECONDS,
    MAX_AGE_SECONDS,
    RETRY_SECONDS,
    ProviderKeys,
)
from sediment_mcp.errors import ProviderUnavailable


class Published:
    """What a provider publishes, a clock to go with it, and how often it was asked."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked = 0
        self.is_away = False
        self.now = 0.0
        self.keys = ProviderKeys(ISSUER, self.fetch, lambda: self.now)

    def fetch(self, issuer: str) -> list[object]:
        self.asked += 1
        if self.is_away:
            raise ProviderUnavailable("gone")
        return published_keys(*self.names)

    def settle(self) -> None:
        """Wait until nothing is being fetched."""
        for thread in threading.enumerate():
            if thread.name == "fetch provider keys":
                thread.join()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=40).filter(lambda name: name != "ec"), min_size=20, max_size=200))
def test_made_up_names_of_keys_do_not_become_requests(names: list[str]) -> None:
    published = Published("ec")
    for name in names:
        assert published.keys.find(name) == []
    assert published.keys.find("ec") != []
    published.settle()
    assert published.asked == 1


def test_a_new_key_is_found_half_a_minute_after_the_last_look_at_the_latest() -> None:
    published = Published("ec")
    assert published.keys.find("ec") != []
    published.names = ("ec", "ed")
    assert published.keys.find("ed") == []
    published.now += RETRY_SECONDS
    assert published.keys.find("ed") != []
    assert published.asked == 2


def test_a_key_that_is_taken_back_counts_no_longer() -> None:
    published = Published("ec", "ed")
    assert published.keys.find("ed") != []
    published.names = ("ec",)
    published.now += KEEP_SECONDS
    published.keys.find("ed")  # answers at once, and looks for new keys
    published.settle()
    assert published.keys.find("ed") == []


def test_known_keys_count_for_a_day_while_the_provider_is_away() -> None:
    published = Published("ec")
    published.keys.find("ec")
    published.is_away = True
    published.now += MAX_AGE_SECONDS
    assert published.keys.find("ec") != []
    published.settle()
    published.now += KEEP_SECONDS
    with pytest.raises(ProviderUnavailable):
        published.keys.find("ec")
    published.is_away = False
    published.now += RETRY_SECONDS
    assert published.keys.find("ec") != []


def test_without_any_keys_the_failure_is_said_and_not_repeated_at_once() -> None:
    published = Published("ec")
    published.is_away = True
    for _ in range(20):
        with pytest.raises(ProviderUnavailable, match="try again"):
            published.keys.find("ec")
    assert published.asked == 1


def test_a_short_rsa_key_is_not_used() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwt.algorithms import RSAAlgorithm

    short = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    short_jwk = {**RSAAlgorithm.to_jwk(short, as_dict=True), "kid": "short", "key_ops": ["verify"]}
    keys = ProviderKeys(ISSUER, lambda _: [short_jwk, public_jwk("rsa")])
    assert keys.find("short") == []
    assert keys.find("rsa") != []


def test_of_a_key_that_is_published_whole_only_the_public_half_is_kept() -> None:
    from jwt.algorithms import ECAlgorithm

    whole = {**ECAlgorithm.to_jwk(private_key("ec"), as_dict=True), "kid": "ec"}
    whole.pop("key_ops", None)
    (key,) = ProviderKeys(ISSUER, lambda _: [whole]).find("ec")
    assert not hasattr(key.key, "private_numbers")


# --- over HTTP ----------------------------------------------------------------------------------


def test_keys_are_found_by_the_provider_s_address() -> None:
    with run_provider() as provider:
        assert fetch_keys(provider.url) == published_keys()
        assert provider.asked == ["/.well-known/openid-configuration", "/keys"]


def test_an_authorization_server_that_knows_no_openid_is_found_too() -> None:
    with run_provider() as provider:
        provider.documents["/.well-known/openid-configuration"] = 404, b""
        metadata = {"issuer": provider.url, "jwks_uri": f"{provider.url}/keys"}
        provider.documents["/.well-known/oauth-authorization-server"] = 200, json.dumps(metadata).encode()
        assert fetch_keys(provider.url) == published_keys()


def test_metadata_stand_after_the_path_of_an_issuer_or_before_it() -> None:
    assert list_metadata_urls("https://a.example/realms/x/") == [
        "https://a.example/realms/x/.well-known/openid-configuration",
        "https://a.example/.well-known/oauth-authorization-server/realms/x",
        "https://a.example/.well-known/openid-configuration/realms/x",
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://other.example.com"},
        {"issuer": None},
        {"jwks_uri": "http://keys.example.com/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": 7},
        {"jwks_uri": None},
    ],
)
def test_metadata_that_do_not_fit_the_issuer_give_no_keys(changed: dict[str, Any]) -> None:
    with run_provider() as provider:
        provider.changed_metadata = changed
        with pytest.raises(ProviderUnavailable):
            fetch_keys(provider.url)
        assert "/keys" not in provider.asked


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""),
        (200, b"{"),
        (200, b"[]"),
        (200, b"\xff"),
        (200, b'{"keys": {}}'),
        (200, b"[" * 100_000),
        (200, b" " * (MAX_BYTES + 1)),
        (500, b"{}"),
        (302, b"/elsewhere"),
    ],
    ids=["empty", "half", "list", "bytes", "object", "deep", "long", "failure", "redirect"],
)
def test_keys_that_cannot_be_read_are_an_error_that_says_so(answer: tuple[int, bytes]) -> None:
    with run_provider() as provider:
        provider.documents["/keys"] = answer
        with pytest.raises(ProviderUnavailable, match="could not be fetched"):
            fetch_keys(provider.url)
        assert "/elsewhere" not in provider.asked


def test_a_provider_that_is_not_there_is_an_error_that_says_so() -> None:
    with pytest.raises(ProviderUnavailable, match="could not be fetched"):
        fetch_keys("http://127.0.0.1:9")
