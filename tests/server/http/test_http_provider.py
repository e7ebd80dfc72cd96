"""A server over HTTP as an OAuth resource server: its metadata, and whom signed tokens let in."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import pytest
from support.http_server import HttpServer, running_server
from support.identity_provider import Provider, claims, run_provider, sign

pytestmark = [pytest.mark.slow, pytest.mark.process]

PUBLIC = "https://memory.example.com"


@pytest.fixture(scope="module")
def provider() -> Generator[Provider]:
    with run_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def server(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Generator[HttpServer]:
    folder = tmp_path_factory.mktemp("place")
    with running_server(folder, "--public-url", PUBLIC, SEDIMENT_OIDC_ISSUER=provider.url) as server:
        yield server


def test_a_client_without_a_token_is_led_to_the_identity_provider(
    server: HttpServer, provider: Provider
) -> None:
    refused = server.ask("tools/list")
    assert refused.status == 401
    found = re.search(r'resource_metadata="([^"]+)"', refused.headers["www-authenticate"])
    assert found
    assert found[1] == f"{PUBLIC}/.well-known/oauth-protected-resource"
    metadata = server.send("GET", found[1].removeprefix(PUBLIC)).json()
    assert metadata["resource"] == PUBLIC
    assert metadata["authorization_servers"] == [provider.url]
    assert metadata["scopes_supported"] == ["memory:read", "memory:write"]


def test_a_user_of_the_provider_is_let_in_to_memories_of_their_own(
    server: HttpServer, provider: Provider
) -> None:
    anna, bert = (provider.sign(aud=PUBLIC, sub=name) for name in ("anna", "bert"))
    stored = server.call("store_memory", {"content": "The key is under the mat."}, token=anna)
    assert server.call("list_memories", {}, token=bert)["memories"] == []
    listed = server.call("list_memories", {}, token=anna)
    assert [memory["id"] for memory in listed["memories"]] == [stored["id"]]


def test_without_the_scope_to_write_nothing_is_changed(server: HttpServer, provider: Provider) -> None:
    token = provider.sign(aud=PUBLIC, scope="memory:read")
    answer = server.ask("tools/call", {"name": "store_memory", "arguments": {"content": "x"}}, token=token)
    assert answer.json()["result"]["isError"]


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://other.example.com"},
        {"iss": "https://evil.example.com"},
        {"exp": 1_700_000_000},  # gone for good; a name by the clock would differ between processes
        {"exp": None},
        {"sub": None},
        {"scope": "openid"},
    ],
    ids=str,
)
def test_tokens_that_are_not_meant_for_this_server_let_nobody_in(
    server: HttpServer, provider: Provider, changed: dict[str, Any]
) -> None:
    token = sign(claims(**{"iss": provider.url, "aud": PUBLIC, **changed}))
    assert server.ask("tools/list", token=token).status == 401
