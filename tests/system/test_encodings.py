# ruff: noqa: E501, RUF001 - texts of many scripts
"""Bytes are decoded by their mark, as UTF-8 or UTF-16, or as what they are likely to be; others are refused."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sediment_mcp.system.encodings import NotText, check_encoding, decode_text, detect_encoding

# --- UTF-8, UTF-16, UTF-32 ----------------------------------------------------------------------

texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"], exclude_characters="\ufeff"), min_size=1
)


@given(texts, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_any_text_is_read_in_the_encodings_that_say_what_they_are(text: str, encoding: str) -> None:
    assert decode_text(text.encode(encoding)).text == text


@pytest.mark.parametrize(
    "text", ["Menü", "a", "plain ASCII, two lines\r\nof it", "牛奶 in the fridge", "Ключ 5433"]
)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_utf_16_and_32_without_a_mark_are_known_by_their_zero_bytes(text: str, encoding: str) -> None:
    decoded = decode_text(text.encode(encoding))
    assert (decoded.text, decoded.note) == (text, None)


def test_zero_bytes_that_a_power_cut_leaves_are_left_out_and_told() -> None:
    decoded = decode_text("der Schlüssel\n".encode() + bytes(500) + b"is there\n")
    assert decoded.text == "der Schlüssel\nis there\n"
    assert "500" in (decoded.note or "")


def test_a_few_broken_bytes_in_utf_8_become_signs_and_are_told() -> None:
    decoded = decode_text("Grüße aus Köln, schöne Tür, ".encode() + b"\xff!")
    assert decoded.text == "Grüße aus Köln, schöne Tür, \ufffd!"
    assert "damaged" in (decoded.note or "")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"%PDF-1.7\n\xe2\xe3", "PDF"),
        (b"PK\x03\x04\x14\x00", "office document"),
        (b"\x1f\x8b\x08\x00", "gunzip"),
        (b"{\\rtf1\\ansi Text}", "RTF"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "office document"),
        (b"\x89PNG\r\n\x1a\n\x00", "PNG"),
        (b"\x00\x01binary", "zero bytes"),
        (bytes(200), "zero bytes"),
        (b"\x01\x02\x03\x04\x05text", "control characters"),
        (b"\xff\xfe\x00\xd8\x00\xd8", "UTF-16"),
    ],
)
def test_what_is_no_text_is_named(data: bytes, word: str) -> None:
    with pytest.raises(NotText, match=word):
        decode_text(data)


def test_random_bytes_are_nearly_never_taken_for_text() -> None:
    generator = random.Random(1)
    taken = 0
    for length in (20, 60, 300) * 100:
        with suppress(NotText):
            decode_text(generator.randbytes(length))
            taken += 1
    assert taken == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    detect_encoding(data)
    with suppress(NotText):
        decode_text(data)


def test_a_named_encoding_is_believed_and_only_encodings_of_text_exist() -> None:
    assert decode_text("привет".encode("koi8-r"), "koi8-r").text == "привет"
    assert decode_text("こんにちは".encode("iso2022_jp"), "iso2022_jp").text == "こんにちは"
    with pytest.raises(NotText, match="--encoding"):
        decode_text(b"\xff\xff", "utf-8")
    for name in ("base64", "rot13", "no such", "idna", "\0"):
        with pytest.raises((LookupError, ValueError)):
            check_encoding(name)


# --- older encodings ----------------------------------------------------------------------------

NOTES = {
    ("gbk",): ["牛奶放在冰箱里。", "每周五发布新版本", "用户喜欢简短的回答", "项目用Python写的", "请用中文回复我"],
    ("big5",): ["牛奶放在冰箱裡。", "每週五發布新版本", "專案是用Python寫的", "請用中文回覆我"],
    ("shift_jis", "euc_jp"): ["牛乳は冷蔵庫にあります。", "会議は木曜日に変更", "サーバーのポートは5433"],
    ("euc_kr",): ["우유는 냉장고에 있다.", "회의가 목요일로 변경되었다", "프로젝트는 Python으로 작성됨"],
    ("cp1251", "koi8_r", "cp866"): ["Молоко в холодильнике.", "порт сервера 5433", "Кофеварка сломалась"],
    ("cp1250",): ["Příliš žluťoučký kůň", "Użytkownik lubi krótkie odpowiedzi", "Kérlek, őt is hívd"],
    ("cp1252",): [
        "café menü", "Grüße", "Tschüß", "Le café est fermé à midi.", "¿El niño comió mañana?", "Não há reunião",
        "Æbler og rødgrød", "Perché no? È così.", "Größe: 10 µm²", "30 °C draußen", "l’été – naïve façade",
    ],
    ("mac_roman",): ["Die Tür ist grün.", "El niño comió mañana", "Æbler og rødgrød med fløde"],
    ("cp850",): ["Grüße", "Die Tür ist grün.", "Wir treffen uns in Köln"],
    ("cp1253",): ["Το γάλα είναι στο ψυγείο."],
    ("cp1255",): ["החלב נמצא במקרר"],
    ("cp1256",): ["الحليب في الثلاجة"],
    ("cp874",): ["นมอยู่ในตู้เย็น"],
}  # fmt: skip
CASES = [(encoding, text) for encodings, notes in NOTES.items() for encoding in encodings for text in notes]


@pytest.mark.parametrize(("encoding", "text"), CASES)
def test_a_short_note_in_an_older_encoding_is_read_and_its_encoding_told(encoding: str, text: str) -> None:
    decoded = decode_text(text.encode(encoding))
    assert decoded.text == text
    assert "--encoding" in (decoded.note or "")


@pytest.mark.parametrize(
    "data",
    ["Kullanıcı kısa cevapları sever".encode("cp1254"), "ПРИВЕТ ВСЕМ".encode("cp1251"), b"a\x81\xfe\xff"],
)
def test_where_there_is_no_saying_there_is_no_guess(data: bytes) -> None:
    with pytest.raises(NotText, match="--encoding"):
        decode_text(data)


def test_a_long_text_is_judged_by_its_beginning_and_read_whole() -> None:
    text = "牛奶放在冰箱里，每周五发布新版本。\n" * 20_000
    assert decode_text(text.encode("gb18030")).text == text


# --- seven bits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "text"), [("iso2022_jp", "会議は十時です, room 2"), ("iso2022_kr", "회의는 세시입니다")]
)
def test_a_text_of_seven_bits_that_switches_by_escape_sequences_is_read(codec: str, text: str) -> None:
    decoded = decode_text(text.encode(codec))
    assert decoded.text == text
    assert "ISO-2022" in (decoded.note or "")


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "\x1b$B and no more \u00e9", "ESC $B"])
def test_other_escape_sequences_are_part_of_the_text(text: str) -> None:
    assert decode_text(text.encode()).text == text
