"""Signed tokens of an identity provider: what lets somebody in, and whom; forged ones let in nobody."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from support.identity_provider import (
    AUDIENCE,
    ISSUER,
    KINDS,
    claims,
    decode_bytes,
    encode_bytes,
    encode_json,
    private_key,
    public_jwk,
    published_keys,
    sign,
)

from sediment_mcp.access.provider_keys import ProviderKeys
from sediment_mcp.access.signed_tokens import SignedTokens, name_tenant
from sediment_mcp.config import TENANT_NAME
from sediment_mcp.domain.caller import Caller

ANNA = name_tenant(ISSUER, "anna")


def open_tokens(*keys: str, **options: str) -> SignedTokens:
    provider = ProviderKeys(ISSUER, lambda _: published_keys(*keys))
    return SignedTokens(provider, issuer=ISSUER, audience=AUDIENCE, **options)


TOKENS = open_tokens()


# --- who is let in ------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KINDS)
def test_a_token_of_the_provider_lets_its_user_in(key: str) -> None:
    assert TOKENS.find_caller(sign(key=key)) == Caller("oidc:anna", ANNA, None, may_write=True)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_a_key_counts_for_each_algorithm_of_its_kind(algorithm: str) -> None:
    assert TOKENS.find_caller(sign(key="rsa", algorithm=algorithm)) is not None


@pytest.mark.parametrize("kind", [None, "JWT", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_an_access_token_may_say_what_it_is_in_several_ways(kind: str | None) -> None:
    assert TOKENS.find_caller(sign(headers={"typ": kind})) is not None


def test_a_token_may_be_meant_for_other_servers_too() -> None:
    assert TOKENS.find_caller(sign(claims(aud=["https://other.example.com", AUDIENCE]))) is not None


def test_a_token_without_the_name_of_its_key_is_of_the_only_one() -> None:
    token = sign(headers={"kid": None})
    assert open_tokens("ec").find_caller(token) is not None
    assert TOKENS.find_caller(token) is None


@pytest.mark.parametrize(
    ("given_scopes", "may_write"),
    [
        ({"scope": "memory:read"}, False),
        ({"scope": "memory:write memory:read"}, True),
        ({"scope": None, "scp": ["memory:read", "memory:write"]}, True),
        ({"scope": None, "scp": "memory:read"}, False),
    ],
)
def test_the_scopes_say_who_may_write(given_scopes: dict[str, Any], may_write: bool) -> None:
    caller = TOKENS.find_caller(sign(claims(**given_scopes)))
    assert caller is not None
    assert caller.may_write is may_write


def test_clocks_may_differ_by_half_a_minute() -> None:
    now = int(time.time())
    assert TOKENS.find_caller(sign(claims(exp=now - 20, iat=now + 20, nbf=now + 20))) is not None


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_each_user_is_a_tenant_of_their_own(one: str, other: str) -> None:
    assert TENANT_NAME.fullmatch(name_tenant(ISSUER, one))
    assert name_tenant(ISSUER, one) == name_tenant(ISSUER, one)
    assert (name_tenant(ISSUER, one) == name_tenant(ISSUER, other)) == (one == other)
    assert name_tenant(ISSUER, one) != name_tenant(ISSUER + "/", one)


def test_claims_name_tenant_and_team() -> None:
    tokens = open_tokens(tenant_claim="https://example.com/tenant", team_claim="team")
    token = sign(claims(**{"https://example.com/tenant": "anna-b", "team": ["crew"]}))
    assert tokens.find_caller(token) == Caller("oidc:anna", "anna-b", "crew", may_write=True)
    without = tokens.find_caller(sign(claims(**{"https://example.com/tenant": "anna-b"})))
    assert without is not None
    assert without.team is None


@pytest.mark.parametrize(
    "value", [None, "", "../anna", "Anna", "a/b", 7, ["a", "b"], {"a": 1}, "x" * 64, True]
)
def test_a_claim_that_names_no_tenant_lets_nobody_in(value: object) -> None:
    tokens = open_tokens(tenant_claim="tenant")
    assert tokens.find_caller(sign(claims(tenant="anna"))) is not None
    assert tokens.find_caller(sign(claims(tenant=value))) is None


@pytest.mark.parametrize("value", ["", "../crew", 7, ["a", "b"], {"a": 1}, True])
def test_a_claim_that_names_no_team_lets_nobody_in(value: object) -> None:
    tokens = open_tokens(team_claim="team")
    assert tokens.find_caller(sign(claims(team="crew"))) is not None
    assert tokens.find_caller(sign(claims(team=value))) is None


# --- forged tokens ------------------------------------------------------------------------------

FAR = 10**9  # seconds
WRONG_CLAIMS: dict[str, st.SearchStrategy[object]] = {
    "aud": st.sampled_from(
        [
            None, "", [], [""], {}, 7, AUDIENCE + "/", AUDIENCE[:-1], AUDIENCE.upper(), AUDIENCE + " ",
            [AUDIENCE + "x"], [[AUDIENCE]], {"aud": AUDIENCE}, "https://other.example.com/mcp", [AUDIENCE, 7],
        ]
    ),
    "iss": st.sampled_from(
        [
            None, "", 7, [ISSUER], ISSUER + "/", ISSUER[:-1], ISSUER.upper(), ISSUER.replace("https", "http"),
            "https://login.example.com/realms/other", {"iss": ISSUER},
        ]
    ),
    "exp": st.one_of(
        st.sampled_from([None, "", "soon", [], {}, True, 0, -1, float("nan"), float("-inf"), "9999999999"]),
        st.integers(31, FAR).map(lambda ago: int(time.time()) - ago),
    ),
    "nbf": st.one_of(
        st.sampled_from(["", "soon", [], {}, True, float("inf"), float("nan"), "0"]),
        st.integers(60, FAR).map(lambda ahead: int(time.time()) + ahead),
    ),
    "iat": st.one_of(
        st.sampled_from([None, "", "now", [], {}, True, float("inf"), "0"]),
        st.integers(60, FAR).map(lambda ahead: int(time.time()) + ahead),
    ),
    "sub": st.sampled_from([None, "", 7, [], ["anna"], {"sub": "anna"}, True, "x" * 256, "an\nna", "\x00"]),
    "scope": st.sampled_from(
        [
            None, "", 7, {}, ["memory"], "memory", "memory:write", "memory:reader", "MEMORY:READ",
            [["memory:read"]],
        ]
    ),
}  # fmt: skip
WRONG_HEADERS: dict[str, st.SearchStrategy[object]] = {
    "alg": st.one_of(
        st.sampled_from(
            [None, "none", "None", "NONE", "nOnE", "", "HS256", "RS256", "ES384", "ES256K", 7, []]
        ),
        st.text(max_size=8).filter(lambda name: name != "ES256"),
    ),
    "kid": st.one_of(
        st.sampled_from(
            ["rsa", "ed", "EC", "", "../ec", "/dev/null", "ec\x00", "' OR 1=1 --", "x" * 100_000, 7, ["ec"]]
        ),
        st.text(max_size=300).filter(lambda name: name != "ec"),
    ),
    "typ": st.sampled_from(["id+jwt", "logout+jwt", "dpop+jwt", "", 7, ["JWT"], "JWE"]),
    "crit": st.sampled_from([[], ["exp"], ["b64"], "exp", 1]),
    "b64": st.sampled_from([False, True, 0]),
}


def public_bytes(key: str) -> list[bytes]:
    """Return the forms in which a public key may be taken for a shared secret."""
    public = private_key(key).public_key()
    return [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(public_jwk(key)).encode(),
        b"",
    ]


def sign_with_secret(algorithm: str, secret: bytes, key: str) -> str:
    import hashlib
    import hmac

    signed = f"{encode_json({'alg': algorithm, 'kid': key})}.{encode_json(claims())}"
    digest = hmac.new(secret, signed.encode(), "sha" + algorithm[2:])
    assert digest.digest_size == hashlib.new("sha" + algorithm[2:]).digest_size
    return f"{signed}.{encode_bytes(digest.digest())}"


def replace_part(token: str, place: int, part: str) -> str:
    parts = token.split(".")
    parts[place] = part
    return ".".join(parts)


def flip_bit(token: str, place: int, bit: int) -> str:
    data = bytearray(decode_bytes(token.split(".")[place]))
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    return replace_part(token, place, encode_bytes(bytes(data)))


@st.composite
def wrong_claim(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(WRONG_CLAIMS)))
    return sign(claims(**{name: draw(WRONG_CLAIMS[name])}))


@st.composite
def wrong_header(draw: st.DrawFn) -> str:
    """Return a token of which a right signature holds for a header that must not be taken."""
    name = draw(st.sampled_from(sorted(WRONG_HEADERS)))
    header = {"alg": "ES256", "kid": "ec", name: draw(WRONG_HEADERS[name])}
    header = {key: value for key, value in header.items() if value is not None}
    return sign(headers=header) if name != "alg" else sign(headers={"alg": None, **header})


@st.composite
def unsigned(draw: st.DrawFn) -> str:
    algorithm = draw(st.sampled_from(["none", "None", "NONE", "", "ES256", "RS256", "HS256"]))
    head = {"alg": algorithm, "kid": draw(st.sampled_from([*KINDS]))}
    ending = draw(
        st.sampled_from(["", encode_bytes(bytes(64)), encode_bytes(b"\x00"), encode_bytes(bytes(256))])
    )
    return f"{encode_json(head)}.{encode_json(claims())}.{ending}"


@st.composite
def confused_key(draw: st.DrawFn) -> str:
    key = draw(st.sampled_from([*KINDS]))
    secret = draw(st.sampled_from(public_bytes(key)))
    return sign_with_secret(draw(st.sampled_from(["HS256", "HS384", "HS512"])), secret, key)


@st.composite
def foreign_key(draw: st.DrawFn) -> str:
    """Return a token of somebody else's key, who says where, or what, the key is."""
    key = draw(st.sampled_from([*KINDS]))
    hints = {
        "jwk": public_jwk(key, "stranger"),
        "jku": "https://stranger.example.com/keys",
        "x5u": "https://stranger.example.com/keys",
        "kid": draw(st.sampled_from([key, None, "stranger"])),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(hints))))
    return sign(key=key, owner="stranger", headers={name: hints[name] for name in chosen})


