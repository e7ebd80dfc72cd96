"""Passages: what they promise of any text, and that the real tokenizer agrees with the estimate."""

# ruff: noqa: RUF001  (Russian, Chinese and Japanese letters are meant)

from __future__ import annotations

import base64
import itertools
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.domain import chunking
from sediment_mcp.domain.chunking import (
    MIN_WINDOW_PIECES,
    WINDOW_PIECES,
    estimate_word_pieces,
    split_into_chunks,
)

ROOM = 254  # what MiniLM's 256 word pieces leave beside the two marks around every text

PROSE = (
    "The committee postponed its decision until the auditors had examined every invoice. Nobody objected. "
    "Afterwards the treasurer, an unusually cautious woman, explained which reimbursements were overdue. "
)
GERMAN = (
    "Die Geschwindigkeitsbegrenzung für Überseefrachtschiffe wurde vorübergehend außer Kraft gesetzt. "
    "Der Verkehrsausschuss berät am Mittwochnachmittag über Ausnahmegenehmigungen. "
)
RUSSIAN = "Мы решили перенести базу данных на новый сервер в начале следующего месяца. Все согласились. "
CHINESE = "今天天气很好，我们决定把数据库迁移到新的服务器上。没有人反对吗？当然没有！"
JAPANESE = "私たちはデータベースを新しいサーバーに移行することを決めました。カタカナも読めます。"
KOREAN = "우리는 데이터베이스를 새로운 서버로 이전하기로 결정했습니다. 날씨가 매우 좋습니다. "


def real_texts() -> dict[str, str]:
    dice = random.Random(7)
    rows = [
        {"id": dice.randrange(10**6), "userName": "Ann", "at": "2026-05-08T14:30:00Z", "price": dice.random()}
        for _ in range(60)
    ]
    return {
        "English": PROSE * 40,
        "German": GERMAN * 40,
        "Russian": RUSSIAN * 40,
        "Chinese": CHINESE * 80,
        "Japanese": JAPANESE * 80,
        "Korean": KOREAN * 60,
        "emoji": "🎉🚀 👩‍👩‍👧 ❤️ 😀 great 🎂! " * 200,
        "Python": Path(chunking.__file__).read_text(encoding="utf-8"),
        "JSON": json.dumps(rows, indent=1),
        "compact JSON": json.dumps(rows, separators=(",", ":")),
        "hex dump": "\n".join(dice.randbytes(16).hex(" ") for _ in range(150)),
        "hashes": "\n".join(dice.randbytes(32).hex() for _ in range(80)),
        "base64": "\n".join(base64.b64encode(dice.randbytes(57)).decode() for _ in range(80)),
        "URLs": " ".join(
            f"https://example.com/v2/users/{dice.randrange(10**6)}?sort=asc&cursor={dice.randbytes(9).hex()}"
            for _ in range(80)
        ),
        "numbers": " ".join(str(dice.randrange(10**12)) for _ in range(300)),
    }


@pytest.fixture(scope="module")
def tokenizer():
    from support.word_pieces import load_published_tokenizer

    return load_published_tokenizer()


@pytest.mark.sentence_transformers
@pytest.mark.parametrize("name", real_texts())
def test_passages_fit_the_model_by_its_own_tokenizer(name, tokenizer):
    text = real_texts()[name]
    spans = split_into_chunks(text)
    counts = [len(tokenizer.encode(text[a:b], add_special_tokens=False).ids) for a, b in spans]
    assert len(spans) > 1
    assert max(counts) <= ROOM


@pytest.mark.sentence_transformers
@pytest.mark.parametrize("name", ["English", "German", "Chinese", "Python", "JSON", "hashes"])
def test_passages_use_most_of_the_model_s_room(name, tokenizer):
    text = real_texts()[name]
    counts = [
        len(tokenizer.encode(text[a:b], add_special_tokens=False).ids) for a, b in split_into_chunks(text)
    ]
    assert sum(counts[:-1]) / len(counts[:-1]) > ROOM / 2


