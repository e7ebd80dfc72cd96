"""Files of other programs are imported as far as a memory holds them; the rest is reported."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import Host
from support.transferring import import_place, memories_by_content, state, write_file

from sediment_mcp.errors import BadArgument
from sediment_mcp.transfer.detect import detect_format
from sediment_mcp.transfer.formats import FORMATS
from sediment_mcp.transfer.records import MemoryRecord, Problem, RuleRecord
from sediment_mcp.transfer.source import DEFAULT_LIMITS, wrap_bytes

# --- server-memory ------------------------------------------------------------------------------

GRAPH = [
    {"type": "entity", "name": "Ann", "entityType": "person", "observations": ["likes tea", "Ann is 40"]},
    {"type": "entity", "name": "Kyoto", "entityType": "city", "observations": []},
    {"type": "relation", "from": "Ann", "to": "Kyoto", "relationType": "lives_in"},
]


def test_each_observation_of_a_knowledge_graph_is_a_memory_that_names_its_entity(
    host: Host, tmp_path: Path
) -> None:
    path = write_file(tmp_path, "\n".join(map(json.dumps, GRAPH)), "memory.jsonl")
    assert import_place(host, path).imported == 4
    found = memories_by_content(host)
    assert found.keys() == {"Ann: likes tea", "Ann is 40", "Kyoto is of type city.", "Ann lives in Kyoto."}
    assert found["Ann: likes tea"]["tags"] == {"person"}
    assert found["Ann: likes tea"]["metadata"] == {"source": "server-memory", "entity": "Ann"}
    assert found["Ann lives in Kyoto."]["metadata"]["relation"] == "lives_in"
    assert import_place(host, path).known == 4


def test_the_answer_of_read_graph_is_read_too(host: Host, tmp_path: Path) -> None:
    graph = {"entities": GRAPH[:2], "relations": GRAPH[2:]}
    assert import_place(host, write_file(tmp_path, json.dumps(graph, indent=2))).imported == 4


def test_half_a_line_of_a_knowledge_graph_is_reported_and_the_rest_is_read(
    host: Host, tmp_path: Path
) -> None:
    text = "\n".join(
        [
            json.dumps(GRAPH[0]),
            '{"type":"entity","name":"Be',
            '{"type":"entity"}',
            '{"type":"relation","from":"a"}',
        ]
    )
    report = import_place(host, write_file(tmp_path, text))
    assert report.imported == 2
    assert [place for place, _ in report.skipped] == ["line 2", "line 3", "line 4"]


# --- mcp-memory-service -------------------------------------------------------------------------


def service(**memory: Any) -> str:
    whole = {
        "content": "Deploys happen on Friday.", "content_hash": "abc", "tags": ["ci", "deploy"],
        "created_at": 1767607200.5, "updated_at": 1767607300.0, "memory_type": "decision",
        "metadata": {"author": "ann"}, "store": "default", "export_source": "laptop", **memory,
    }  # fmt: skip
    return json.dumps({"export_metadata": {"exporter_version": "5.0.1"}, "memories": [whole]}, indent=2)


def test_an_export_of_mcp_memory_service_keeps_texts_tags_times_and_metadata(
    host: Host, tmp_path: Path
) -> None:
    path = write_file(tmp_path, service())
    assert import_place(host, path).imported == 1
    (memory,) = state(host).values()
    assert memory["content"] == "Deploys happen on Friday."
    assert memory["tags"] == {"ci", "deploy", "decision"}
    assert memory["occurred_at"] == "2026-01-05T10:00:00.500000Z"
    assert memory["kind"] == "semantic"
    assert memory["metadata"] == {
        "author": "ann", "source": "mcp-memory-service", "store": "default", "machine": "laptop",
    }  # fmt: skip
    assert import_place(host, path).known == 1


def test_its_types_become_kinds_where_there_is_one(host: Host, tmp_path: Path) -> None:
    import_place(host, write_file(tmp_path, service(memory_type="event", tags="a, b,")))
    (memory,) = state(host).values()
    assert (memory["kind"], memory["tags"]) == ("episodic", {"a", "b"})


# --- mem0 ---------------------------------------------------------------------------------------

MEM0 = {
    "id": "5d2e", "memory": "Prefers window seats", "hash": "x", "metadata": {"category": "travel"},
    "created_at": "2026-01-05T02:00:00-08:00", "updated_at": None, "user_id": "ann", "run_id": "trip",
    "categories": ["travel", "seats"],
}  # fmt: skip


@pytest.mark.parametrize(
    "shape", [{"results": [MEM0]}, {"memories": [MEM0]}, [MEM0], {"data": {"results": [MEM0]}}]
)
def test_memories_of_mem0_are_imported_in_any_of_its_shapes(host: Host, tmp_path: Path, shape: Any) -> None:
    assert import_place(host, write_file(tmp_path, json.dumps(shape))).imported == 1
    (memory,) = state(host).values()
    assert memory["content"] == "Prefers window seats"
    assert memory["session"] == "trip"
    assert memory["tags"] == {"travel", "seats"}
    assert memory["occurred_at"] == "2026-01-05T10:00:00Z"
    assert memory["metadata"] == {"category": "travel", "user_id": "ann", "source": "mem0"}


def test_expired_memories_of_mem0_are_reported_and_left_out(host: Host, tmp_path: Path) -> None:
    ends = [
        {**MEM0, "expiration_date": "2026-01-06"},
        {**MEM0, "memory": "later", "expiration_date": "2026-12-31"},
    ]
    report = import_place(host, write_file(tmp_path, json.dumps(ends)))
    assert (report.imported, [place for place, _ in report.skipped]) == (1, ["memory 1"])
    assert memories_by_content(host)["later"]["expires_at"] == "2026-12-31T23:59:59.999999Z"


@pytest.mark.parametrize("content", ["{}", "[]", '{"a": 1}', '[{"b": 2}]', "{" * 50_000])
def test_json_of_an_unknown_shape_is_refused_with_the_formats_that_there_are(
    host: Host, tmp_path: Path, content: str
) -> None:
    with pytest.raises(BadArgument, match="--format"):
        import_place(host, write_file(tmp_path, content))


def test_a_format_that_is_named_is_believed_and_one_that_does_not_exist_refused(
    host: Host, tmp_path: Path
) -> None:
    path = write_file(tmp_path, '{"a": 1}')
    assert import_place(host, path, "text").imported == 1
    with pytest.raises(BadArgument, match="server-memory"):
        import_place(host, path, "word")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("sign", ["ж", "🎉"])
@pytest.mark.parametrize("shift", ["", "a"])
def test_a_long_text_is_read_wherever_its_head_ends(
    host: Host, tmp_path: Path, encoding: str, sign: str, shift: str
) -> None:
    text = shift + sign * 40_000
    assert import_place(host, write_file(tmp_path, text.encode(encoding), "long.txt")).notes == []
    assert memories_by_content(host).keys() == {text}


def test_json_that_holds_zero_bytes_far_inside_is_refused(host: Host, tmp_path: Path) -> None:
    path = write_file(tmp_path, b'{"a":' + b" " * 70_000 + b"\0")
    with pytest.raises(BadArgument, match="zero bytes"):
        import_place(host, path)
    ((_, reason),) = import_place(host, path, "server-memory").skipped
    assert "cut off" in reason


def test_a_memory_of_mem0_that_ends_on_the_last_day_of_all_is_imported(host: Host, tmp_path: Path) -> None:
    path = write_file(tmp_path, json.dumps([{**MEM0, "expiration_date": "9999-12-31"}]))
    assert import_place(host, path).imported == 1
    (memory,) = state(host).values()
    assert memory["expires_at"] == "9999-12-31T23:59:59.999999Z"


def test_a_type_that_is_no_word_becomes_a_tag(host: Host, tmp_path: Path) -> None:
    assert import_place(host, write_file(tmp_path, service(memory_type=["event"]))).imported == 1
    (memory,) = state(host).values()
    assert memory["tags"] == {"ci", "deploy", "['event']"}


FIELDS = sorted(
    {
        *("results", "memories", "records", "data", "export_metadata", "entities", "relations", "type"),
        *("content", "content_hash", "memory", "metadata", "tags", "categories", "memory_type", "run_id"),
        *("created_at", "created_at_iso", "updated_at", "expiration_date", "session_id", "user_id"),
        *("name", "entityType", "observations", "from", "to", "relationType", "format", "version", "id"),
        *("subject", "max_age", "max_count", "vectors", "passages", "superseded_by", "changed_at"),
    }
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(
        ["", "x", "entity", "relation", "memory", "retention", "event", "9999-12-31", "\ud83d"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(values, st.sampled_from(sorted(FORMATS)))
def test_no_json_document_breaks_a_reader(document: object, format_name: str) -> None:
    data = json.dumps(document).encode()
    with suppress(BadArgument):
        detect_format(wrap_bytes(data, "given"))
    for item in FORMATS[format_name].read(wrap_bytes(data, "given"), DEFAULT_LIMITS):
        assert isinstance(item, MemoryRecord | RuleRecord | Problem)


def test_a_repeated_import_from_another_program_adds_and_removes_nothing(host: Host, tmp_path: Path) -> None:
    path = write_file(tmp_path, "\n".join(map(json.dumps, GRAPH)), "memory.jsonl")
    import_place(host, path)
    dated = {memory["changed_at"] for memory in state(host).values()}
    assert dated == {memory["created_at"] for memory in state(host).values()}
    before = state(host)
    host.clock.advance(days=1)
    assert (import_place(host, path).known, state(host)) == (4, before)
    host.store("Ann is 40", tags=["mine"], importance=0.9)
    graph = json.dumps(GRAPH[0] | {"entityType": "friend"})
    host.clock.advance(days=1)
    assert import_place(host, write_file(tmp_path, graph, "memory.jsonl")).updated == 2
    found = memories_by_content(host)["Ann is 40"]
    assert (found["tags"], found["importance"]) == ({"person", "mine", "friend"}, 0.9)
    assert found["changed_at"][:10] == "2026-05-10"


def test_too_many_tags_and_too_much_metadata_are_trimmed_and_noted(host: Host, tmp_path: Path) -> None:
    note = {"content": "x", "content_hash": "y", "tags": [f"tag {n}" for n in range(25)] + ["z" * 100]}
    note["metadata"] = {"small": 1, "large": "l" * 5000, "odd": "half \ud83d"}
    report = import_place(host, write_file(tmp_path, json.dumps([note])))
    (memory,) = state(host).values()
    assert len(memory["tags"]) == 20
    assert memory["metadata"] == {"small": 1, "odd": "half \ufffd", "source": "mcp-memory-service"}
    told = " ".join(sentence for _, sentence in report.notes)
    assert "6 tags" in told
    assert "large" in told
