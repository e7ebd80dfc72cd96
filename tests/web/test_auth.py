"""Who may ask the page's server, and what a browser may do with its answers."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from support.command_line import Run, own_place, run
from support.host import Host
from support.stdio_peer import REPOSITORY, SERVER
from support.ui_server import UiServer

from sediment_mcp.web import server as web_server
from sediment_mcp.web.app import MAX_REQUEST_BYTES, STATIC_FOLDER
from sediment_mcp.web.auth import SECURITY_HEADERS
from sediment_mcp.web.mutations import MUTATIONS
from sediment_mcp.web.queries import QUERIES
from sediment_mcp.web.request import RequestContext

__all__ = ["own_place", "run"]  # fixtures

FILES = sorted(path for path in STATIC_FOLDER.rglob("*") if path.is_file())


@pytest.fixture
def server(host: Host) -> Iterator[UiServer]:
    with UiServer(host) as server:
        yield server


def page(server: UiServer, path: str = "/") -> str:
    return f"{server.auth.mount_path}{path}"


# --- the address --------------------------------------------------------------------------------


def test_the_address_is_exchanged_for_a_cookie_once(server: UiServer) -> None:
    answer = server.enter()
    assert (answer.status, answer.headers["location"]) == (303, page(server))
    name, *rest = answer.headers["set-cookie"].split("; ")
    assert set(rest) == {f"Path={page(server)}", "HttpOnly", "SameSite=Strict"}
    assert server.request("GET", page(server), headers={"Cookie": name}).status == 200
    again = server.enter()
    assert again.status == 401
    assert "set-cookie" not in again.headers
    assert "sediment-mcp ui" in again.body.decode()


def test_a_wrong_token_opens_nothing_and_costs_nothing(server: UiServer) -> None:
    for query in ("", "?token=", "?token=wrong", "?token=%C3%A9", "?other=1"):
        answer = server.request("GET", f"/{query}")
        assert answer.status == 401, query
        assert "set-cookie" not in answer.headers
    assert server.enter().status == 303


def test_the_token_is_nowhere_in_what_is_served(server: UiServer) -> None:
    token = server.auth.token
    assert token
    answers = [server.request("GET", page(server), headers=server.known), server.get("status")]
    assert all(token.encode() not in answer.body for answer in answers)


def test_without_the_cookie_nothing_is_answered(server: UiServer) -> None:
    server.enter()
    paths = (page(server), page(server, "/main.js"), page(server, "/api/status"), "/", "/api/status")
    for cookie in (None, "", "sediment=", "sediment=wrong", "other=x", "sediment", '"', "\xe9"):
        for path in paths:
            assert server.request("GET", path, headers={"Cookie": cookie}).status == 401, (cookie, path)


def test_the_cookie_is_good_for_this_server_s_place_alone(server: UiServer) -> None:
    assert server.request("GET", "/", headers=server.known).status == 401
    assert server.request("GET", "/elsewhere/api/status", headers=server.known).status == 401


# --- where a request comes from -----------------------------------------------------------------


def test_a_foreign_host_is_refused(server: UiServer) -> None:
    port, path = server.auth.port, page(server, "/api/status")
    known = server.known
    for name in ("", "evil.example", f"evil.example:{port}", f"localhost:{port}", "127.0.0.1", "127.0.0.1:1"):
        assert server.request("GET", path, headers={**known, "Host": name}).status == 421, name
    assert server.request("GET", path, headers={**known, "Host": None}).status == 400  # h11 says so itself
    assert server.request("GET", path, headers=known).status == 200


def test_a_foreign_host_does_not_use_up_the_token(server: UiServer) -> None:
    query = server.address.partition("?")[2]
    assert server.request("GET", f"/?{query}", headers={"Host": "evil.example"}).status == 421
    assert server.enter().status == 303


def test_what_another_page_asks_is_refused(server: UiServer) -> None:
    for site in ("cross-site", "same-site", "odd"):
        headers = {**server.known, "Sec-Fetch-Site": site}
        assert server.request("GET", page(server, "/api/status"), headers=headers).status == 403
        assert server.request("GET", page(server), headers=headers).status == 403


def test_a_header_that_comes_twice_counts_as_foreign(server: UiServer) -> None:
    own = f"http://127.0.0.1:{server.auth.port}"
    body, known = json.dumps({"content": "planted"}).encode(), {**server.known, "Origin": own}
    for twice in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": own}):
        answer = server.request("POST", page(server, "/api/add"), body, {**known, **twice})
        assert answer.status == 403, twice
    assert server.host.list()["total"] == 0


def test_a_change_must_come_from_the_page_itself(server: UiServer) -> None:
    own = f"127.0.0.1:{server.auth.port}"
    body = json.dumps({"content": "planted"}).encode()
    for origin in (None, "null", "http://evil.example", "http://127.0.0.1:1", f"https://{own}"):
        headers = {**server.known, "Content-Type": "application/json", "Origin": origin}
        assert server.request("POST", page(server, "/api/add"), body, headers).status == 403, origin
    assert server.host.list()["total"] == 0


def test_nothing_is_changed_by_reading(server: UiServer) -> None:
    for name in MUTATIONS:
        assert server.get(name, content="planted").status == 405
    for name in QUERIES:
        assert server.post(name).status == 405
    assert server.host.list()["total"] == 0


# --- what is answered ---------------------------------------------------------------------------


def test_every_answer_binds_the_browser(server: UiServer) -> None:
    answers = [
        server.request("GET", "/"),
        server.enter(),
        server.request("GET", page(server), headers=server.known),
        server.get("status"),
        server.get("search"),
        server.request("GET", page(server, "/nothing"), headers=server.known),
        server.request("GET", "/", headers={"Host": "evil.example"}),
    ]
    for answer in answers:
        assert {
            name.lower(): value for name, value in SECURITY_HEADERS.items()
        }.items() <= answer.headers.items()
        assert "server" not in answer.headers
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"unsafe|\*|http|data:", policy)


def test_the_page_s_files_are_all_there_and_nothing_else(server: UiServer) -> None:
    for path in FILES:
        name = path.relative_to(STATIC_FOLDER).as_posix()
        answer = server.request("GET", page(server, f"/{name}"), headers=server.known)
        assert (answer.status, answer.body) == (200, path.read_bytes())
    for path in ("/../auth.py", "/%2e%2e/auth.py", "/..%2fauth.py", "//etc/passwd", "/style/"):
        assert server.request("GET", page(server, path), headers=server.known).status == 404


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_page_needs_no_network_and_makes_no_html_of_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "//" not in re.sub(r"(?m)^\s*//.*$|\s// .*$", "", text).replace("http://", "//")
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"):
        assert way not in text
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=", text)


def test_a_request_that_is_too_large_is_refused(server: UiServer) -> None:
    assert server.post("add", content="x" * MAX_REQUEST_BYTES).status == 413
    assert server.host.list()["total"] == 0


# --- the server ---------------------------------------------------------------------------------


def test_only_this_machine_reaches_it() -> None:
    with web_server.open_socket(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_nobody_asking_for_long_ends_it(host: Host) -> None:
    told: list[str] = []
    web_server.run_server(
        RequestContext(host.app, None), web_server.open_socket(0), told.append, idle_timeout=0.01
    )
    assert len(told) == 1


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process there")
def test_the_command_prints_its_address_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    command = [*SERVER, "--data-dir", str(tmp_path), "--model", "none", "ui", "--no-browser", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["address"]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", address)
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(address) as answer:
            assert b"<title>Memories</title>" in answer.read()
        with pytest.raises(HTTPError, match="401"):
            urllib.request.urlopen(address)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.fixture
def unserved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The server announces its address and ends at once; the list holds what browsers were opened with."""
    opened: list[str] = []

    def run_server(
        context: RequestContext,
        listener: socket.socket,
        announce: Callable[[str], None],
        open_page: Callable[[str], None] | None,
    ) -> None:
        assert context.app.config.questions == "forget"  # what is half typed is no question
        listener.close()
        announce("http://x")
        if open_page is not None:
            open_page("a page")

    monkeypatch.setattr(web_server, "run_server", run_server)
    monkeypatch.setattr(web_server, "open_browser", opened.append)
    return opened


