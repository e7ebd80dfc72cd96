"""The commands about those who call a server: token, audit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_line import Run, own_place, process, run, store

from sediment_mcp.access.authenticator import Access
from sediment_mcp.config import MODEL, NO_MODEL, Config
from sediment_mcp.domain.access_token import SHAPE
from sediment_mcp.domain.caller import Caller

__all__ = ["own_place", "run"]  # fixtures


@pytest.fixture(autouse=True)
def without_model(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do without a model, which takes long to load."""
    monkeypatch.setenv(MODEL, NO_MODEL)


def test_a_token_is_printed_once_and_alone(run: Run, own_place: Path) -> None:
    made = run("token", "create", "anna-laptop", "--tenant", "anna", "--team", "crew", "--read-only")
    assert made.status == 0
    token = made.out.removesuffix("\n")
    assert SHAPE.fullmatch(token)
    assert "anna-laptop may read the memories of anna" in made.err
    assert token not in made.err
    listed = run("token", "list")
    assert "anna-laptop  valid  tenant anna  team crew  read-only" in listed.out
    assert token not in listed.out + run("token", "list", "--json").out
    assert Access(Config(own_place)).authenticate(token) == Caller("anna-laptop", "anna", "crew", False)


def test_a_revoked_token_is_refused_and_still_listed(run: Run, own_place: Path) -> None:
    token = run("token", "create", "anna", "--json").json["token"]
    access = Access(Config(own_place))
    assert access.authenticate(token) is not None
    assert run("token", "revoke", "anna").out == "Revoked anna.\n"
    assert access.authenticate(token) is None
    (listed,) = run("token", "list", "--json").json["tokens"]
    assert (listed["name"], listed["state"], listed["tenant"]) == ("anna", "revoked", "default")
    assert set(listed) == {
        "name", "state", "tenant", "team", "read_only", "created_at", "last_used", "expires_at", "revoked_at",
    }  # fmt: skip


def test_a_date_lets_a_token_live_through_that_day(run: Run) -> None:
    run("token", "create", "anna", "--expires", "2100-01-01")
    (listed,) = run("token", "list", "--json").json["tokens"]
    assert listed["expires_at"] == "2100-01-01T23:59:59Z"


def test_without_tokens_the_list_says_so_and_makes_nothing(run: Run, own_place: Path) -> None:
    assert run("token", "list").out == "There are no tokens.\n"
    assert not own_place.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create",), "token create needs the name of a token"),
        (("revoke",), "token revoke needs the name of a token"),
        (("list", "anna"), "token list takes no name"),
        (("revoke", "anna"), "There is no token 'anna'"),
        (("create", "local"), "is no name of a token"),
        (("create", "a b"), "is no name of a token"),
        (("create", "anna", "--expires", "2020-01-01"), "--expires lies in the past"),
        (("create", "anna", "--expires", "soon"), "--expires must be an ISO 8601 time"),
        (("revoke", "anna", "--read-only"), "say nothing to token revoke"),
        (("create", "anna", "--tenant", "Anna"), "--tenant is 'Anna'"),
        (("create", "anna", "--tenant", "crew", "--team", "crew"), "whose memories are your own already"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    outcome = run("token", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert sentence in outcome.err


@pytest.mark.process
def test_what_is_piped_is_the_token_alone(own_place: Path) -> None:
    done = process("token", "create", "anna")
    assert done.returncode == 0
    assert SHAPE.fullmatch(done.stdout.decode().strip())
    listed = json.loads(process("token", "list", "--json").stdout)
    assert [one["name"] for one in listed["tokens"]] == ["anna"]


# --- audit --------------------------------------------------------------------------------------


def test_the_audit_tells_who_did_what(run: Run) -> None:
    assert run("audit").out == "Nothing is recorded.\n"
    quiet = store(run, "never recorded")
    run("token", "create", "anna")
    stored = store(run, "The port is 8080")
    run("delete", stored)
    assert [one["action"] for one in run("audit", "--json").json["entries"]] == ["delete", "store"]
    shown = run("audit", "--action", "store")
    assert f"local  store  {stored}" in shown.out
    assert quiet not in shown.out
    assert run("audit", "--who", "anna").out == "Nothing is recorded.\n"
    assert run("audit", "--since", "2100-01-01", "--json").json == {"entries": []}
    assert len(run("audit", "--id", stored, "--limit", "1", "--json").json["entries"]) == 1


def test_questions_are_recorded_where_the_user_wants_it(run: Run) -> None:
    stored = store(run, "The port is 8080", "--audit", "all")
    run("query", "port", "--audit", "texts")
    run("query", "port", "--audit", "all")
    run("query", "port", "--audit", "off")
    asked = run("audit", "--action", "query", "--json").json["entries"]
    assert [one.get("text") for one in asked] == [None, "port"]
    assert all(one["ids"] == [stored] and one["who"] == "local" for one in asked)
    assert "'port'" in run("audit").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--action", "dance"), "--action must be 'store', 'change'"),
        (("--since", "soon"), "--since must be an ISO 8601 time"),
        (("--limit", "0"), "--limit is '0'"),
        (("--audit", "some"), "SEDIMENT_AUDIT is 'some': set it to one of off, changes, all, texts."),
        (("--audit-days", "0"), "SEDIMENT_AUDIT_DAYS is '0'"),
    ],
)
def test_an_audit_that_cannot_be_is_refused(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    outcome = run("audit", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert sentence in outcome.err
