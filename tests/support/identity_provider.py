"""An identity provider of the test's own: keys of three kinds, signed tokens, and its documents over HTTP."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://login.example.com/realms/crew"
AUDIENCE = "https://memory.example.com/mcp"
KINDS = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}
"""Name of a key → the algorithm that it signs with."""


@cache
def private_key(name: str, owner: str = "provider") -> Any:
    """Return a private key, the same in the whole run; ``owner`` may be somebody else."""
    if name == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1()) if name == "ec" else ed25519.Ed25519PrivateKey.generate()


def public_jwk(name: str, owner: str = "provider") -> dict[str, Any]:
    """Return the public half as the provider publishes it."""
    algorithm = {"rsa": RSAAlgorithm, "ec": ECAlgorithm, "ed": OKPAlgorithm}[name]
    found = algorithm.to_jwk(private_key(name, owner).public_key(), as_dict=True)
    found.pop("key_ops", None)
    return {**found, "kid": name, "use": "sig"}


def published_keys(*names: str) -> list[object]:
    """Return the provider's keys, all of them unless some are named."""
    return [public_jwk(name) for name in names or KINDS]


def claims(**changed: Any) -> dict[str, Any]:
    """Return the claims of a token that lets Anna in to read and write; None takes one away."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "anna",
        "iat": now - 10,
        "exp": now + 600,
        "scope": "openid memory:read memory:write",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def sign(
    payload: dict[str, Any] | None = None,
    *,
    key: str = "ec",
    owner: str = "provider",
    algorithm: str | None = None,
    headers: dict[str, Any] | None = None,
) -> str:
    """Return a signed token; headers replace those of a good one, and None takes one away."""
    given = {"kid": key, "typ": "at+jwt", **(headers or {})}
    body = encode_json(claims() if payload is None else payload)
    head = encode_json(
        {
            name: value
            for name, value in {"alg": algorithm or KINDS[key], **given}.items()
            if value is not None
        }
    )
    signed = f"{head}.{body}".encode()
    signer = jwt.get_algorithm_by_name(algorithm or KINDS[key])
    return f"{head}.{body}.{encode_bytes(signer.sign(signed, private_key(key, owner)))}"


def encode_json(value: object) -> str:
    """Return a value as a part of a token."""
    return encode_bytes(json.dumps(value).encode())


def encode_bytes(data: bytes) -> str:
    """Return bytes as a part of a token."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_bytes(part: str) -> bytes:
    """Return the bytes of a part of a token."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class Provider:
    """A provider that answers over HTTP on this machine, and counts what it is asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.keys = published_keys()
        self.changed_metadata: dict[str, Any] = {}
        self.documents: dict[str, tuple[int, bytes]] = {}
        """By path, the status and body that take the place of the usual answer."""

    def sign(self, **changed: Any) -> str:
        """Return a token of this provider."""
        return sign(claims(iss=self.url, **changed))

    def answer(self, path: str) -> tuple[int, bytes]:
        """Return status and body for a path."""
        self.asked.append(path)
        if path in self.documents:
            return self.documents[path]
        if path == "/.well-known/openid-configuration":
            metadata = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.changed_metadata}
            return 200, json.dumps(metadata).encode()
        if path == "/keys":
            return 200, json.dumps({"keys": self.keys}).encode()
        return 404, b""


@contextmanager
def run_provider() -> Iterator[Provider]:
    """Run a provider on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = provider.answer(self.path)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = Provider(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield provider
        finally:
            server.shutdown()
