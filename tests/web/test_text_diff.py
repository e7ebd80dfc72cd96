"""How two texts differ: the parts make up both texts, and only what changed is marked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.web import text_diff

texts = st.text(st.sampled_from("ab \n.é")) | st.text()


@given(texts, texts)
def test_a_difference_is_made_of_both_texts(old: str, new: str) -> None:
    parts = text_diff.diff_texts(old, new)
    assert "".join(text for kind, text in parts if kind != "in") == old
    assert "".join(text for kind, text in parts if kind != "out") == new
    assert all(text for _, text in parts)


def test_only_the_words_that_changed_are_marked() -> None:
    assert text_diff.diff_texts("The port is 8080.", "The port is 9090.") == [
        ("same", "The port is "), ("out", "8080"), ("in", "9090"), ("same", "."),
    ]  # fmt: skip


def test_long_texts_are_compared_line_by_line() -> None:
    lines = [f"Line {n} of many\n" for n in range(2000)]
    changed = [*lines[:1000], "Another line\n", *lines[1001:]]
    assert text_diff.diff_texts("".join(lines), "".join(changed)) == [
        ("same", "".join(lines[:1000])), ("out", lines[1000]), ("in", "Another line\n"),
        ("same", "".join(lines[1001:])),
    ]  # fmt: skip
    endless = "\n".join(map(str, range(3000)))
    assert text_diff.diff_texts(endless, endless[::-1]) == [("out", endless), ("in", endless[::-1])]


@given(texts, texts)
def test_what_is_the_same_is_as_much_as_can_be_in_one_order(old: str, new: str) -> None:
    before, after = text_diff._WORDS.findall(old), text_diff._WORDS.findall(new)
    kept = sum(
        len(text_diff._WORDS.findall(text)) for kind, text in text_diff.diff_texts(old, new) if kind == "same"
    )
    lengths = [[0] * (len(after) + 1)]
    for word in before:
        row = [0]
        for place, other in enumerate(after):
            row.append(lengths[-1][place] + 1 if word == other else max(row[-1], lengths[-1][place + 1]))
        lengths.append(row)
    assert kept <= lengths[-1][-1] or "".join(before) == "".join(after)


def test_texts_that_differ_in_nearly_everything_are_two_texts() -> None:
    long, changed = "a b " * 480, "c d " * 480 + "e"
    assert text_diff.diff_texts(long.replace(" ", "."), changed) == [
        ("out", long.replace(" ", ".")), ("in", changed),
    ]  # fmt: skip


def test_a_long_passage_may_be_added_or_taken_out() -> None:
    passage = " ".join(map(str, range(700)))
    assert text_diff.diff_texts("one two", f"one {passage} two") == [
        ("same", "one "), ("in", passage + " "), ("same", "two"),
    ]  # fmt: skip
    assert text_diff.diff_texts(passage, "") == [("out", passage)]
