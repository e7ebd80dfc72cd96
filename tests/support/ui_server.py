"""The page's real server in a thread, over a host of the tests, and a bare HTTP client for it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from sediment_mcp.web.request import RequestContext
from sediment_mcp.web.server import build_server, open_socket, protect_app
from support.host import Host

SHOP = "/home/ann/code/shop"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class UiServer:
    """Use it in a ``with`` statement; leaving it ends the server."""

    def __init__(self, host: Host, project: str | None = SHOP) -> None:
        self.host = host
        self._socket = open_socket(0)
        self.auth = protect_app(RequestContext(host.app, project), self._socket)
        self.address = self.auth.address
        self._server = build_server(self.auth)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._cookie = ""

    def __enter__(self) -> UiServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()
        assert not self._thread.is_alive()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Send exactly these headers, and the right Host unless another is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.auth.port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = {"Host": self.auth.host, "Content-Length": str(len(body or b"")), **(headers or {})}
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        answer = Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
        connection.close()
        return answer

    def enter(self) -> Answer:
        """Exchange the token for the cookie, as a browser does."""
        parts = urlsplit(self.address)
        answer = self.request("GET", f"{parts.path}?{parts.query}")
        self._cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        return answer

    @property
    def known(self) -> dict[str, str | None]:
        """The headers of a browser that has entered."""
        if not self._cookie:
            self.enter()
        return {"Cookie": self._cookie, "Sec-Fetch-Site": "same-origin"}

    def get(self, name: str, **given: Any) -> Answer:
        path = f"{self.auth.mount_path}/api/{name}?with={quote(json.dumps(given))}"
        return self.request("GET", path, headers=self.known)

    def post(self, name: str, **given: Any) -> Answer:
        headers = {**self.known, "Origin": f"http://{self.auth.host}", "Content-Type": "application/json"}
        return self.request(
            "POST", f"{self.auth.mount_path}/api/{name}", json.dumps(given).encode(), headers=headers
        )

    def read(self, name: str, **given: Any) -> Any:
        answer = self.get(name, **given)
        assert answer.status == 200, answer.body
        return answer.json

    def change(self, name: str, **given: Any) -> Any:
        answer = self.post(name, **given)
        assert answer.status == 200, answer.body
        return answer.json
