"""The examples for Caddy and nginx, before servers that tell what has reached them, over TLS."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import which

import pytest
from support.reverse_proxy import HOST, ReverseProxy, Upstream, find_free_port

pytestmark = [pytest.mark.proxy, pytest.mark.process]

PROXIES = [
    pytest.param(name, marks=pytest.mark.skipif(which(name) is None, reason=f"{name} is not installed"))
    for name in ("caddy", "nginx")
]
LIMIT = 1_000_000


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest, tmp_path: Path, upstream: Upstream) -> Iterator[ReverseProxy]:
    with ReverseProxy(request.param, tmp_path, [upstream.address]) as proxy:
        yield proxy


def test_a_server_is_told_the_public_host_the_origin_and_who_calls(
    proxy: ReverseProxy, upstream: Upstream
) -> None:
    given = {"Origin": "https://claude.ai", "Authorization": "Bearer secret", "Mcp-Session-Id": "one"}
    assert proxy.request("POST", "/teams/shop/mcp?x=1", b"{}", given) == (200, b"{}")
    ((method, path, headers, body),) = upstream.requests
    assert (method, path, body) == ("POST", "/teams/shop/mcp?x=1", b"{}")
    assert headers["Host"] == HOST
    assert {name: headers[name] for name in given} == given
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["X-Forwarded-For"] == "127.0.0.1"


def test_each_event_is_passed_on_before_the_next_is_there(proxy: ReverseProxy, upstream: Upstream) -> None:
    connection = proxy.connect()
    connection.request("GET", "/events", headers={"Host": HOST, "Accept": "text/event-stream"})
    answer = connection.getresponse()
    assert answer.readline() == b"data: first\n"
    upstream.event_is_read.set()
    assert answer.read() == b"\ndata: second\n\n"
    connection.close()


def test_a_large_body_reaches_no_server_whole(proxy: ReverseProxy, upstream: Upstream) -> None:
    status, _ = proxy.request("POST", "/mcp", b"x" * (LIMIT - 1000))
    assert status == 200
    status, _ = proxy.request("POST", "/mcp", b"x" * (2 * LIMIT))
    assert status in (413, 502)
    assert len(upstream.requests[0].body) == LIMIT - 1000
    assert all(len(request.body) <= LIMIT for request in upstream.requests[1:])


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_what_is_for_operators_is_not_shown_to_the_world(
    path: str, proxy: ReverseProxy, upstream: Upstream
) -> None:
    assert proxy.request("GET", path)[0] == 404
    assert upstream.requests == []
    assert proxy.request("GET", "/healthz")[0] == 200


@pytest.mark.skipif(which("nginx") is None, reason="nginx is not installed")
def test_where_a_server_is_gone_the_next_one_answers_at_once(tmp_path: Path, upstream: Upstream) -> None:
    gone = f"127.0.0.1:{find_free_port()}"
    with ReverseProxy("nginx", tmp_path, [gone, upstream.address]) as proxy:
        for caller in range(8):
            headers = {"Authorization": f"Bearer {caller}"}
            assert proxy.request("POST", "/mcp", b"{}", headers) == (200, b"{}")
    assert len(upstream.requests) == 8


@pytest.mark.skipif(which("caddy") is None, reason="caddy is not installed")
def test_where_a_server_is_gone_the_next_one_answers_once_that_is_seen(
    tmp_path: Path, upstream: Upstream
) -> None:
    gone = f"127.0.0.1:{find_free_port()}"
    with ReverseProxy("caddy", tmp_path, [gone, upstream.address]) as proxy:
        for caller in range(8):
            headers = {"Authorization": f"Bearer {caller}"}
            answers = (proxy.request("POST", "/mcp", b"{}", headers) for _ in range(1000))
            assert next((body for status, body in answers if status == 200), None) == b"{}"


@pytest.mark.parametrize("name", PROXIES)
def test_no_call_arrives_with_the_body_of_another(name: str, tmp_path: Path, upstream: Upstream) -> None:
    """Where a server is gone, calls are sent again; Caddy 2.6 with buffers then mixes their bodies up."""
    gone = f"127.0.0.1:{find_free_port()}"

    def call(number: int) -> None:
        caller = f"Bearer {number:04}"
        proxy.request("POST", "/mcp", caller.encode() * 20, {"Authorization": caller})

    with ReverseProxy(name, tmp_path, [gone, upstream.address]) as proxy, ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(200)))
    assert upstream.requests
    for request in upstream.requests:
        assert request.body == request.headers["Authorization"].encode() * 20


@pytest.mark.parametrize("name", PROXIES)
def test_a_caller_comes_back_to_the_same_server(name: str, tmp_path: Path, upstream: Upstream) -> None:
    with Upstream() as other, ReverseProxy(name, tmp_path, [upstream.address, other.address]) as proxy:
        for caller in range(16):
            for _ in range(2):
                proxy.request("POST", "/mcp", b"{}", {"Authorization": f"Bearer {caller}"})
    callers = [{headers["Authorization"] for _, _, headers, _ in one.requests} for one in (upstream, other)]
    assert callers[0] | callers[1] == {f"Bearer {caller}" for caller in range(16)}
    assert not callers[0] & callers[1]
    assert all(callers), "one server alone has got all calls"
