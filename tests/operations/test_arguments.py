"""The tools' arguments: what is taken, what is refused, and in which words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain.memory import MAX_METADATA_BYTES
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.argument_names import find_host_names
from sediment_mcp.operations.arguments import (
    MAX_CONTENT_CHARS,
    Arguments,
    DeleteMemory,
    ListMemories,
    QueryMemory,
    StoreMemory,
    parse_arguments,
    unwrap_arguments,
)
from sediment_mcp.system.time_zone import use_zone
from sediment_mcp.system.timestamps import isoformat


def plain(arguments: Arguments) -> dict[str, object]:
    """Return the arguments that were given as JSON carries them."""
    given = {name: getattr(arguments, name) for name in arguments.given}
    return {name: isoformat(value) if isinstance(value, datetime) else value for name, value in given.items()}


def refusal(model, /, **arguments) -> str:
    with pytest.raises(BadArgument) as caught:
        parse_arguments(model, arguments)
    return str(caught.value)


# --- arguments that are taken -------------------------------------------------------------------


def test_defaults():
    stored, query = (
        parse_arguments(StoreMemory, {"content": "x"}),
        parse_arguments(QueryMemory, {"query": "x"}),
    )
    assert (stored.kind, stored.tags, stored.scope, stored.importance) == ("semantic", [], None, 0.5)
    assert (query.limit, query.scope, query.include_superseded, query.max_chars) == (5, "all", False, 8000)
    listing = parse_arguments(ListMemories, {})
    assert (listing.limit, listing.order, listing.ids) == (20, "newest", [])
    assert parse_arguments(DeleteMemory, {"ids": ["a"]}).permanent is False


@given(st.text(min_size=1).filter(lambda text: text.strip()))
def test_content_and_query_are_verbatim(text):
    assert parse_arguments(StoreMemory, {"content": text}).content == text
    assert parse_arguments(QueryMemory, {"query": text}).query == text


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_text_mean_not_given(nothing):
    names = [
        "kind",
        "tags",
        "scope",
        "session",
        "importance",
        "occurred_at",
        "expires_at",
        "replaces",
        "metadata",
    ]
    assert parse_arguments(StoreMemory, {"content": "x", **dict.fromkeys(names, nothing)}) == parse_arguments(
        StoreMemory, {"content": "x"}
    )


@pytest.mark.parametrize(
    ("sent", "tags"),
    [
        ("one", ["one"]),
        ('["one", "two"]', ["one", "two"]),
        (["one"], ["one"]),
        (["one", None, "null", "two", ""], ["one", "two"]),
        ("one, two", ["one", "two"]),
        ("one,two,", ["one", "two"]),
        ("one; two", ["one", "two"]),
        ("one\ntwo", ["one", "two"]),
        ("- one\n- two", ["one", "two"]),
        ("one\u3001two\uff0cthree", ["one", "two", "three"]),
        ("['one', 'two']", ["one", "two"]),
        ("['one',]", ["one"]),
        ("('one',)", ["one"]),
        ("('one', 'two')", ["one", "two"]),
        ("{'two', 'one'}", ["two", "one"]),
        ("{one, two}", ["one", "two"]),
        ("[one, two]", ["one", "two"]),
        ("[ 'one', null, 2026 ]", ["one", "2026"]),
        ("['one', None, 2026]", ["one", "2026"]),
        ("'one', \"two\"", ["one", "two"]),
        ('"one"', ["one"]),
        (" one ", ["one"]),
        ([2026, 1.5, True], ["2026", "1.5", "true"]),
        ("[2026]", ["2026"]),
        ("007", ["007"]),
        ("None, one, undefined", ["one"]),
        (("one", "two"), ["one", "two"]),
    ],
)
def test_a_list_may_come_as_text_of_many_kinds(sent, tags):
    assert parse_arguments(StoreMemory, {"content": "x", "tags": sent}).tags == tags
    assert parse_arguments(DeleteMemory, {"ids": sent}).ids == tags
    assert parse_arguments(StoreMemory, {"content": "x", "replaces": sent}).replaces == tags


@pytest.mark.parametrize(
    ("sent", "tags"),
    [
        (["a, b"], ["a, b"]),
        ('["a, b"]', ["a, b"]),
        ("['a, b', 'c']", ["a, b", "c"]),
        ("[draft]", ["[draft]"]),
        ("#one #two", ["one", "two"]),
        ("#one", ["one"]),
        ([" one", "#two", "C#", "#"], ["one", "two", "C#", "#"]),
        ("to do", ["to do"]),
    ],
)
def test_a_tag_is_what_is_meant_by_it(sent, tags):
    assert parse_arguments(StoreMemory, {"content": "x", "tags": sent}).tags == tags
    assert parse_arguments(QueryMemory, {"query": "x", "tags": sent}).tags == tags


@pytest.mark.parametrize(
    "sent",
    [
        "memory://k3m9p2qrstvw",
        " k3m9p2qrstvw\n",
        ["Memory://k3m9p2qrstvw/"],
        "<memory://k3m9p2qrstvw>",
        "`k3m9p2qrstvw`",
        "[k3m9p2qrstvw]",
        ["'k3m9p2qrstvw' "],
    ],
)
def test_an_id_is_known_in_other_clothes(sent):
    ids = ["k3m9p2qrstvw"]
    assert parse_arguments(DeleteMemory, {"ids": sent}).ids == ids
    assert parse_arguments(ListMemories, {"ids": sent}).ids == ids
    assert parse_arguments(StoreMemory, {"content": "x", "replaces": sent}).replaces == ids


@pytest.mark.parametrize("sent", ["a,memory://b", "a b", ["a,b"], ["a", " b "], "memory://a\nmemory://b"])
def test_several_ids_may_come_in_one_text(sent):
    assert parse_arguments(DeleteMemory, {"ids": sent}).ids == ["a", "b"]


@pytest.mark.parametrize("nothing", ["null", "None", "NULL", "undefined", "nil", " ", " None "])
def test_words_for_nothing_mean_not_given(nothing):
    for model, required in ((StoreMemory, {"content": nothing}), (QueryMemory, {"query": nothing})):
        if not nothing.strip():
            continue
        optional = dict.fromkeys(model.parameters.keys() - required.keys(), nothing)
        assert parse_arguments(model, {**required, **optional}) == parse_arguments(model, required)
    assert parse_arguments(ListMemories, dict.fromkeys(ListMemories.parameters, nothing)) == ListMemories()
    assert "ids is empty" in refusal(DeleteMemory, ids=nothing)
    assert "ids is empty" in refusal(DeleteMemory, ids=[nothing])


def test_words_of_a_fixed_set_are_known_in_any_case():
    assert (
        parse_arguments(StoreMemory, {"content": "x", "kind": " Semantic", "scope": "GLOBAL"}).scope
        == "global"
    )
    assert (
        parse_arguments(ListMemories, {"order": "Oldest", "scope": "All", "kind": "Working"}).order
        == "oldest"
    )


def test_metadata_may_come_as_a_python_literal():
    sent = {"content": "x", "metadata": "{'a': None, 'b': [1, 'c']}"}
    assert parse_arguments(StoreMemory, sent).metadata == {"a": None, "b": [1, "c"]}


def test_a_session_may_be_a_number_and_importance_have_a_decimal_comma():
    stored = parse_arguments(StoreMemory, {"content": "x", "session": 42, "importance": "0,5"})
    assert (stored.session, stored.importance) == ("42", 0.5)


@pytest.mark.parametrize(
    "name",
    [
        "_sessionID", "_meta", "__arg1", "_query", "wait_for_previous", "waitForPreviousTools", "toolCallId",
        "tool_call_id", "sessionId", "requestId", "conversationId", "thread_id", "explanation", "reason",
        "thought", "task_progress", "requires_approval", "safeToAutoRun", "SafeToAutoRun", "toolSummary",
        "chatInput", "action", "security_risk",
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", [StoreMemory, QueryMemory, ListMemories, DeleteMemory])
def test_what_hosts_add_is_ignored(model, name):
    needed = {StoreMemory: {"content": "x"}, QueryMemory: {"query": "x"}, DeleteMemory: {"ids": ["a"]}}
    given = needed.get(model, {})
    assert parse_arguments(model, {**given, name: False}) == parse_arguments(model, given)
    assert find_host_names({**given, name: False}, model.parameters) == [name]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("tag", "tags"), ("Limit", "limit"), ("limits", "limit"), ("includeSuperseded", "include_superseded"),
        ("maxChars", "max_chars"), ("max_char", "max_chars"), ("querry", "query"), ("text", "query"),
        ("session_id", "session"), ("Session", "session"), ("sessions", "session"), ("top_k", "limit"),
        ("from", "since"), ("untill", "until"), ("type", "kind"), ("scopes", "scope"),
    ],
)  # fmt: skip
def test_a_misspelt_parameter_is_answered_with_the_nearest(name, meant):
    message = refusal(QueryMemory, query="x", **{name: 1})
    assert message.startswith(f"{name} is not a parameter: did you mean {meant}?")


def test_metadata_may_come_as_json_text():
    assert parse_arguments(StoreMemory, {"content": "x", "metadata": '{"a": [1]}'}).metadata == {"a": [1]}


def test_numbers_may_come_as_text():
    assert parse_arguments(QueryMemory, {"query": "x", "limit": "7"}).limit == 7


@pytest.mark.parametrize(
    ("sent", "hour"),
    [
        ("2026-05-08T14:30:00Z", 14),
        ("2026-05-08T14:30:00", 14),
        ("2026-05-08T14:30:00+02:00", 12),
        (" 2026-05-08 14:30 ", 14),
        ("2026-05-08", 0),
    ],
)
def test_a_time_without_an_offset_is_utc_and_every_other_becomes_utc(sent, hour):
    time = parse_arguments(StoreMemory, {"content": "x", "occurred_at": sent}).occurred_at
    assert time is not None
    assert time.utcoffset() == timedelta(0)
    assert time.replace(minute=0) == datetime(2026, 5, 8, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        (UTC, "2026-05-08T00:00:00Z", "2026-05-08T23:59:59.999999Z"),
        (ZoneInfo("Europe/Berlin"), "2026-05-07T22:00:00Z", "2026-05-08T21:59:59.999999Z"),
        (ZoneInfo("America/Los_Angeles"), "2026-05-08T07:00:00Z", "2026-05-09T06:59:59.999999Z"),
        (ZoneInfo("Pacific/Kiritimati"), "2026-05-07T10:00:00Z", "2026-05-08T09:59:59.999999Z"),
    ],
)
def test_a_date_alone_is_that_whole_day_where_the_user_is(zone, first, last):
    with use_zone(zone):
        day = parse_arguments(ListMemories, {"since": "2026-05-08", "until": "2026-05-08"})
        times = parse_arguments(ListMemories, {"since": first, "until": last})
        stored = parse_arguments(
            StoreMemory, {"content": "x", "occurred_at": "2026-05-08", "expires_at": "2026-05-08"}
        )
    assert day == times
    assert day.since
    assert day.until
    assert stored.occurred_at
    assert day.since <= stored.occurred_at <= day.until
    assert stored.occurred_at.date() == date(2026, 5, 8)
    assert stored.expires_at == day.until


@pytest.mark.parametrize(
    ("span", "first", "last"),
    [
        ("2026-05", "2026-05-01", "2026-05-31"),
        ("2026-W19", "2026-05-04", "2026-05-10"),
        ("2026", "2026-01-01", "2026-12-31"),
    ],
)
def test_a_week_a_month_or_a_year_is_all_its_days(span, first, last):
    assert parse_arguments(ListMemories, {"since": span, "until": span}) == parse_arguments(
        ListMemories, {"since": first, "until": last}
    )


def test_limits_themselves_are_allowed():
    parse_arguments(
        StoreMemory, {"content": "x" * MAX_CONTENT_CHARS, "tags": ["t" * 64] * 20, "importance": 0}
    )
    parse_arguments(
        StoreMemory, {"content": "x", "importance": 1, "metadata": {"a": "x" * (MAX_METADATA_BYTES - 9)}}
    )
    parse_arguments(QueryMemory, {"query": "x" * 10_000, "limit": 100, "max_chars": 500})
    parse_arguments(QueryMemory, {"query": "x", "limit": 1, "max_chars": 100_000})
    parse_arguments(DeleteMemory, {"ids": ["a"] * 100})


def test_a_whole_second_as_an_end_includes_all_of_itself():
    listing = parse_arguments(
        ListMemories, {"since": "2026-05-08T14:30:05Z", "until": "2026-05-08T14:30:05Z"}
    )
    assert listing.since == datetime(2026, 5, 8, 14, 30, 5, tzinfo=UTC)
    assert listing.until == datetime(2026, 5, 8, 14, 30, 5, 999_999, tzinfo=UTC)
    exact = parse_arguments(QueryMemory, {"query": "x", "until": "2026-05-08T14:30:05.25Z"}).until
    assert exact == datetime(2026, 5, 8, 14, 30, 5, 250_000, tzinfo=UTC)
    ends = parse_arguments(StoreMemory, {"content": "x", "expires_at": "2026-05-08T14:30:05Z"}).expires_at
    assert ends == datetime(2026, 5, 8, 14, 30, 5, tzinfo=UTC)


def test_arguments_are_frozen_and_changed_in_a_copy():
    query = parse_arguments(QueryMemory, {"query": "x", "limit": 7})
    with pytest.raises(AttributeError, match="frozen"):
        query.limit = 8  # type: ignore[misc]
    other = query.replace(limit=8)
    assert (query.limit, other.limit, other.query) == (7, 8, "x")
    assert query.given == other.given == {"query", "limit"}
    assert query != other
    assert query == other.replace(limit=7)


@pytest.mark.parametrize("wrong", [{}, {"query": "x", "nosuch": 1}])
def test_arguments_are_never_made_without_what_is_required_or_with_more(wrong):
    with pytest.raises(TypeError, match=r"query|nosuch"):
        QueryMemory(**wrong)


def test_defaults_are_shared_by_no_two_calls():
    one, other = (parse_arguments(StoreMemory, {"content": "x"}) for _ in range(2))
    one.tags.append("changed")
    assert other.tags == []


# --- arguments that are refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "arguments", "named"),
    [
        (StoreMemory, {}, "content"),
        (StoreMemory, {"content": ""}, "content"),
        (StoreMemory, {"content": " \n\u3000"}, "content"),
        (StoreMemory, {"content": 5}, "content"),
        (StoreMemory, {"content": "x" * (MAX_CONTENT_CHARS + 1)}, str(MAX_CONTENT_CHARS)),
        (StoreMemory, {"content": "half \ud800"}, "content"),
        (StoreMemory, {"content": "x", "kind": "fact"}, "episodic"),
        (StoreMemory, {"content": "x", "tags": ["t"] * 21}, "20"),
        (StoreMemory, {"content": "x", "tags": ["t" * 65]}, "64"),
        (StoreMemory, {"content": "x", "tags": [{}]}, "tags.0"),
        (StoreMemory, {"content": "x", "tags": {"a": 1}}, "tags"),
        (ListMemories, {"tags": 5}, "tags"),
        (StoreMemory, {"content": "x", "replaces": [["a"]]}, "replaces.0"),
        (StoreMemory, {"content": "x", "scope": "all"}, "global"),
        (StoreMemory, {"content": "x", "importance": 1.1}, "importance"),
        (StoreMemory, {"content": "x", "importance": float("nan")}, "importance"),
        (StoreMemory, {"content": "x", "occurred_at": "yesterday"}, "2026-05-08T14:30:00Z"),
        (StoreMemory, {"content": "x", "occurred_at": 1778250600}, "ISO 8601"),
        (StoreMemory, {"content": "x", "occurred_at": "0001-01-01T00:00+14:00"}, "ISO 8601"),
        (StoreMemory, {"content": "x", "metadata": {"a": "x" * MAX_METADATA_BYTES}}, str(MAX_METADATA_BYTES)),
        (StoreMemory, {"content": "x", "metadata": {"a": "ü" * (MAX_METADATA_BYTES // 2)}}, "bytes"),
        (StoreMemory, {"content": "x", "metadata": {"a": float("inf")}}, "JSON"),
        (StoreMemory, {"content": "x", "metadata": {"a": {1, 2}}}, "JSON"),
        (StoreMemory, {"content": "x", "metadata": {"a": "\ud800"}}, "Unicode"),
        (StoreMemory, {"content": "x", "metadata": "{"}, "JSON object"),
        (StoreMemory, {"content": "x", "metadata": [1]}, "JSON object"),
        (StoreMemory, {"content": "x", "replaces": ["a"] * 101}, "100"),
        (QueryMemory, {}, "query"),
        (QueryMemory, {"query": " "}, "query"),
        (QueryMemory, {"query": "x" * 10_001}, "10000"),
        (QueryMemory, {"query": "x", "limit": 0}, "limit"),
        (QueryMemory, {"query": "x", "limit": 101}, "100"),
        (QueryMemory, {"query": "x", "limit": 2.5}, "limit"),
        (QueryMemory, {"query": "x", "max_chars": 499}, "500"),
        (QueryMemory, {"query": "x", "include_superseded": "perhaps"}, "include_superseded"),
        (ListMemories, {"order": "random"}, "oldest"),
        (ListMemories, {"cursor": "c" * 1001}, "cursor"),
        (DeleteMemory, {}, "ids"),
        (DeleteMemory, {"ids": []}, "ids"),
        (DeleteMemory, {"ids": ""}, "ids"),
        (DeleteMemory, {"ids": ["a"] * 101}, "100"),
    ],
)
def test_a_wrong_argument_is_named_in_a_sentence(model, arguments, named):
    message = refusal(model, **arguments)
    assert named in message
    assert message.endswith(".")
    assert "pydantic" not in message
    assert "Input" not in message
    assert len(message) < 300


def test_an_unknown_parameter_is_answered_with_those_that_exist():
    message = refusal(QueryMemory, query="x", text="y")
    assert message.startswith("text is not a parameter")
    assert all(name in message for name in QueryMemory.parameters)


def test_each_wrong_argument_is_named_at_once():
    message = refusal(QueryMemory, query=" ", limit=0)
    assert "query" in message
    assert "limit" in message


def test_many_wrong_arguments_give_only_a_few_sentences():
    message = refusal(StoreMemory, **{f"no{number}": number for number in range(500)}, tags=[{}] * 20)
    assert message.startswith("content is missing")
    assert message.endswith("516 more arguments are wrong.")
    assert len(message) < 1000


def test_the_name_of_an_argument_is_repeated_shortened_and_on_one_line():
    for name in ("x" * 5000, "a\nb", "\x1b[31m", ""):
        message = refusal(QueryMemory, query="x", **{name: 1})
        assert "is not a parameter" in message
        assert len(message) < 300
        assert message.isprintable()


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000])
@pytest.mark.parametrize("name", ["tags", "metadata", "replaces"])
def test_json_text_of_any_depth_is_only_a_wrong_argument(name, deep):
    assert name in refusal(StoreMemory, content="x", **{name: deep})


def test_metadata_of_any_depth_is_only_a_wrong_argument():
    deep: dict[str, object] = {}
    for _ in range(5000):
        deep = {"a": deep}
    assert "metadata" in refusal(StoreMemory, content="x", metadata=deep)


@pytest.mark.parametrize("text", ["{1: 2}", "{None: 1}", "{b'query': 1}", "{(1, 2): 3}"])
def test_wrapped_arguments_without_names_are_refused(text):
    with pytest.raises(BadArgument, match="arguments must be a JSON object"):
        unwrap_arguments(QueryMemory, {"arguments": text})


@pytest.mark.parametrize(
    ("name", "sent", "words"),
    [
        ("limit", "seven", "limit must be a valid integer, unable to parse string as an integer."),
        ("limit", 2.5, "limit must be a valid integer, got a number with a fractional part."),
        ("limit", [], "limit must be a valid integer."),
        ("limit", float("inf"), "limit must be a finite number."),
        ("limit", 10**400, "limit must be less than or equal to 100."),
        ("limit", 1e300, "limit must be less than or equal to 100."),
        ("limit", "9" * 5000, "limit must be less than or equal to 100."),
        ("limit", "0", "limit must be greater than or equal to 1."),
        ("scope", "mine", "scope must be 'all', 'project' or 'global'."),
        ("explain", "perhaps", "explain must be a valid boolean, unable to interpret input."),
        ("explain", {}, "explain must be a valid boolean."),
        ("session", {}, "session must be a valid string."),
        ("session", "s" * 257, "session is too long: it must be at most 256 characters."),
        ("tags", {"a": 1}, "tags must be a valid list."),
        ("tags", ["t"] * 21, "tags has too many items: there must be at most 20."),
        ("tags", ["a", ["b"]], "tags.1 must be a valid string."),
    ],
)  # fmt: skip
def test_the_sentence_for_a_wrong_value_says_what_it_must_be(name, sent, words):
    assert refusal(QueryMemory, query="x", **{name: sent}) == words


@pytest.mark.parametrize(
    ("sent", "number"), [("7", 7), (" +7 ", 7), ("7.00", 7), ("1_0", 10), (7.0, 7), (True, 1), ("007", 7)]
)
def test_whole_numbers_come_in_many_forms(sent, number):
    assert parse_arguments(QueryMemory, {"query": "x", "limit": sent}).limit == number


@pytest.mark.parametrize(
    ("sent", "truth"),
    [(1, True), (0, False), (1.0, True), ("yes", True), ("OFF", False), ("t", True), ("n", False)],
)
def test_truth_values_come_in_many_forms(sent, truth):
    assert parse_arguments(QueryMemory, {"query": "x", "explain": sent}).explain is truth


junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("model", [StoreMemory, QueryMemory, ListMemories, DeleteMemory])
@given(data=st.data())
def test_whatever_is_sent_is_taken_or_refused_in_words(model, data):
    names = st.sampled_from(list(model.parameters)) | st.text(max_size=5)
    sent = data.draw(st.dictionaries(names, junk, max_size=4))
    try:
        taken = parse_arguments(model, sent)
    except BadArgument:
        assert refusal(model, **sent).endswith(".")
    else:
        assert parse_arguments(model, plain(taken)) == taken