def test_the_browser_is_opened_unless_it_is_not_wanted(run: Run, unserved: list[str]) -> None:
    outcome = run("ui", "--questions", "keep")
    assert (outcome.status, unserved) == (0, ["a page"])
    assert "http://x" in outcome.out
    assert "Ctrl-C" in outcome.out
    assert run("ui", "--no-browser", "--json").json == {"address": "http://x"}
    assert unserved == ["a page"]


def test_a_port_that_cannot_be_had_is_told(run: Run, unserved: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = run("ui", "--port", str(taken.getsockname()[1]))
    assert (outcome.status, outcome.out, unserved) == (2, "", [])
    assert "choose another" in outcome.err
    for port in ("soon", "-1", "65536", "1.5"):
        outcome = run("ui", f"--port={port}")
        assert outcome.status == 2
        assert "--port" in outcome.err


# --- other users of the machine -----------------------------------------------------------------


def test_the_browser_is_given_a_private_file_and_no_token(
    server: UiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, int, int, str]] = []

    def open_(uri: str) -> bool:
        file = Path(urllib.request.url2pathname(uri.removeprefix("file://")))
        opened.append(
            (uri, file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777, file.read_text())
        )
        return False

    monkeypatch.setattr(web_server.webbrowser, "open", open_)
    web_server._open_file(server.auth)
    ((uri, mode, folder_mode, page),) = opened
    assert (mode, folder_mode) == (0o600, 0o700)
    assert server.auth.browser_token not in uri
    assert server.auth.browser_address in page
    assert not Path(urllib.request.url2pathname(uri.removeprefix("file://"))).parent.exists()


