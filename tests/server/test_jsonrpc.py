"""Lines, messages and invalid messages, without a process."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.server import jsonrpc
from sediment_mcp.server.jsonrpc import (
    INVALID_REQUEST,
    MAX_DEPTH,
    MAX_LINE_BYTES,
    PARSE_ERROR,
    InvalidMessage,
    LineSplitter,
    decode,
    encode,
)
from sediment_mcp.system.text import valid_text

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
any_text = st.text(alphabet=st.characters())  # with lone surrogates


def refusal_of(line: bytes) -> dict[str, object]:
    with pytest.raises(InvalidMessage) as caught:
        decode(line)
    answer = caught.value.answer
    return {"id": answer["id"], "code": answer["error"]["code"]}


@given(st.lists(st.binary().map(lambda b: b.replace(b"\n", b" "))), st.data())
def test_lines_are_the_same_however_the_bytes_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = LineSplitter()
    found: list[bytes | InvalidMessage] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert found == lines
    assert list(reader.finish()) == []


def test_a_last_line_without_a_line_feed_counts() -> None:
    reader = LineSplitter()
    assert list(reader.feed(b"one\ntwo")) == [b"one"]
    assert list(reader.finish()) == [b"two"]


def test_the_longest_line_passes_and_one_byte_more_is_refused() -> None:
    reader = LineSplitter()
    longest = b"x" * MAX_LINE_BYTES
    assert list(reader.feed(longest + b"\n")) == [longest]
    (refused,) = reader.feed(longest + b"x\n")
    assert isinstance(refused, InvalidMessage)
    assert refused.answer["error"]["code"] == INVALID_REQUEST
    assert list(reader.feed(b"next\n")) == [b"next"]


@pytest.mark.parametrize("id", [7, -1, "seven", 'with "quotes"'])
@pytest.mark.parametrize("id_first", [True, False])
def test_the_id_of_an_over_long_request_is_found_at_either_end(id: int | str, id_first: bool) -> None:
    params = {"name": "store_memory", "arguments": {"content": "x" * MAX_LINE_BYTES, "metadata": {"id": 99}}}
    first = {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}
    last = {"method": "tools/call", "params": params, "jsonrpc": "2.0", "id": id}
    (refused,) = LineSplitter().feed(json.dumps(first if id_first else last).encode() + b"\n")
    assert isinstance(refused, InvalidMessage)
    assert refused.answer["id"] == id


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","method":"x","params":{"id":5,',
        b'{"jsonrpc":"2.0","method":"x","params":"{\\"id\\":5}',
        b'{"params":{"jsonrpc":"2.0","id":5}}',
        b'{"params":"\\"jsonrpc\\":\\"2.0\\",\\"id\\":5}',
        b'{"jsonrpc":"2.0","id":1.5,"method":"x"',
        b'{"jsonrpc":"2.0","id":null,"method":"x"',
    ],
)
def test_an_id_that_is_not_the_requests_own_is_not_found(line: bytes) -> None:
    assert jsonrpc.find_id(line) is None


@given(st.dictionaries(st.text(), json_values, max_size=4), st.integers() | st.text())
def test_a_request_survives_being_written_and_read(params: dict[str, object], id: int | str) -> None:
    message = {"jsonrpc": "2.0", "id": id, "method": "m", "params": params}
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


@given(st.dictionaries(any_text, any_text, max_size=4))
def test_half_a_pair_becomes_the_replacement_character_in_both_directions(params: dict[str, str]) -> None:
    message = {"jsonrpc": "2.0", "method": "m", "params": params}
    outbound = decode(encode(message))
    inbound = decode(json.dumps(message).encode())
    expected = {valid_text(key): valid_text(value) for key, value in params.items()}
    assert outbound is not None
    assert outbound["params"].keys() == expected.keys()
    # An escaped high half directly before an escaped low half is a pair, so only the number may differ.
    assert inbound is not None
    assert json.dumps(inbound, ensure_ascii=False).encode()
    if not any(
        "\ud800" <= character <= "\udfff" for text in (*params, *params.values()) for character in text
    ):
        assert outbound["params"] == inbound["params"] == params


def test_a_valid_pair_of_escapes_is_one_character() -> None:
    message = decode(b'{"jsonrpc":"2.0","method":"m","params":{"a":"\\ud83d\\ude00 \\ud83d"}}')
    assert message is not None
    assert message["params"] == {"a": "\U0001f600 \ufffd"}


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_that_are_not_json_are_refused(number: bytes) -> None:
    line = b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":' + number + b"}}"
    assert refusal_of(line) == {"id": None, "code": PARSE_ERROR}
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"a": float(number)})


@given(st.integers(min_value=1, max_value=3 * MAX_DEPTH))
def test_nesting_is_refused_from_one_depth_on(depth: int) -> None:
    value = b"[" * depth + b"]" * depth
    line = b'{"jsonrpc":"2.0","id":4,"method":"m","params":{"a":' + value + b',"b":"[[[[{{{{"}}'
    if depth + 2 <= MAX_DEPTH:
        assert decode(line)
    else:
        assert refusal_of(line) == {"id": 4, "code": PARSE_ERROR}


def test_brackets_inside_strings_are_no_nesting() -> None:
    text = '[{"\\' * 5000
    message = {"jsonrpc": "2.0", "id": 1, "method": "m", "params": {"a": text}}
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
        b'{"jsonrpc":"2.0","id":"a","error":{"code":-1,"message":"no"}}',
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}',
        b'{"jsonrpc":"2.0","error":{"code":-32700,"message":"what?"}}',
    ],
)
def test_a_response_is_accepted(line: bytes) -> None:
    message = decode(line)
    assert message is not None
    assert jsonrpc.is_response(message)


@pytest.mark.parametrize(
    "line", [b'{"jsonrpc":"2.0","id":1,"result":[]}', b'{"jsonrpc":"2.0","id":1,"error":1}']
)
def test_the_refusal_of_a_broken_response_does_not_carry_its_id(line: bytes) -> None:
    assert refusal_of(line) == {"id": None, "code": INVALID_REQUEST}


def test_a_line_cut_off_within_a_string_is_refused_and_its_brackets_count_no_more() -> None:
    csv = 'id,\\"name\\",[x],{y}\\n' * 4_000
    for line in ("[]" * 130 + '"' + csv, "[" * 120 + '"' + "[" * 500, "[]" * 130 + '"\\'):
        assert refusal_of(line.encode()) == {"id": None, "code": PARSE_ERROR}
    assert refusal_of(b"[" * 129) == {"id": None, "code": PARSE_ERROR}
