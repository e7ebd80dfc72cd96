"""What hooks and the digest show of a team's memories, beside one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.hooks import ASKS_FOR_PORT, PATIENT, PORT, call_of, load_model
from support.sdk_client import BuiltParts

from sediment_mcp.app import Application
from sediment_mcp.config import Config
from sediment_mcp.operations.arguments import StoreMemory, parse_arguments
from sediment_mcp.operations.store_memory import store_memory
from sediment_mcp.recall import prompt
from sediment_mcp.recall.digest import describe_known
from sediment_mcp.recall.hook_call import HookCall
from sediment_mcp.recall.listener import Listener
from sediment_mcp.recall.local_socket import ask, can_listen
from sediment_mcp.recall.prompt import recall_for_prompt
from sediment_mcp.recall.session_start import recall_at_start

pytestmark = pytest.mark.model
OTHERS = (
    "Lunch is at noon.",
    "The logo is blue.",
    "Ann's birthday is on 3 May.",
    "Invoices go out on Fridays.",
)


@pytest.fixture
def config() -> Iterator[Config]:
    """Give settings with a team, in a directory whose path is short enough for a socket."""
    with TemporaryDirectory(prefix="s", ignore_cleanup_errors=True) as folder:
        yield Config(Path(folder), team="crew")


def build_application(config: Config) -> Application:
    return Application(config, load=lambda _: load_model(), is_resident=False)


def store(config: Config, *texts: str, scope: str = "team", tags: tuple[str, ...] = ()) -> list[str]:
    app = build_application(config)
    given = [{"content": text, "scope": scope, "tags": [*tags]} for text in texts]
    ids = [store_memory(app, parse_arguments(StoreMemory, one), None)["id"] for one in given]
    app.close()
    return ids


def call(config: Config, event: str = "prompt", **fields: str) -> HookCall:
    return replace(call_of(config.data_dir, event, session_id="one", **fields), config=config)


def test_a_prompt_is_answered_from_the_team_s_memories_too(config: Config) -> None:
    store(config, *OTHERS, scope="global")
    (port,) = store(config, PORT)
    text = recall_for_prompt(call(config, prompt=ASKS_FOR_PORT))
    assert f"- [{port}, new; of the team] {PORT}" in text
    assert recall_for_prompt(call(config, prompt=ASKS_FOR_PORT)) == ""  # shown once in a session


def test_a_prompt_is_answered_though_one_has_nothing_of_one_s_own(config: Config) -> None:
    mine = replace(config, tenant="anna")
    (port, *_) = store(mine, PORT, *OTHERS)
    assert port in recall_for_prompt(call(mine, prompt=ASKS_FOR_PORT))
    assert recall_for_prompt(call(mine, prompt=ASKS_FOR_PORT)) == ""


def test_a_server_answers_a_prompt_from_both_stores(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can_listen(config.store_dir):
        pytest.skip("no server can listen here")
    monkeypatch.setattr(prompt, "SERVER_TIMEOUT", PATIENT)
    store(config, *OTHERS, scope="global")
    (port,) = store(config, PORT)
    app = build_application(config)
    app.model.get()
    listener = Listener(config, BuiltParts(app))
    listener.start()
    question = {"asked": ASKS_FOR_PORT, "project": None}
    while (answer := ask(config.store_dir, question, PATIENT)) is None:
        pass
    assert [(one["id"], one["of_team"]) for one in answer["found"]] == [(port, True)]
    listener.close()
    app.close()


def test_a_session_begins_with_what_is_pinned_for_the_team(config: Config) -> None:
    (fact,) = store(config, "I prefer short answers.", scope="global", tags=("preference",))
    (pinned,) = store(config, "Never push to main.", tags=("pinned",))
    (custom,) = store(config, "We write British English.", tags=("preference",))
    store(config, "The logo is blue.")
    lines = recall_at_start(call(config, "session-start")).splitlines()
    assert lines[2:-1] == [
        f"- [{pinned}, new; pinned of the team] Never push to main.",
        f"- [{fact}, new; preference] I prefer short answers.",
        f"- [{custom}, new; preference of the team] We write British English.",
    ]


def test_the_digest_says_how_much_the_team_knows(config: Config) -> None:
    store(config, *OTHERS)
    app = build_application(config)
    assert describe_known(app, None, []) == ["4 memories are known to the team."]
    app.close()
