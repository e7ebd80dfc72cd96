"""Messages of those who should not get in, and of a caller who wants what is another tenant's.

Four attackers send what `fuzz_lines` draws and what is drawn here: tokens that are none, were revoked, have
expired or differ in a character; signed tokens of an identity provider with other algorithms, audiences,
issuers, keys, times, and such as were good once; and, with a token of their own, requests for what belongs to
another tenant, malformed messages, and bodies that are too large. Whoever is let in, or is shown a word of
the other tenant, is told of, and so is a server that does not answer or grows.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import jwt
import postgres_server  # noqa: F401  with it `support` of the tests can be imported
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fuzz_lines import MODERN, Generator
from http_servers import GONE, JSON, UNLIMITED, Client, HttpServer, build_message, start_servers
from stdio_client import do_at_once
from support.identity_provider import (
    AUDIENCE,
    Provider,
    claims,
    encode_bytes,
    encode_json,
    private_key,
    run_provider,
    sign,
)

from sediment_mcp.access.tokens import create_token, open_tokens, revoke_token
from sediment_mcp.config import MODEL, NO_MODEL, OIDC_AUDIENCE, OIDC_ISSUER, Config
from sediment_mcp.server.tool_schemas import build_input_schema
from sediment_mcp.server.tools import TOOLS

VICTIM, ATTACKER = "victim", "mallory"
THREADS = 4
WARM_SHARE = 0.1  # of the messages, after which memory is looked at first
MOST_GROWTH = 64.0  # MB of a server from then on
LARGE = 3 * 1024 * 1024  # bytes, more than a server reads
SECRETS = 20
TELL_EVERY = 10_000

Figures = dict[str, Any]
Drawn = tuple[str | None, bytes, dict[str, str]]
"""The token, the body, and the headers beside it."""


class Attack:
    """Two servers, a victim, and those who want what is the victim's."""

    def __init__(self, config: Config, messages: int, seed: int, say: Callable[[str], None]) -> None:
        self._config, self._messages, self._seed, self._say = config, messages, seed, say
        self._lock = threading.Lock()
        self._statuses: dict[str, Counter[str]] = {}
        self._let_in: Counter[str] = Counter()
        self._shown: list[str] = []
        self._sent = 0
        self._warm: list[float] = []

    def run(self) -> tuple[list[Figures], list[str]]:
        """The figures of each kind of attack, and what was wrong."""
        with run_provider() as provider:
            variables = {MODEL: NO_MODEL, OIDC_ISSUER: provider.url, OIDC_AUDIENCE: AUDIENCE}
            tokens = self._make_tokens()
            servers = start_servers(self._config, 2, options=UNLIMITED, variables=variables)
            try:
                return self._attack(servers, provider, tokens)
            finally:
                for server in servers:
                    if server.process.poll() is None:
                        server.stop()

    def _attack(
        self, servers: list[HttpServer], provider: Provider, tokens: dict[str, str]
    ) -> tuple[list[Figures], list[str]]:
        ports = [server.port for server in servers]
        canary = f"canary{Random(self._seed).getrandbits(64):x}"
        victim = Client(ports, tokens[VICTIM])
        ids = [
            victim.call("store_memory", {"content": f"{canary} sings for {number}."})["id"]
            for number in range(SECRETS)
        ]
        before = read_all(victim, ids)
        good = Client(ports, sign(claims(iss=provider.url)))
        good.call("list_memories", {})  # so that what is refused is the forgery
        attackers = [
            _Attacker(Random(f"{self._seed} {number}"), provider, tokens, ids, canary)
            for number in range(THREADS)
        ]
        jobs = enumerate(attackers)
        do_at_once([lambda n=n, who=who: self._send(servers, Client(ports, None, n), who) for n, who in jobs])
        faults = [f"{kind}: {count} let in" for kind, count in self._let_in.items() if count]
        faults += [f"the victim's words were shown: {text}" for text in self._shown[:3]]
        if read_all(victim, ids) != before:
            faults.append("the victim's memories are not what they were")
        failed = sum(
            count for one in self._statuses.values() for status, count in one.items() if status >= "5"
        )
        faults += [f"{failed} messages were answered with a failure of the server"] * bool(failed)
        faults += self._look_at(servers)
        figures = [
            {
                "attack": kind, "messages": statuses.total(), "let_in": self._let_in[kind],
                "statuses": ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items())),
            }
            for kind, statuses in self._statuses.items()
        ]  # fmt: skip
        return figures, faults

    def _look_at(self, servers: list[HttpServer]) -> list[str]:
        """What is wrong with the servers after all: one has ended, or grown."""
        faults: list[str] = []
        for server, warm in zip(servers, self._warm, strict=True):
            if server.process.poll() is not None:
                faults.append(f"a server has ended with {server.process.returncode}")
                continue
            now = server.private_mb()
            self._say(f"a server's private memory: {warm:.0f} MB at first, {now:.0f} MB after all")
            if now - warm > MOST_GROWTH:
                faults.append(f"a server grew from {warm:.0f} to {now:.0f} MB")
        return faults

    def _make_tokens(self) -> dict[str, str]:
        """The victim's and the attacker's tokens, one that is revoked and one that soon expires."""
        now = datetime.now(UTC)
        with closing(open_tokens(self._config)) as tokens:

            def create(name: str, tenant: str, expires_at: datetime | None = None) -> str:
                return create_token(
                    tokens, name, tenant=tenant, team=None, may_write=True, expires_at=expires_at, now=now
                )

            made = {VICTIM: create(VICTIM, VICTIM), ATTACKER: create(ATTACKER, ATTACKER)}
            made["revoked"] = create("revoked", VICTIM)
            revoke_token(tokens, "revoked", now)
            made["expired"] = create("expired", VICTIM, now + timedelta(milliseconds=1))
        return made

    def _send(self, servers: list[HttpServer], client: Client, attacker: _Attacker) -> None:
        while True:
            with self._lock:
                if self._sent >= self._messages:
                    return
                self._sent += 1
                sent = self._sent
                if not self._warm and sent > self._messages * WARM_SHARE:
                    self._warm = [server.private_mb() for server in servers]
            if sent % TELL_EVERY == 0:
                self._say(f"{sent:,} messages")
            kind, (token, body, headers) = attacker.draw()
            own = JSON | ({} if token is None else {"Authorization": f"Bearer {token}"}) | headers
            try:
                status, answer = client.send(body, own)
            except (OSError, *GONE) as error:  # a server may close the connection of a body that is too large
                status, answer = f"({type(error).__name__})", b""
            self._judge(kind, attacker, str(status), answer)

    def _judge(self, kind: str, attacker: _Attacker, status: str, answer: bytes) -> None:
        with self._lock:
            self._statuses.setdefault(kind, Counter())[status] += 1
            is_in = kind in attacker.must_stay_out and status.startswith("2")
            if attacker.canary.encode() in answer:
                is_in = True
                self._shown.append(f"{kind}: {answer[:200]!r}")
            self._let_in[kind] += is_in


