"""The commands about those who call a server: token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_line import Run, own_place, process, run

from sediment_mcp.access.authenticator import Access
from sediment_mcp.config import Config
from sediment_mcp.domain.access_token import SHAPE
from sediment_mcp.domain.caller import Caller

__all__ = ["own_place", "run"]  # fixtures


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
        (("create", "anna", "--tenant", "crew", "--team", "crew"), "tenant and team at once"),
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