@st.composite
def changed_bytes(draw: st.DrawFn) -> str:
    return flip_bit(sign(), draw(st.integers(0, 2)), draw(st.integers(0, 4000)))


@st.composite
def other_payload(draw: st.DrawFn) -> str:
    """Return a token that takes another user's claims under the signature of one's own."""
    return replace_part(sign(), 1, encode_json(claims(sub=draw(st.text(min_size=1, max_size=20)))))


@st.composite
def cut_token(draw: st.DrawFn) -> str:
    token = sign()
    return token[: draw(st.integers(0, len(token) - 1))]


@st.composite
def odd_shape(draw: st.DrawFn) -> str:
    token = sign()
    deep = encode_bytes(b"[" * 5000)
    return draw(
        st.one_of(
            st.text(max_size=200),
            st.binary(max_size=200).map(encode_bytes),
            st.sampled_from(
                [
                    "", ".", "..", "...", "." * 10_000, token + ".", "." + token, f"{token}.{token}",
                    f"{deep}.{deep}.{deep}", replace_part(token, 1, deep), replace_part(token, 0, deep),
                    replace_part(token, 1, encode_json([])), replace_part(token, 1, encode_json(None)),
                    replace_part(token, 0, encode_json([])), replace_part(token, 0, encode_json("ES256")),
                    replace_part(token, 1, encode_bytes(b'{"exp": ' + b"9" * 5000 + b"}")),
                    replace_part(token, 2, "A" * 100_000), token.replace(".", " "),
                ]
            ),
        )
    )  # fmt: skip