class _Attacker:
    """Draws messages; ``must_stay_out`` are the kinds that no server may carry out."""

    must_stay_out = ("tokens", "signed tokens", "replayed tokens")

    def __init__(
        self, rng: Random, provider: Provider, tokens: dict[str, str], ids: list[str], canary: str
    ) -> None:
        self._rng, self._provider, self._tokens, self._ids = rng, provider, tokens, ids
        self.canary = canary
        schemas = {tool.name: build_input_schema(tool.arguments) for tool in TOOLS}
        self._lines = [Generator(Random(rng.random()), era, schemas) for era in ("2025-11-25", MODERN)]
        self._drawn: list[bytes] = []
        self._kinds: dict[str, tuple[int, Callable[[], Drawn]]] = {
            "tokens": (20, self._foreign_token),
            "signed tokens": (20, self._forged),
            "replayed tokens": (5, self._replayed),
            "foreign memories": (20, self._foreign_memory),
            "malformed messages": (34, self._malformed),
            "large bodies": (1, self._large),
        }

    def draw(self) -> tuple[str, Drawn]:
        weights = [weight for weight, _ in self._kinds.values()]
        kind = self._rng.choices(list(self._kinds), weights)[0]
        return kind, self._kinds[kind][1]()

    def _wanted(self) -> bytes:
        """What somebody who is let in would ask for."""
        return self._rng.choice(
            (
                build_message("query_memory", {"query": "who sings?"}),
                build_message("list_memories", {"ids": self._rng.sample(self._ids, 2)}),
                build_message("delete_memory", {"ids": [self._rng.choice(self._ids)], "permanent": True}),
                json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode(),
            )
        )

    def _foreign_token(self) -> Drawn:
        rng, good = self._rng, self._tokens[VICTIM]
        place = rng.randrange(len(good))
        other = rng.choice([letter for letter in "abcXYZ019_-" if letter != good[place]])
        token = rng.choice(
            (
                None,
                "",
                "null",
                good[:-1],
                f"{good}x",
                good.swapcase(),
                good[::-1],
                good[:place] + other + good[place + 1 :],
                self._tokens["revoked"],
                self._tokens["expired"],
                f"{rng.getrandbits(256):x}",
                "x" * rng.choice((10, 20_000)),
                f"{good[:12]}{rng.getrandbits(200):x}",
                "' OR 1=1 --",
                "%00",
                "../../tokens",
            )
        )
        return token, self._wanted(), {}

    def _forged(self) -> Drawn:
        rng, now = self._rng, int(time.time())
        mine = {"iss": self._provider.url}
        forged: Callable[[], str] = rng.choice(
            (
                lambda: sign(
                    claims(**mine, aud=rng.choice(("https://other.example.com", None, [], AUDIENCE + "x")))
                ),
                lambda: sign(
                    claims(iss=rng.choice(("https://evil.example.com", None, self._provider.url + "/")))
                ),
                lambda: sign(claims(**mine, exp=rng.choice((now - 3600, None, 0, -1, "soon")))),
                lambda: sign(claims(**mine, nbf=now + 3600)),
                lambda: sign(claims(**mine, sub=rng.choice((None, "", 7)))),
                lambda: sign(claims(**mine, scope=rng.choice((None, "", "openid", "memory:admin")))),
                lambda: sign(claims(**mine), owner="somebody else", key=rng.choice(("ec", "rsa", "ed"))),
                lambda: sign(
                    claims(**mine), headers={"kid": rng.choice(("unknown", "", "rsa", None))}, owner="x"
                ),
                lambda: sign_without_key(claims(**mine), rng.choice(("none", "None", "nOnE", ""))),
                lambda: sign_with_public_key(claims(**mine)),
                lambda: swap_claims(sign(claims(**mine)), claims(**mine, sub=f"other-{rng.getrandbits(20)}")),
                lambda: cut(sign(claims(**mine)), rng),
            )
        )
        return forged(), self._wanted(), {}

    def _replayed(self) -> Drawn:
        """A token that was good until a while ago, or is good for another server."""
        ago = int(time.time()) - self._rng.randrange(3_600, 90 * 86_400)
        past = claims(iss=self._provider.url, iat=ago - 600, exp=ago)
        elsewhere = claims(iss=self._provider.url, aud="https://another-service.example.com")
        return sign(self._rng.choice((past, elsewhere))), self._wanted(), {}

    def _foreign_memory(self) -> Drawn:
        rng, id = self._rng, self._rng.choice(self._ids)
        call: tuple[str, dict[str, Any]] = rng.choice(
            (
                ("list_memories", {"ids": rng.sample(self._ids, rng.randint(1, 5))}),
                ("list_memories", {"related_to": id}),
                ("list_memories", {"scope": rng.choice((VICTIM, "team", "*", f"../{VICTIM}"))}),
                ("delete_memory", {"ids": [id], "permanent": rng.random() < 0.5}),
                ("query_memory", {"query": "who sings?", "include_superseded": True, "limit": 50}),
                ("store_memory", {"content": f"It sings no more {rng.getrandbits(40):x}.", "replaces": [id]}),
            )
        )
        body = build_message(*call)
        if rng.random() < 0.2:
            uri = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": f"memory://{id}"}}
            body = json.dumps(uri).encode()
        headers = rng.choice(
            (
                {},
                {"X-Tenant": VICTIM},
                {"Sediment-Tenant": VICTIM},
                {"Sediment-Project": f"../../tenants/{VICTIM}"},
            )
        )
        return self._tokens[ATTACKER], body, headers

    def _malformed(self) -> Drawn:
        if not self._drawn:
            self._drawn = self._rng.choice(self._lines).round(50)
        headers = self._rng.choice(
            (
                {},
                {},
                {},
                {"Content-Type": "text/plain"},
                {"Accept": "text/html"},
                {"MCP-Protocol-Version": "2099-01-01"},
                {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call"},
                {"Mcp-Session-Id": "no such session"},
                {"Content-Encoding": "gzip"},
                {"Origin": "https://evil.example.com"},
                {"Last-Event-ID": "7"},
            )
        )
        return self._tokens[ATTACKER], self._drawn.pop(), headers

    def _large(self) -> Drawn:
        text = self._rng.choice(
            (b"[" * LARGE, b" " * LARGE, build_message("query_memory", {"query": "x" * LARGE}))
        )
        return self._rng.choice((self._tokens[ATTACKER], None)), text, {}


def read_all(client: Client, ids: list[str]) -> list[Any]:
    """What the victim has, by id."""
    found = client.call("list_memories", {"ids": ids}, retry_seconds=30)
    return sorted(found["memories"], key=lambda memory: memory["id"])


def sign_without_key(payload: dict[str, Any], algorithm: str) -> str:
    """A token that says it needs no signature."""
    return f"{encode_json({'alg': algorithm, 'typ': 'at+jwt', 'kid': 'ec'})}.{encode_json(payload)}."


def sign_with_public_key(payload: dict[str, Any]) -> str:
    """A token whose secret is the provider's public key, which everybody has."""
    public = private_key("rsa").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = encode_json({"alg": "HS256", "typ": "at+jwt", "kid": "rsa"})
    signed = f"{head}.{encode_json(payload)}"
    algorithm = jwt.get_algorithm_by_name("HS256")
    return f"{signed}.{encode_bytes(algorithm.sign(signed.encode(), public))}"


def swap_claims(token: str, payload: dict[str, Any]) -> str:
    """A good token with the claims of another one."""
    head, _, signature = token.split(".")
    return f"{head}.{encode_json(payload)}.{signature}"


def cut(token: str, rng: Random) -> str:
    """A good token without a part, or with a letter more or less."""
    parts = token.split(".")
    place = rng.randrange(3)
    parts[place] = rng.choice(("", parts[place][:-2], parts[place][1:], f"A{parts[place]}"))
    return ".".join(parts[: rng.choice((1, 2, 3, 3, 3))])