# --- properties of any text ---------------------------------------------------------------------

_MARKUP = [
    "# Title\n",
    "## Part\n\n",
    "```\n",
    "~~~py\n",
    "\n",
    "\n\n",
    " \t ",
    ". ",
    "。",
    "！",
    "!",
    "```x",
]
_WORDS = [
    "word ",
    "antidisestablishmentarianism",
    "deadbeef42",
    "getUserById",
    "über",
    "数据库",
    "안녕",
    "e\u0301",
]
_ODD = ["((((", "👩\u200d👧", "\u0301", "\u200d", "12345678", "\r\n", "\x00", "\u2028", "A", "aB" * 9]
documents = st.lists(st.sampled_from(_MARKUP + _WORDS + _ODD) | st.text(max_size=12), max_size=120).map(
    "".join
)
windows = st.integers(MIN_WINDOW_PIECES, 60)


@given(documents, windows)
def test_every_visible_character_lies_in_a_passage(text, window):
    held = set()
    for start, end in split_into_chunks(text, window):
        held.update(range(start, end))
    assert all(i in held for i, sign in enumerate(text) if not sign.isspace())


@given(documents, windows)
def test_passages_are_in_order_inside_the_text_and_never_blank(text, window):
    spans = split_into_chunks(text, window)
    assert all(0 <= start < end <= len(text) and text[start:end].strip() for start, end in spans)
    assert all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(spans))


@given(documents, windows)
def test_each_passage_fits_the_window_by_the_estimate(text, window):
    assert all(
        estimate_word_pieces(text[start:end]) <= window for start, end in split_into_chunks(text, window)
    )


@given(documents, windows)
def test_a_text_that_fits_is_one_passage_as_it_is(text, window):
    if text.strip() and estimate_word_pieces(text) <= window:
        assert split_into_chunks(text, window) == [(0, len(text))]


@given(documents, windows)
def test_cutting_is_deterministic(text, window):
    assert split_into_chunks(text, window) == split_into_chunks(str(text), window)


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_estimate_grows_with_the_text_but_for_a_piece(one, other):
    assert (
        estimate_word_pieces(one + other) >= max(estimate_word_pieces(one), estimate_word_pieces(other)) - 1
    )


def test_blank_text_has_no_passage():
    assert split_into_chunks("") == split_into_chunks(" \n\t ") == []


def test_a_window_too_small_for_overlap_is_refused():
    with pytest.raises(ValueError, match=str(MIN_WINDOW_PIECES)):
        split_into_chunks("text", MIN_WINDOW_PIECES - 1)


# --- where it cuts ------------------------------------------------------------------------------


def passages(text: str, window: int = WINDOW_PIECES) -> list[str]:
    return [text[start:end] for start, end in split_into_chunks(text, window)]


def test_long_prose_is_cut_at_sentences_and_neighbours_overlap():
    spans = split_into_chunks(PROSE * 20)
    assert all(text.endswith(".") for text in passages(PROSE * 20))
    shares = [(b - c) / (b - a) for (a, b), (c, _) in itertools.pairwise(spans)]
    assert all(0.05 < share < 0.25 for share in shares)


def test_chinese_is_cut_at_its_full_stops_without_any_space():
    assert all(text[-1] in "。？！" for text in passages(CHINESE * 30))


def test_lines_are_kept_whole():
    lines = [f"- item {number}: buy {number * 7} apples" for number in range(200)]
    assert all(line in lines for text in passages("\n".join(lines)) for line in text.split("\n"))


def test_paragraphs_are_packed_together_up_to_the_window():
    text = "\n\n".join(f"Paragraph {number} is short." for number in range(200))
    found = passages(text)
    assert len(found) <= 2 * estimate_word_pieces(text) / WINDOW_PIECES
    assert all(part.startswith("Paragraph") and part.endswith("short.") for part in found)


