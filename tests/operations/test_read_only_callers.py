"""A caller who may only read is told so at whatever would change a memory, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.host import Host
from support.transferring import export, import_export

from sediment_mcp.domain.caller import Caller, use_caller
from sediment_mcp.domain.retention import Rule
from sediment_mcp.errors import NotAllowed
from sediment_mcp.operations.arguments import StoreMemory
from sediment_mcp.operations.captured import keep_captured
from sediment_mcp.operations.edit_memory import edit_memory
from sediment_mcp.operations.history import revert
from sediment_mcp.operations.projects import move_project, open_project
from sediment_mcp.operations.retention_rules import clear_rules, run_retention, set_rule
from sediment_mcp.operations.trash import restore_memories
from sediment_mcp.server.tool_calls import call_tool, find_tool

pytestmark = pytest.mark.over_both

READER = Caller("reports", "default", may_write=False)
TEXT = "The port is 8080"


class Known:
    """A store with a memory in each state, which a reader wants to change."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.old = host.store(TEXT, scope="global")["id"]
        self.current = host.store("The port is 8081", scope="global", replaces=[self.old])["id"]
        self.trashed = host.store("Tea at four", scope="global")["id"]
        host.delete(self.trashed)
        self.turn = host.store("You: hello", scope="global", kind="episodic", tags=["captured"])["id"]
        host.project = "elsewhere"
        self.owned = host.store("Of a project", scope="project")["id"]
        host.project = None
        set_rule(host.app, Rule("kind", "episodic", None, 10))

    def state(self) -> object:
        with self.host.app.storage.read() as session:
            ids = [self.old, self.current, self.trashed, self.turn, self.owned]
            return session.get(ids), session.retention.rules(), session.changes.seq()


CHANGES: dict[str, Callable[[Known], Any]] = {
    "store": lambda known: known.host.store("Something new"),
    "store again": lambda known: known.host.store("The port is 8081", scope="global", importance=0.9),
    "replace": lambda known: known.host.store("The port is 8082", replaces=[known.current]),
    "edit": lambda known: edit_memory(
        known.host.app, known.current, StoreMemory(content="The port is 8081", tags=["net"])
    ),
    "delete": lambda known: known.host.delete(known.current),
    "erase": lambda known: known.host.delete(known.current, permanent=True),
    "restore": lambda known: restore_memories(known.host.app, [known.trashed]),
    "revert": lambda known: revert(known.host.app, known.old),
    "keep a captured turn": lambda known: keep_captured(known.host.app, [known.turn]),
    "set a rule": lambda known: set_rule(known.host.app, Rule("tag", "net", None, 1)),
    "clear the rules": lambda known: clear_rules(known.host.app, None, ""),
    "move a project": lambda known: move_project(known.host.app, "elsewhere", "here"),
    "run retention": lambda known: run_retention(known.host.app),
    "import": lambda known: import_export(
        known.host, export(known.host).replace(known.current.encode(), b"another").replace(b"8081", b"9091")
    ),
}


def test_a_reader_changes_nothing(host: Host) -> None:
    known = Known(host)
    clear_rules(host.app, None, "")
    set_rule(host.app, Rule("kind", "semantic", None, 1))  # so that retention would remove something
    before = known.state()
    for name, change in CHANGES.items():
        with use_caller(READER):
            try:
                change(known)
            except NotAllowed as refusal:
                assert "may read memories here, but not change them" in str(refusal)  # noqa: PT017
            else:
                pytest.fail(f"{name} is let through")
        assert known.state() == before, name
    for name, change in CHANGES.items():  # so that each would have changed something
        if name not in ("edit", "erase", "replace", "revert", "move a project", "clear the rules"):
            change(known)
    assert known.state() != before


def test_a_reader_may_ask(host: Host) -> None:
    known = Known(host)
    with use_caller(READER):
        assert known.current in host.found("port")
        assert host.list(ids=[known.old])["memories"]
        host.run_jobs()  # indexes are written whoever calls


def test_a_reader_s_project_is_not_taken_over_from_another_spelling(host: Host, tmp_path: Any) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    host.project = str(tmp_path / "link")
    stored = host.store("kiwi", scope="project")["id"]
    with use_caller(READER):
        host.project = str(folder)
        open_project(host.app, host.project)
        assert host.found("kiwi") == [stored]
    with host.app.storage.read() as session:
        assert session.get([stored])[stored].project == str(tmp_path / "link")


@pytest.mark.parametrize("tool", ["store_memory", "delete_memory"])
def test_a_tool_that_changes_memories_tells_a_reader_so(host: Host, tool: str) -> None:
    with use_caller(READER):
        for arguments in ({"content": "kiwi"}, {"ids": ["abc"]}, {}, None, "nonsense"):
            answer = call_tool(host.app, find_tool(tool), arguments, None, set())
            assert answer["isError"] is True
            assert "ask whoever runs this server for a token that may write" in answer["content"][0]["text"]
        listed = call_tool(host.app, find_tool("list_memories"), {}, None, set())
        assert listed["structuredContent"]["total"] == 0
