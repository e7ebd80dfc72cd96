"""What is typed alike, or looks alike, is one term; names that are put together have parts and a whole."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.indexes.analyzer import (
    MAX_TERM_BYTES,
    analyze_chunk,
    extract_terms,
    shorten,
    split_into_tokens,
    tokenize_chunk,
)
from sediment_mcp.indexes.characters import normalize

ALIKE = [
    ("Zoe\u0308", "Zoë"),
    ("Zoë", "zoe"),
    ("\u1109\u1165\u110b\u116e\u11af", "서울"),
    ("İstanbul", "istanbul"),
    ("ISTANBUL", "\u0131stanbul"),
    ("ΑΘΗΝΑ", "Αθήνα"),
    ("ΟΔΟΣ", "οδός"),
    ("ещё", "еще"),
    ("مُحَمَّد", "محمد"),
    ("مـحـمـد", "محمد"),
    ("שָׁלוֹם", "שלום"),
    ("ｶﾀｶﾅ", "カタカナ"),
    ("ｶﾞ", "ガ"),
    ("\uff21\uff22\uff23\uff11\uff12", "abc12"),
    ("ﬁle", "file"),
    ("STRASSE", "straße"),
    ("Łódź", "lodz"),
    ("inter\u00adnational", "international"),
    ("pass\u200bcode", "passcode"),
    ("\u202eabc\u202c", "abc"),
    ("re\u2060use", "reuse"),
    ("٣١", "31"),
    ("e\u2010mail", "e-mail"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_what_is_typed_alike_is_one_term(one: str, other: str) -> None:
    assert extract_terms(one) == extract_terms(other)


@given(st.text())
def test_composed_and_decomposed_text_have_the_same_terms(text: str) -> None:
    assert extract_terms(unicodedata.normalize("NFD", text)) == extract_terms(
        unicodedata.normalize("NFC", text)
    )


@pytest.mark.parametrize(("one", "other"), [("が", "か"), ("की", "का"), ("ไม้", "ไม"), ("❤️", "✈️")])
def test_marks_that_are_part_of_a_letter_are_kept(one: str, other: str) -> None:
    assert extract_terms(one) != extract_terms(other)


def test_a_word_of_devanagari_is_one_term() -> None:
    assert extract_terms("हिन्दी में") == ["हिन्दी", "में"]


def test_a_symbol_does_not_stick_to_a_word() -> None:
    assert extract_terms("⚠️Warnung") == ["⚠", *extract_terms("Warnung")]
    assert extract_terms("Acme™ rules") == extract_terms("Acme rules")


@pytest.mark.parametrize(
    ("name", "words", "whole"),
    [
        ("max_retry_count", "max retry count", "max_retry_count"),
        ("getUserById", "get user by id", "getuserbyid"),
        ("PascalCaseHTTPServer", "pascal case http server", "pascalcasehttpserver"),
        ("utf8Decoder", "utf8 decoder", "utf8decoder"),
        ("kebab-case-name", "kebab case name", "kebab-case-name"),
        ("3.2.1", "3 2 1", "3.2.1"),
        ("192.168.1.10", "192 168 1 10", "192.168.1.10"),
        ("jane.doe@example.com", "jane doe example com", "jane.doe@example.com"),
        ("--no-cache", "no cache", "--no-cache"),
        ("/etc/hosts", "etc hosts", "etc/hosts"),
        ("C:\\Users\\x", "c users x", "c:\\users\\x"),
        ("https://example.com/a?b=c", "https example com a b c", "https://example.com/a?b=c"),
        ("std::vector", "std vector", "std::vector"),
        ("C++", "c", "c++"),
        (".env", "env", ".env"),
        ("получитьСчёт", "получить счет", "получитьсчет"),
    ],
)
def test_a_name_has_its_parts_and_its_whole(name: str, words: str, whole: str) -> None:
    assert split_into_tokens(f"see {name}.") == ["see", *words.split(), whole]


def test_names_in_a_path_have_their_parts_too() -> None:
    assert {"get", "user", "getuser", "py"} <= set(split_into_tokens("src/getUser.py"))


def test_a_version_with_a_v_is_the_version() -> None:
    assert set(split_into_tokens("1.2")) <= set(split_into_tokens("v1.2"))


@pytest.mark.parametrize("text", ["_blue_", "__blue__", "*blue*", "**blue**", "`blue`", "~~blue~~", "(blue)"])
def test_markdown_around_a_word_is_not_part_of_it(text: str) -> None:
    assert split_into_tokens(text) == ["blue"]


def test_plurals_of_abbreviations_are_one_word() -> None:
    assert split_into_tokens("URLs and userIDs") == ["urls", "and", "user", "ids", "userids"]


def test_scripts_without_spaces_give_characters_and_pairs() -> None:
    assert split_into_tokens("牛奶放") == ["牛", "牛奶", "奶", "奶放", "放"]
    assert split_into_tokens("Python入門") == ["python", "入", "入門", "門"]
    assert "ถั่" in split_into_tokens("ถั่ว"), "a letter keeps its marks"


def test_a_long_token_is_found_by_itself_and_by_no_other() -> None:
    (one,), (other,) = extract_terms("a" * 300), extract_terms("a" * 301)
    assert one != other
    assert len(one.encode()) <= MAX_TERM_BYTES


@given(st.lists(st.text(max_size=20), max_size=4))
def test_a_text_has_the_terms_of_its_pieces_in_order(pieces: list[str]) -> None:
    alone = [term for piece in pieces for term in extract_terms(piece)]
    assert extract_terms("\n".join(pieces)) == alone


@given(st.text())
def test_every_token_is_short_and_one_term(text: str) -> None:
    tokens = split_into_tokens(text)
    assert all(0 < len(token.encode("utf-8", "surrogatepass")) <= MAX_TERM_BYTES for token in tokens)
    assert len(extract_terms(text)) == len(tokens)


@given(st.text(st.sampled_from("aabcABZ12_-.,;:!?()[]{}<>\"'`*/@#$~+%&=\\|éß—…½™"), min_size=1, max_size=12))
def test_a_plain_word_is_read_as_any_other_text_is(chunk: str) -> None:
    assert tokenize_chunk(chunk) == tuple(shorten(token.text) for token in analyze_chunk(chunk))


LATIN = st.characters(max_codepoint=0x24F) | st.characters(min_codepoint=0x2010, max_codepoint=0x2044)


@given(st.text(LATIN))
def test_latin_text_has_the_same_spelling_among_other_writings(text: str) -> None:
    """A letter of another writing makes all characters be read the longer way."""
    assert normalize(f"{text} 牛") == f"{normalize(text)} 牛"