@pytest.mark.parametrize("before", range(1, 14))
def test_a_fenced_code_block_that_fits_is_kept_whole(before):
    half = "total = total + 1\n" * 12
    code = f"```python\n{half}\n# not a heading\n\n{half}```"
    text = f"{PROSE * before}\n\n{code}\n\n{PROSE * 4}"
    assert any(code in part for part in passages(text))


@pytest.mark.parametrize("before", range(1, 14))
def test_a_heading_stays_with_its_paragraph(before):
    section = f"# Auditors\n\n## Invoices\n\n{PROSE * 3}".strip()
    text = f"{PROSE * before}\n\n{section}\n\n{PROSE * 4}"
    assert any(section in part for part in passages(text))


@pytest.mark.parametrize("before", range(1, 14))
def test_a_code_block_as_large_as_the_window_is_kept_whole_at_the_cost_of_overlap(before):
    code = "```\n" + "total = total + 1\n" * 46 + "```"
    assert WINDOW_PIECES - 20 < estimate_word_pieces(code) <= WINDOW_PIECES - 2
    assert code in passages(f"{PROSE * before}\n\n{code}\n\n{PROSE * 4}")


@pytest.mark.parametrize("before", range(1, 14))
def test_a_heading_never_ends_a_passage(before):
    text = f"{PROSE * before}\n\n# Auditors\n\n{PROSE * 12}"
    assert not any(part.endswith("Auditors") for part in passages(text))


@pytest.mark.parametrize("window", range(MIN_WINDOW_PIECES, 40))
def test_words_cut_in_two_still_fit(window):
    text = "Abcdefg" * 200 + "x1" * 200 + "getUserById" * 100
    assert all(estimate_word_pieces(part) <= window for part in passages(text, window))


def test_a_code_block_longer_than_the_window_is_cut_at_its_lines():
    code = "```\n" + "\n".join(f"line_{number} = {number}" for number in range(300)) + "\n```"
    lines = set(code.split("\n"))
    assert all(line in lines for part in passages(code) for line in part.split("\n"))


def test_an_unclosed_fence_is_code_to_the_end():
    text = f"{PROSE * 6}\n\n```\n# one\n" + "a = 1\n" * 10
    assert any(part.endswith("a = 1") and "```\n# one" in part for part in passages(text))


def test_a_family_of_emoji_and_an_accent_are_not_torn_apart():
    signs = [*passages("👩\u200d👩\u200d👧" * 300), *passages("e\u0301" * 2000)]
    assert all(part[0] in "👩👧e" and part[-1] in "👩👧\u0301" for part in signs)
    assert not any(part.startswith(("\u200d", "\u0301")) or part.endswith("\u200d") for part in signs)


# --- any 100,000 characters ---------------------------------------------------------------------

HUGE = {
    "brackets": "(" * 100_000,
    "one word": "a" * 100_000,
    "camel case": "aB" * 50_000,
    "hex": "f1" * 50_000,
    "lines": "a\n" * 50_000,
    "fences": "```\n" * 25_000,
    "headings": "# a\n" * 25_000,
    "accents": "\u0301" * 100_000,
    "full stops": "。" * 100_000,
    "quotes": '."' * 50_000,
    "nothing between two letters": f"a{' ' * 99_998}b",
}


@pytest.mark.parametrize("name", HUGE)
def test_a_hundred_thousand_characters_make_a_few_hundred_passages(name):
    assert len(split_into_chunks(HUGE[name])) <= 500


@pytest.mark.parametrize("name", HUGE)
def test_the_work_grows_in_proportion_to_the_length(name, monkeypatch):
    looked_at = 0
    real = chunking._Splitter.find_strongest

    def counting(self, low, high, *, last):
        nonlocal looked_at
        looked_at += high - low
        return real(self, low, high, last=last)

    monkeypatch.setattr(chunking._Splitter, "find_strongest", counting)
    split_into_chunks(HUGE[name])
    assert looked_at <= 2 * len(HUGE[name])
