"""Access tokens: whom one lets in, for how long, and what is kept of it."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.identity_provider import AUDIENCE, run_provider, sign

from sediment_mcp.access.authenticator import MAX_BEARER_CHARS, Access
from sediment_mcp.access.tokens import create_token, open_tokens, revoke_token
from sediment_mcp.config import Config
from sediment_mcp.domain.access_token import PREFIX, SHAPE, hash_token, make_token
from sediment_mcp.domain.caller import Caller
from sediment_mcp.domain.secrets import find_secret_kinds
from sediment_mcp.errors import BadArgument, ProviderUnavailable, StorageError
from sediment_mcp.storage.access_protocols import TokenStorage
from sediment_mcp.storage.sqlite.tokens import ACCESS_FILE

NOW = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path / "data")


@pytest.fixture
def tokens(config: Config) -> Iterator[TokenStorage]:
    storage = open_tokens(config)
    yield storage
    storage.close()


@pytest.fixture
def access(config: Config, clock: Clock) -> Iterator[Access]:
    access = Access(config, clock=clock)
    yield access
    access.close()


def create(
    tokens: TokenStorage,
    name: str = "anna-laptop",
    *,
    tenant: str = "anna",
    team: str | None = None,
    may_write: bool = True,
    expires_at: datetime | None = None,
) -> str:
    return create_token(
        tokens, name, tenant=tenant, team=team, may_write=may_write, expires_at=expires_at, now=NOW
    )


def test_a_token_lets_its_tenant_in(tokens: TokenStorage, access: Access) -> None:
    assert not access.has_callers()
    token = create(tokens, team="crew")
    assert access.authenticate(token) == Caller("anna-laptop", "anna", "crew", may_write=True)
    reader = create(tokens, "reader", may_write=False)
    assert access.authenticate(reader) == Caller("reader", "anna", None, may_write=False)
    assert access.has_callers()


def test_a_revoked_token_lets_nobody_in_from_that_moment_on(config: Config, access: Access) -> None:
    tokens, other = open_tokens(config), open_tokens(config)
    token = create(tokens)
    assert access.authenticate(token) is not None
    revoke_token(other, "anna-laptop", NOW)
    assert access.authenticate(token) is None
    assert not access.has_callers()
    revoke_token(other, "anna-laptop", NOW + timedelta(days=1))
    assert [one.revoked_at for one in tokens.list_all()] == [NOW]


def _revoke(config: Config) -> None:
    revoke_token(open_tokens(config), "anna-laptop", NOW)


def test_a_token_that_another_process_revokes_lets_nobody_in(
    config: Config, tokens: TokenStorage, access: Access
) -> None:
    token = create(tokens)
    assert access.authenticate(token) is not None
    process = multiprocessing.get_context("spawn").Process(target=_revoke, args=(config,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert access.authenticate(token) is None


def test_a_token_ends_at_its_time(tokens: TokenStorage, access: Access, clock: Clock) -> None:
    token = create(tokens, expires_at=NOW + timedelta(hours=1))
    clock.now += timedelta(minutes=59)
    assert access.authenticate(token) is not None
    clock.now += timedelta(minutes=1)
    assert access.authenticate(token) is None


def test_only_the_hash_of_a_token_is_kept(config: Config, tokens: TokenStorage) -> None:
    token = create(tokens)
    tokens.close()
    data = b"".join(path.read_bytes() for path in config.data_dir.rglob("*") if path.is_file())
    assert hash_token(token) in data
    assert token.removeprefix(PREFIX).encode() not in data
    assert (config.data_dir / ACCESS_FILE).stat().st_mode & 0o077 == 0


def test_of_the_last_use_only_the_day_is_kept(tokens: TokenStorage, access: Access, clock: Clock) -> None:
    token = create(tokens)
    assert [one.used_at for one in tokens.list_all()] == [None]
    for later in (timedelta(), timedelta(hours=5), timedelta(hours=10)):
        clock.now = NOW + later
        assert access.authenticate(token) is not None
        assert [one.used_at for one in tokens.list_all()] == [datetime(2026, 11, 26, tzinfo=UTC)]
    clock.now = NOW + timedelta(days=1)
    access.authenticate(token)
    assert [one.used_at for one in tokens.list_all()] == [datetime(2026, 11, 27, tzinfo=UTC)]


def test_a_use_that_cannot_be_noted_keeps_nobody_out(config: Config, tokens: TokenStorage) -> None:
    from sediment_mcp.access.tokens import find_caller

    class Full:
        find = tokens.find

        def note_use(self, token_hash: bytes, day: datetime) -> None:
            raise StorageError("full")

    assert find_caller(Full(), create(tokens), NOW) is not None  # type: ignore[arg-type]


def test_a_token_of_the_file_that_was_removed_lets_nobody_in(
    config: Config, tokens: TokenStorage, access: Access
) -> None:
    token = create(tokens)
    assert access.authenticate(token) is not None
    tokens.close()
    (config.data_dir / ACCESS_FILE).unlink()
    assert access.authenticate(token) is None


def test_a_file_that_cannot_be_read_lets_nobody_in(config: Config, tokens: TokenStorage) -> None:
    token = create(tokens)
    tokens.close()
    (config.data_dir / ACCESS_FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError):
        Access(config).authenticate(token)


def test_a_file_of_a_newer_version_is_left_alone(config: Config, tokens: TokenStorage) -> None:
    token = create(tokens)
    tokens.close()
    with sqlite3.connect(config.data_dir / ACCESS_FILE) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StorageError, match="newer"):
        Access(config).authenticate(token)


@pytest.mark.parametrize("name", ["", "local", "a:b", "oidc:anna", "-a", "a b", "x" * 64, "a\n", "ü"])
def test_a_name_is_one_that_an_audit_can_show(tokens: TokenStorage, name: str) -> None:
    with pytest.raises(BadArgument, match="no name of a token"):
        create(tokens, name)


def test_a_name_is_given_once(tokens: TokenStorage) -> None:
    create(tokens)
    revoke_token(tokens, "anna-laptop", NOW)
    with pytest.raises(BadArgument, match="choose another name"):
        create(tokens)
    with pytest.raises(BadArgument, match="no token 'eve'"):
        revoke_token(tokens, "eve", NOW)


def test_a_token_that_would_be_of_no_use_is_refused(tokens: TokenStorage) -> None:
    with pytest.raises(BadArgument, match="lies in the past"):
        create(tokens, expires_at=NOW)
    with pytest.raises(BadArgument, match="tenant and team at once"):
        create(tokens, team="anna")
    assert tokens.list_all() == []


def test_tokens_are_random_and_found_by_those_who_look_for_secrets() -> None:
    made = {make_token() for _ in range(200)}
    assert len(made) == 200
    assert all(SHAPE.fullmatch(token) for token in made)
    for token in made:
        assert find_secret_kinds([f'"Authorization": "Bearer {token}"']) == ["sediment-mcp Token"]
        assert find_secret_kinds([f"the token is {token}."]) == ["sediment-mcp Token"]
    assert find_secret_kinds([f"{PREFIX}{'a1' * 22}"]) == []  # longer than a token is


def test_no_guess_lets_anybody_in(tokens: TokenStorage, access: Access) -> None:
    token = create(tokens)
    hashed = hash_token(token)
    near = [token[:place] + sign + token[place + 1 :] for place in range(len(token)) for sign in "aZ0_"]
    guesses = [
        "", PREFIX, token[:-1], token + "a", token + "\n", " " + token, token.upper(), token.lower(),
        f"Bearer {token}", token + "\x00", hashed.hex(), PREFIX + hashed.hex(), token.removeprefix(PREFIX),
        "sed_%", "' OR 1=1 --", token * 1000, "é" * 47, "\ud800", PREFIX + "a" * 43,
        *(guess for guess in near if guess != token),
    ]  # fmt: skip
    assert [guess for guess in guesses if access.authenticate(guess)] == []
    assert access.authenticate(token) is not None


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=60), st.from_regex(SHAPE, fullmatch=True)))
def test_no_made_up_token_lets_anybody_in(guess: str) -> None:
    assert SHARED.authenticate(guess) is None


@pytest.fixture(autouse=True, scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    global SHARED  # noqa: PLW0603  hypothesis calls the test above without fixtures
    config = Config(data_dir=tmp_path_factory.mktemp("shared"))
    tokens = open_tokens(config)
    create(tokens)
    tokens.close()
    SHARED = Access(config, clock=lambda: NOW)
    yield
    SHARED.close()


# --- with an identity provider ------------------------------------------------------------------


def test_both_kinds_of_tokens_let_somebody_in(tmp_path: Path) -> None:
    with run_provider() as provider:
        config = Config(data_dir=tmp_path, oidc_issuer=provider.url)
        access = Access(config, public_url=AUDIENCE)
        tokens = open_tokens(config)
        assert access.has_callers()
        token = create(tokens)
        signed = provider.sign()
        assert [caller.name for one in (token, signed) if (caller := access.authenticate(one))] == [
            "anna-laptop",
            "oidc:anna",
        ]
        assert access.authenticate(provider.sign(aud="https://other.example.com")) is None
        assert access.authenticate("x" * (MAX_BEARER_CHARS + 1)) is None
        tokens.close()
        access.close()


def test_a_configured_audience_counts_in_the_place_of_the_public_address(tmp_path: Path) -> None:
    with run_provider() as provider:
        config = Config(data_dir=tmp_path, oidc_issuer=provider.url, oidc_audience="memories")
        access = Access(config, public_url=AUDIENCE)
        assert access.authenticate(provider.sign()) is None
        assert access.authenticate(provider.sign(aud="memories")) is not None
        assert (access.issuer, access.audience) == (provider.url, "memories")


def test_a_provider_needs_an_audience(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match="SEDIMENT_OIDC_AUDIENCE"):
        Access(Config(data_dir=tmp_path, oidc_issuer="https://login.example.com"))


def test_while_the_provider_is_away_static_tokens_still_count(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path, oidc_issuer="http://127.0.0.1:9")
    access, tokens = Access(config, public_url=AUDIENCE), open_tokens(config)
    assert access.authenticate(create(tokens)) is not None
    with pytest.raises(ProviderUnavailable):
        access.authenticate(sign())
    tokens.close()
    access.close()
