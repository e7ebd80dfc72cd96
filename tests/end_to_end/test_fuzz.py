"""A hail of generated lines over the real server, in small; and whether the judge notices what goes wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import pytest
from fuzz import ERAS, SERVER, Session
from fuzz_judge import Judge, expected
from fuzz_lines import MODERN, Generator
from support.stdio_peer import REPOSITORY, TIMEOUT

from sediment_mcp.config import NO_MODEL

HANDSHAKE = ERAS[-2]


def session(directory: Path, era: str, *command: str) -> Session:
    return Session(directory / "data", era, "7", command or SERVER, NO_MODEL)


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("era", [HANDSHAKE, MODERN])
def test_no_line_makes_the_server_break_a_promise(era: str, tmp_path: Path) -> None:
    outcome = session(tmp_path, era).run(1200, TIMEOUT)
    assert outcome.defects == []
    assert outcome.sent >= 1200
    assert outcome.answered > outcome.refused > 300


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(
    ("fault", "told"),
    {
        "twice": "nobody waits for",
        "swallow": "without an answer",
        "die": "died with status 3",
        "chatter": "no JSON-RPC on stdout",
        "leak": "internals",
        "alter": "answered wrongly",
    }.items(),
)
def test_the_judge_notices_a_server_that(fault: str, told: str, tmp_path: Path) -> None:
    program = str(REPOSITORY / "tests" / "support" / "odd_server.py")
    outcome = session(tmp_path, MODERN, sys.executable, program, str(tmp_path), fault).run(
        20, 1 if fault == "swallow" else TIMEOUT
    )
    assert [defect for defect in outcome.defects if told in defect], outcome.defects


def test_a_seed_repeats_its_lines() -> None:
    first, again, other = (
        Generator(Random(seed), MODERN, {"t": {"properties": {"query": {"type": "string"}}}})
        for seed in (1, 1, 2)
    )
    lines = first.round(500)
    assert again.round(500) == lines
    assert other.round(500) != lines


@pytest.mark.parametrize(
    ("line", "answers", "exact"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"m"}', 1, True),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"m"}', 1, False),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":[]}', 1, False),
        (b'{"jsonrpc":"2.0","method":"m"}', 0, False),
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', 0, False),
        (b"[]", 1, False),
        (b" \r", 0, False),
        (b"[" * 200, 1, False),
    ],
)
def test_what_a_line_must_lead_to(line: bytes, answers: int, exact: bool) -> None:
    assert (expected(line).answers, expected(line).exact) == (answers, exact)


def test_a_request_under_a_taken_id_is_answered_or_refused_but_not_dropped() -> None:
    request, answer = b'{"jsonrpc":"2.0","id":5,"method":"m"}', b'{"jsonrpc":"2.0","id":5,"result":{}}'
    refusal = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"taken"}}'
    for answers, sound in (((answer, answer), True), ((answer, refusal), True), ((answer,), False)):
        judge = Judge()
        judge.line_sent(request)
        judge.line_sent(request)
        for line in answers:
            judge.line_received(line)
        assert judge.settled() is sound
        judge.close_round()
        assert (judge.defects == []) is sound


def test_only_a_cancelled_request_may_stay_unanswered() -> None:
    for id, sound in ((b"5", True), (b'"5"', False)):
        judge = Judge()
        judge.line_sent(b'{"jsonrpc":"2.0","id":5,"method":"m"}')
        judge.line_sent(
            b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":' + id + b"}}"
        )
        judge.close_round()
        assert (judge.defects == []) is sound


def test_the_refusals_of_a_cancelled_request_do_not_make_a_slow_answer_one_too_many() -> None:
    judge = Judge()
    for id, times in ((0, 2), (5, 3)):
        for _ in range(times):
            judge.line_sent(f'{{"jsonrpc":"2.0","id":{id},"method":"m"}}'.encode())
    judge.line_sent(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}')
    for _ in range(3):
        judge.line_received(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Still at work."}}')
    assert judge.settled()
    judge.close_round()
    for _ in range(2):  # as many as were sent
        judge.line_received(b'{"jsonrpc":"2.0","id":0,"result":{}}')
    assert judge.defects == []
    judge.line_received(b'{"jsonrpc":"2.0","id":0,"result":{}}')
    assert len(judge.defects) == 1


def test_the_refusal_of_a_line_too_deep_is_not_taken_for_a_late_answer_under_its_id() -> None:
    request, answer = b'{"jsonrpc":"2.0","id":5,"method":"m"}', b'{"jsonrpc":"2.0","id":5,"result":{}}'
    judge = Judge()
    for line in (
        request,
        request,
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}',
    ):
        judge.line_sent(line)
    judge.line_received(answer)
    judge.close_round()  # the other one may come late
    judge.line_sent(b'{"jsonrpc":"2.0","id":5,"method":"m","params":' + b"[" * 200)
    judge.line_received(b'{"jsonrpc":"2.0","id":5,"error":{"code":-32700,"message":"Too deep."}}')
    assert judge.settled()
    judge.line_received(answer)
    judge.close_round()
    assert judge.defects == []