FORGERIES: list[Callable[[], st.SearchStrategy[str]]] = [
    wrong_claim, wrong_header, unsigned, confused_key, foreign_key, changed_bytes, other_payload, cut_token,
    odd_shape,
]  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda one: one.__name__)
def test_a_forged_token_lets_nobody_in(forgery: Callable[[], st.SearchStrategy[str]]) -> None:
    assert TOKENS.find_caller(sign()) is not None  # so that what is refused is the forgery

    @settings(max_examples=400, deadline=None)
    @given(forgery())
    def try_to_get_in(token: str) -> None:
        assert TOKENS.find_caller(token) is None

    try_to_get_in()


def test_a_key_for_encryption_or_a_shared_secret_signs_nothing() -> None:
    odd = [
        {**public_jwk("ec"), "use": "enc"},
        {**public_jwk("ec"), "key_ops": ["encrypt"]},
        {**public_jwk("ec"), "alg": "ECDH-ES"},
        {"kty": "oct", "kid": "ec", "k": encode_bytes(b"x" * 32)},
        {**public_jwk("ec"), "x": 7},
        {**public_jwk("ec"), "key_ops": 7},
        {"kid": "ec"},
        "ec",
    ]
    for key in odd:
        provider = ProviderKeys(ISSUER, lambda _, key=key: [key])
        tokens = SignedTokens(provider, issuer=ISSUER, audience=AUDIENCE)
        assert tokens.find_caller(sign()) is None
        assert tokens.find_caller(sign_with_secret("HS256", b"x" * 32, "ec")) is None
