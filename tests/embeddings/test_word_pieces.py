"""Word pieces: those of the published tokenizer for every text, and no more of it than is read."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.word_pieces import load_published_tokenizer, load_word_pieces

from sediment_mcp.embeddings import minilm
from sediment_mcp.embeddings.readability import SPELLED_OUT, measure_unknown_share
from sediment_mcp.embeddings.word_pieces import MAX_TABLED, MAX_WORD, CharacterTable, WordPieces

SPECIAL = ("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]")
SURROGATES = range(0xD800, 0xE000)
WORDS = st.sampled_from(
    (*SPECIAL, "[cls]", "[CLS", " ", "\n", "the", "unaffable", "don't", "naïve",
     "ÅNGSTRÖM", "İstanbul", "ﬁx", "ßẞ",
     "Σίσυφος", "каждый", "한국어", "각\u11a8", "漢字", "数据库", "豈", "ไทย", "हिन्दी", "العربية",
     "e\u0301", "\u1734",
     "\u0338", "a\x00b", "a\x1cb", "\x85", "\u00ad", "\u200b", "\u2028", "\u3000", "\ufffd", "\ufeff", "🦊",
     "x" * 99, "x" * 100, "x" * 101, "é" * 100, "각" * 34, "0x7f", "$€₿", "≠", "\u037e", "\U000e0041")
)  # fmt: skip
CHARACTERS = st.characters(exclude_categories=("Cs",))
TEXTS = st.lists(WORDS | st.text(CHARACTERS, max_size=12), max_size=12).map("".join)
MARKED_TEXTS = st.lists(
    st.characters(categories=("Mn", "Mc", "Me", "Cn", "Cf")) | st.sampled_from("aé漢 [!"), max_size=20
).map("".join)


def find_letters(text: str, span: tuple[int, int]) -> str:
    return "".join(filter(str.isalnum, text[slice(*span)]))


@pytest.mark.sentence_transformers
@given(TEXTS | MARKED_TEXTS)
@example("")
def test_ids_are_those_of_the_published_tokenizer(text: str) -> None:
    expected = load_published_tokenizer().encode(text, add_special_tokens=False).ids
    assert [token for token, _ in load_word_pieces().find_tokens(text)] == expected


@pytest.mark.sentence_transformers
@given(TEXTS)
def test_spans_are_those_of_the_published_tokenizer(text: str) -> None:
    """They may differ by marks at the ends of an unknown word, which the tokenizer puts in order."""
    encoding = load_published_tokenizer().encode(text, add_special_tokens=False)
    spans = [span for _, span in load_word_pieces().find_tokens(text)]
    assert [find_letters(text, span) for span in spans] == [
        find_letters(text, span) for span in encoding.offsets
    ]


@pytest.mark.sentence_transformers
@given(st.text(st.characters(categories=("L", "N", "P", "Z", "S", "Cc", "Cf", "Co", "Cn")), max_size=60))
def test_spans_are_exact_without_marks(text: str) -> None:
    encoding = load_published_tokenizer().encode(text, add_special_tokens=False)
    assert [span for _, span in load_word_pieces().find_tokens(text)] == encoding.offsets


@pytest.mark.sentence_transformers
@given(TEXTS | MARKED_TEXTS)
def test_the_unknown_share_is_that_of_the_published_tokenizer(text: str) -> None:
    encoding = load_published_tokenizer().encode(text, add_special_tokens=False)
    pieces = load_word_pieces()

    def measure(tokens):
        return measure_unknown_share(
            text, ((token == pieces.unknown, span) for token, span in tokens), SPELLED_OUT
        )

    expected = measure(zip(encoding.ids, encoding.offsets, strict=True))
    assert measure(pieces.find_tokens(text)) == expected


@given(st.lists(st.sampled_from(SPECIAL) | st.text(st.characters(codec="ascii")), max_size=9).map("".join))
@example("x" * 101 + " and [MASK]" + "!" * 300)
def test_ascii_is_read_the_same_on_the_short_way(text: str) -> None:
    pieces = load_word_pieces()
    every = [token for token, _ in pieces.find_tokens(text)]
    for limit in (0, 1, 5, 254):
        assert pieces.tokenize_ascii(text, limit) == every[:limit]


@pytest.mark.sentence_transformers
@pytest.mark.slow
def test_every_character_is_read_as_the_published_tokenizer_does() -> None:
    """Each one stands inside a word, so that removing, splitting and replacing all show."""
    pieces, published = load_word_pieces(), load_published_tokenizer()
    for start in range(0, 0x110000, 64):
        block = [chr(code) for code in range(start, start + 64) if code not in SURROGATES]
        text = " ".join(f"a{character}b" for character in block)
        encoding = published.encode(text, add_special_tokens=False)
        expected = list(zip(encoding.ids, encoding.offsets, strict=True))
        assert list(pieces.find_tokens(text)) == expected, f"in the block of U+{start:04X}"


@pytest.mark.parametrize(
    "unit", ["a", "é", "漢", "!", "\u200b", "\0", "qzxw ", "zq" * 50 + " ", "[CLS", "[", "각"]
)
def test_no_more_is_split_than_is_asked_for(unit: str) -> None:
    """The rest of a text, whatever it is, does not matter once the limit is reached."""
    pieces, text = load_word_pieces(), "word " * 300 + unit * 20_000
    seen: list[str] = []

    class Watched(CharacterTable):
        def __getitem__(self, character: str) -> str:
            seen.append(character)
            return super().__getitem__(character) if character in self else self.__missing__(character)

    watched = WordPieces(
        (minilm.FOLDER / minilm.VOCABULARY).read_text(encoding="utf-8").splitlines(),
        (minilm.FOLDER / minilm.CHARACTERS).read_bytes(),
    )
    watched._characters = Watched((minilm.FOLDER / minilm.CHARACTERS).read_bytes())
    found = [token for token, _ in islice(watched.find_tokens(text), 254)]
    assert found == [token for token, _ in islice(pieces.find_tokens(text), 254)]
    assert len(seen) <= 254 * len("word ")


def test_a_word_of_more_than_a_hundred_characters_is_one_unknown_token() -> None:
    pieces = load_word_pieces()
    assert [token for token, _ in pieces.find_tokens("a" * MAX_WORD)] != [pieces.unknown]
    assert list(pieces.find_tokens("a" * 100_000)) == [(pieces.unknown, (0, 100_000))]


def test_a_table_of_characters_that_a_text_fills_stays_small() -> None:
    table = CharacterTable((minilm.FOLDER / minilm.CHARACTERS).read_bytes())
    for code in range(0x20000, 0x20000 + 2 * MAX_TABLED):
        assert table[chr(code)] == f" {chr(code)} "
    assert len(table) == MAX_TABLED


@pytest.mark.parametrize("lacking", ["[UNK]", "[CLS]", "[SEP]"])
def test_a_vocabulary_without_a_mark_is_refused(lacking: str) -> None:
    vocabulary = [piece for piece in ("[UNK]", "[CLS]", "[SEP]", "a") if piece != lacking]
    with pytest.raises(ValueError, match=r"The vocabulary lacks \["):
        WordPieces(vocabulary, (minilm.FOLDER / minilm.CHARACTERS).read_bytes())
