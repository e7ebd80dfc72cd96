"""What users reported is right: each file of tests/cases, with the real server, command line and model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.case_file import CASES, Case, CaseBlock, holds, read_blocks

FILES = sorted(CASES.glob("*.md"))
NEEDS_BASH = pytest.mark.skipif(shutil.which("bash") is None, reason="the cases are carried out by bash")


@NEEDS_BASH
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.model
@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_what_was_reported_is_right(path: Path, tmp_path: Path) -> None:
    case = Case(tmp_path)
    for block in read_blocks(path):
        case.carry_out(block)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_case_has_a_claim_a_source_and_something_to_carry_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert path.name == "README.md" or "\nSource: " in text
    assert read_blocks(path)


@NEEDS_BASH
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sh", "shows Tuesday echo Monday"),
        ("sh", "hides Monday echo Monday"),
        ("sh", "fails 1 Monday echo Monday"),
        ("sh", "false"),
        ("tools", 'list_memories {}\n= {"total": 1}'),
        ("tools", 'list_memories {}\n~ {"total": 0}'),
        ("tools", "list_memories {}\n! total"),
        ("tools", 'list_memories {"limit": 0}\n! Monday'),
    ],
)
def test_a_case_that_does_not_hold_fails(language: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Case(tmp_path).carry_out(CaseBlock(language, {"SEDIMENT_MODEL": "none"}, text))


@pytest.mark.parametrize(
    ("answer", "expected", "is_held"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [1, 2]}, {"a": [1, "..."]}, True),
        ({"a": [1]}, {"a": [1, 2, "..."]}, False),
        ({"a": []}, {"a": [{"b": 1}, "..."]}, False),
        ({}, {"a": [], "b": None, "c": False, "d": {}}, True),
        ({"a": ["x"]}, {"a": []}, False),
        ({"a": 0}, {"a": None}, False),
        ({"a": 0}, {"a": 0}, True),
        ({"a": "some text here"}, {"a": "…text…"}, True),
        ({"a": "some text here"}, {"a": "…word…"}, False),
    ],
)
def test_an_answer_holds_what_is_expected(answer: object, expected: object, is_held: bool) -> None:
    assert holds(answer, expected) is is_held
