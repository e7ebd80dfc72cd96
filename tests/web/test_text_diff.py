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
