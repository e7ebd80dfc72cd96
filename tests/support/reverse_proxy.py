"""The examples of reverse proxies, run for real over TLS, before servers that tell what has reached them."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from types import TracebackType
from typing import Any, NamedTuple

from support.documents import ROOT

EXAMPLES = ROOT / "packaging" / "team"
HOST = "mem.example.com"
START_SECONDS = 20
ANSWER_SECONDS = 20
UPSTREAM = "127.0.0.1:8787"


class Request(NamedTuple):
    """What has reached a server."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Upstream:
    """A server on this machine that keeps what it is asked; `event_is_read` lets it send its second event."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.event_is_read = threading.Event()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                if self.headers["Host"] == HOST:  # else it is the proxy's own question
                    upstream.requests.append(Request(self.command, self.path, dict(self.headers), body))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def do_GET(self) -> None:
                if self.path != "/events":
                    self.do_POST()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(b"data: first\n\n")
                if upstream.event_is_read.wait(ANSWER_SECONDS):
                    self.wfile.write(b"data: second\n\n")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Upstream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(ANSWER_SECONDS)


class ReverseProxy:
    """A proxy with the example's configuration; use it in a ``with`` statement.

    Only the addresses and the certificate of the example are replaced.
    """

    def __init__(self, name: str, folder: Path, upstreams: list[str]) -> None:
        self.port = find_free_port()
        self._certificate = make_certificate(folder)
        prepare = {"caddy": self._prepare_caddy, "nginx": self._prepare_nginx}[name]
        self._command = prepare(folder, upstreams)
        self._log = folder / "log"

    def _prepare_caddy(self, folder: Path, upstreams: list[str]) -> list[str]:
        certificate, key = self._certificate
        site = f"{HOST}:{self.port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {key}"
        own = {f"{HOST} {{": site, f"reverse_proxy {UPSTREAM}": f"reverse_proxy {' '.join(upstreams)}"}
        text = replace_once((EXAMPLES / "Caddyfile").read_text(encoding="utf-8"), own)
        (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text, encoding="utf-8")
        return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]

    def _prepare_nginx(self, folder: Path, upstreams: list[str]) -> list[str]:
        certificate, key = self._certificate
        servers = "".join(f"server {upstream} max_fails=0;" for upstream in upstreams)
        own = {
            f"server {UPSTREAM} max_fails=0;": servers,
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "listen 80;": f"listen 127.0.0.1:{find_free_port()};",
            "/etc/ssl/mem.example.com/fullchain.pem": str(certificate),
            "/etc/ssl/mem.example.com/privkey.pem": str(key),
        }
        text = replace_once((EXAMPLES / "nginx.conf").read_text(encoding="utf-8"), own)
        temporary = "".join(
            f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {temporary}\n{text}\n}}\n",
            encoding="utf-8",
        )
        return ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]

    def __enter__(self) -> ReverseProxy:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not can_connect(self.port):
            ended = self._process.poll() is not None
            assert not ended, self._log.read_text(errors="replace")
            assert time.monotonic() < deadline, self._log.read_text(errors="replace")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(START_SECONDS)

    def connect(self) -> http.client.HTTPSConnection:
        """Return a connection that trusts this certificate and no other, for this name and no other."""
        context = ssl.create_default_context(cafile=str(self._certificate[0]))
        connection = http.client.HTTPSConnection(HOST, self.port, timeout=ANSWER_SECONDS, context=context)
        connection.sock = context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS), server_hostname=HOST
        )
        return connection

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        connection = self.connect()
        try:
            connection.request(method, path, body, {"Host": HOST, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def replace_once(text: str, own: Mapping[str, str]) -> str:
    """Return the example with what a test has of its own in the place of what it names."""
    for example, value in own.items():
        assert text.count(example) == 1, example
        text = text.replace(example, value)
    return text


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for the host of the examples; return its file and that of its key."""
    openssl = which("openssl")
    assert openssl is not None, "openssl makes the certificate: install it"
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    asked = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={HOST}"
    subprocess.run(
        [
            openssl,
            *asked.split(),
            "-addext",
            f"subjectAltName=DNS:{HOST}",
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return certificate, key


def find_free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def can_connect(port: int) -> bool:
    """Return whether somebody listens on a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        time.sleep(0.02)  # it has not begun to listen
        return False
    return True
