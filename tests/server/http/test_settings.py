"""A server that would let anybody in does not start."""

from __future__ import annotations

import pytest

from sediment_mcp.errors import BadArgument
from sediment_mcp.server.http.settings import (
    HttpSettings,
    check_exposure,
    is_loopback,
    parse_metrics_address,
    parse_public_url,
)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "memory.example.com", "127.0.0.1.evil.example"]
)
def test_other_addresses_than_loopback_need_authentication(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(BadArgument, match="sediment-mcp token create"):
        check_exposure(HttpSettings(host=host, public_url="https://m.example"), has_authentication=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_none_until_a_proxy_stands_before_it(host: str) -> None:
    check_exposure(HttpSettings(host=host), has_authentication=False)
    with pytest.raises(BadArgument, match="sediment-mcp token create"):
        check_exposure(HttpSettings(host=host, public_url="https://m.example"), has_authentication=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_need_a_name_by_which_requests_are_known(host: str) -> None:
    with pytest.raises(BadArgument, match="--public-url"):
        check_exposure(HttpSettings(host=host), has_authentication=True)
    check_exposure(HttpSettings(host=host, public_url="https://m.example"), has_authentication=True)


@pytest.mark.parametrize(
    "text",
    ["", "m.example", "ftp://m.example", "https://m.example/a", "https://u:p@m.example", "https://m/?a"],
)
def test_a_public_url_is_a_scheme_and_a_host(text: str) -> None:
    with pytest.raises(BadArgument, match="--public-url"):
        parse_public_url(text)
    assert parse_public_url("https://m.example:8443/") == "https://m.example:8443"


@pytest.mark.parametrize(
    "text", ["", "x", "1:2:3", "70000", "host:", "-1", ":9464", "::1:9464", "[::1:9464", "a b:1", "1²"]
)
def test_metrics_are_given_at_an_address(text: str) -> None:
    with pytest.raises(BadArgument, match="--metrics"):
        parse_metrics_address(text)
    assert parse_metrics_address("9464") == ("127.0.0.1", 9464)
    assert parse_metrics_address("[::1]:9464") == ("::1", 9464)
