"""A model from the hub: fetched once, then never asked for again. The hub here is one on this computer."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.model_folder import PROMPTS, make_folder

from sediment_mcp.config import Config
from sediment_mcp.embeddings.loader import load_embedder
from sediment_mcp.embeddings.protocols import Embedder
from sediment_mcp.errors import ModelUnavailable

constants = pytest.importorskip("huggingface_hub.constants", reason="sentence_transformers is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.sentence_transformers]

MODEL = "someone/prompted"
COMMIT = "a" * 40

LOAD_AND_TELL = """
import json, sys
from pathlib import Path

sockets = []
sys.addaudithook(lambda event, details: sockets.append(str(details)) if event == "socket.connect" else None)

from sediment_mcp.config import Config
from sediment_mcp.embeddings.loader import load_embedder

embedder = load_embedder(Config(data_dir=Path(sys.argv[1]), model=sys.argv[2]))
told = {"fingerprint": embedder.identity.fingerprint, "vector": embedder.embed_query("a cat").vector.tolist()}
print(json.dumps({**told, "sockets": sockets}))
"""


class Hub(ThreadingHTTPServer):
    """Serves the files of one folder as the model `MODEL`, at `COMMIT`, as the real hub does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0].removeprefix("/api/models").lstrip("/")
        name = path.removeprefix(f"{MODEL}/resolve/").partition("/")[2].removeprefix("./")
        if not path.startswith(MODEL):
            self.reply(404, b"", body, {"X-Error-Code": "RepoNotFound"})
        elif path in (MODEL, f"{MODEL}/revision/main"):
            info = {"id": MODEL, "sha": COMMIT, "siblings": [], "tags": [], "private": False}
            self.reply(200, json.dumps(info).encode(), body, {"Content-Type": "application/json"})
        elif name and (self.server.folder / name).is_file():
            data = (self.server.folder / name).read_bytes()
            self.reply(200, data, body, {"X-Repo-Commit": COMMIT, "ETag": hashlib.md5(data).hexdigest()})
        else:
            self.reply(404, b"", body, {"X-Repo-Commit": COMMIT, "X-Error-Code": "EntryNotFound"})

    def reply(self, status: int, data: bytes, body: bool, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Generator[Hub]:
    with Hub(make_folder(tmp_path / "served", PROMPTS)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def plain(tmp_path: Path) -> Embedder:
    """Load the same weights without prompts."""
    return load_embedder(Config(data_dir=tmp_path, model=str(make_folder(tmp_path / "plain", {}))))


def load_from(hub: Hub, folder: Path) -> dict[str, Any]:
    """Load in a fresh process that has its hub cache in ``folder``."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hub")}
    for name in (
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "HF_TOKEN",
    ):
        environment.pop(name, None)
    command = [sys.executable, "-c", LOAD_AND_TELL, str(folder / "data"), MODEL]
    finished = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert "%|" not in finished.stderr  # no progress bar
    return json.loads(finished.stdout)


def test_a_hub_model_is_fetched_once_and_then_never_asked_for(
    hub: Hub, tmp_path: Path, plain: Embedder
) -> None:
    first = load_from(hub, tmp_path)
    assert first["sockets"]
    assert plain.embed_query(PROMPTS["query"] + "a cat").vector @ first["vector"] > 0.99999
    assert load_from(hub, tmp_path) == {**first, "sockets": []}

    (weights,) = (tmp_path / "hub").glob("hub/models--*/snapshots/*/model.safetensors")
    weights.unlink()  # as after a download that was interrupted
    completed = load_from(hub, tmp_path)
    assert completed["sockets"]
    assert {**completed, "sockets": []} == {**first, "sockets": []}


def test_another_commit_is_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--someone--prompted"
    (repository / "refs").mkdir(parents=True)
    identities = []
    for commit in (COMMIT, "b" * 40):
        make_folder(repository / "snapshots" / commit, PROMPTS)
        (repository / "refs" / "main").write_text(commit)
        identities.append(load_embedder(Config(data_dir=tmp_path, model=MODEL)).identity)
    assert identities[0].fingerprint != identities[1].fingerprint
    assert identities[0].name == identities[1].name == MODEL


def test_a_name_that_the_hub_does_not_know_is_an_error(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    with pytest.raises(ModelUnavailable, match="hub has no model someone/missing that you may use: correct"):
        load_embedder(Config(data_dir=tmp_path, model="someone/missing"))


def test_a_hub_that_cannot_be_reached_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as deaf:  # bound but not listening: whoever connects is refused
        deaf.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(ModelUnavailable, match=rf"{MODEL} is not on this computer, .* cannot be reached"):
            load_embedder(Config(data_dir=tmp_path, model=MODEL))