def test_the_file_leads_to_the_page_once_and_spends_the_address_too(server: UiServer) -> None:
    path = f"/?token={server.auth.browser_token}"
    from_a_file = {"Sec-Fetch-Site": "cross-site"}
    answer = server.request("GET", path, headers=from_a_file)
    assert answer.status == 200
    assert f"url={page(server)}" in answer.body.decode()
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert server.request("GET", page(server), headers={"Cookie": cookie}).status == 200
    assert server.request("GET", path, headers=from_a_file).status == 403
    assert server.request("GET", path).status == 401
    assert server.enter().status == 401


def test_the_token_of_the_file_is_good_for_a_minute(
    server: UiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.auth._started_at -= 61
    assert server.request("GET", f"/?token={server.auth.browser_token}").status == 401
    assert server.enter().status == 303


def test_an_address_asked_for_with_head_is_not_spent(server: UiServer) -> None:
    for token in (server.auth.token, server.auth.browser_token):
        answer = server.request("HEAD", f"/?token={token}")
        assert answer.status == 401
        assert "set-cookie" not in answer.headers
    assert server.enter().status == 303


def test_connections_without_a_request_give_way(server: UiServer) -> None:
    held: list[socket.socket] = []
    for number in range(web_server.MAX_WAITING * 3):
        held.append(socket.create_connection(("127.0.0.1", server.auth.port), timeout=30))
        if number % 2:
            held[-1].sendall(b"GET / HTTP/1.1\r\nHost: ")
    with contextlib.suppress(ConnectionResetError):
        assert held[0].recv(1) == b""  # closed: there are newer ones
    assert server.enter().status == 303
    for one in held:
        one.close()


def test_a_connection_without_a_request_is_closed_in_time(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "REQUEST_SECONDS", 0.05)
    with UiServer(host) as server:
        for start in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"):
            with socket.create_connection(("127.0.0.1", server.auth.port), timeout=30) as half_open:
                half_open.sendall(start)
                with contextlib.suppress(ConnectionResetError):
                    assert half_open.recv(1) == b""
