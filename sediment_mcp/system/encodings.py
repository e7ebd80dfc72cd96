"""Decode bytes to text: by their mark, as UTF-8 or UTF-16, else as the likeliest.

What is no text is refused with the name of what it is, where its first bytes tell.
"""

from __future__ import annotations

import codecs
import contextlib
import locale
import os
import re
import unicodedata
from dataclasses import dataclass

BYTE_ORDER_MARKS = (  # the longer first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
ZERO_ENCODINGS = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")  # in which ASCII has zero bytes
SIGNATURES = (
    (b"PK\x03\x04", "is a ZIP archive or an office document (docx, xlsx, odt): save it as text."),
    (b"%PDF-", "is a PDF document: save it as text."),
    (b"{\\rtf", "is an RTF document: save it as text."),
    (b"\xd0\xcf\x11\xe0", "is an old office document (doc, xls): save it as text."),
    (b"\x1f\x8b", "is compressed with gzip: unpack it with gunzip."),
    (b"BZh", "is compressed with bzip2: unpack it with bunzip2."),
    (b"\xfd7zXZ\x00", "is compressed with xz: unpack it with unxz."),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it with unzstd."),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it."),
    (b"Rar!\x1a\x07", "is a RAR archive: unpack it."),
    (b"SQLite format 3\0", "is an SQLite database and no text: export its memories, or restore a backup."),
    (b"\x89PNG", "is a PNG picture, no text."),
    (b"\xff\xd8\xff", "is a JPEG picture, no text."),
    (b"GIF8", "is a GIF picture, no text."),
    (b"\x7fELF", "is a program, no text."),
    (b"MZ\x90\x00", "is a program, no text."),
    (b"bplist00", "is a binary property list, no text."),
)
ZEROS = re.compile(b"\0+")
MAX_CONTROLS = 0.02  # share of a text's characters that may be control characters
MAX_BROKEN = 0.2  # broken places in damaged UTF-8, per whole character beyond ASCII
MIN_ZEROS = 0.02  # share of the characters of a text in UTF-16 that are ASCII
MAX_WRONG_ZEROS = 0.2  # of them, share of other characters of which one byte is zero
_SAMPLE_BYTES = 65_536
_TEXT_CONTROLS = frozenset("\t\n\r\f\x1b\x08")

ESCAPES = (  # as mail in seven bits has them: an escape sequence, the codec, its name
    (b"\x1b$B", "iso2022_jp_ext", "ISO-2022-JP, Japanese"),
    (b"\x1b$@", "iso2022_jp_ext", "ISO-2022-JP, Japanese"),
    (b"\x1b$)C", "iso2022_kr", "ISO-2022-KR, Korean"),
)
_GUESSED = "is not UTF-8: it was read as {}; if its letters are wrong, name another with --encoding."
UNKNOWN = "is in an encoding that cannot be told: name it with --encoding, such as --encoding cp1252."


class NotText(ValueError):
    """Bytes that are no text; the message is the end of a sentence that begins with their name."""


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A text, and what was done to read it.

    Attributes:
        text: the text.
        note: the end of a sentence on what was guessed or left out; None where nothing was.
    """

    text: str
    note: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the note, if there is one, for a reader that collects several."""
        return (self.note,) if self.note else ()


def check_encoding(name: str) -> str:
    """Return Python's name of an encoding of text.

    Raises:
        LookupError: there is none of this name.
    """
    info = codecs.lookup(name)
    if not getattr(info, "_is_text_encoding", True) or info.name in ("unicode_escape", "idna", "punycode"):
        raise LookupError(name)
    return info.name


def decode_text(data: bytes, encoding: str | None = None, *, is_complete: bool = True) -> DecodedText:
    """Decode bytes by the named encoding, else by their mark, as UTF-8, or as the likeliest.

    Data that are not complete may end within a character, which is left out.

    Raises:
        NotText: they are no text, or there is no saying in which encoding.
    """
    if encoding is not None:
        return DecodedText(_decode_as(data, encoding, is_complete).removeprefix("\ufeff"))
    _check_signature(data)
    mark, marked = find_byte_order_mark(data[:4])
    if mark:
        return DecodedText(_decode_marked(data[len(mark) :], marked, is_complete))
    if b"\0" in data:
        return _decode_with_zeros(data, is_complete)
    try:
        text = _decode(data, "utf-8", is_complete)
    except UnicodeDecodeError:
        return _decode_legacy(data, is_complete)
    return _decode_escaped(data) or DecodedText(_check_controls(text))


def detect_encoding(head: bytes) -> tuple[bytes, str]:
    """Return (byte order mark, encoding) of a source of lines that begins with these bytes.

    UTF-8 where there is no saying: then only those lines are lost that are something else.
    """
    mark, encoding = find_byte_order_mark(head[:4])
    if mark:
        return mark, encoding
    if b"\0" in head:
        return b"", _find_zero_encoding(head) or "utf-8"
    try:
        _decode(head, "utf-8", is_complete=False)
    except UnicodeDecodeError:
        guess = None if _is_damaged_utf8(head) else _guess(head, is_complete=False)
        return b"", guess[0] if guess else "utf-8"
    return b"", "utf-8"


def find_byte_order_mark(head: bytes) -> tuple[bytes, str]:
    """Return (byte order mark, encoding) that the bytes begin with; (b"", "utf-8") without one."""
    return next(((mark, name) for mark, name in BYTE_ORDER_MARKS if head.startswith(mark)), (b"", "utf-8"))


def _decode_escaped(data: bytes) -> DecodedText | None:
    """Decode a text of seven bits in which escape sequences switch to East Asian characters."""
    for sequence, codec, name in ESCAPES:
        if sequence in data:
            with contextlib.suppress(UnicodeDecodeError):
                return DecodedText(data.decode(codec), _GUESSED.format(name))
    return None


def _check_signature(data: bytes) -> None:
    for signature, reason in SIGNATURES:
        if data.startswith(signature):
            raise NotText(reason)


def _decode(data: bytes, encoding: str, is_complete: bool, errors: str = "strict") -> str:
    """Decode bytes by an encoding; those that are not complete may end within a character."""
    return codecs.getincrementaldecoder(encoding)(errors).decode(data, is_complete)


def _decode_as(data: bytes, encoding: str, is_complete: bool) -> str:
    try:
        return _decode(data, encoding, is_complete)
    except (UnicodeError, LookupError):
        raise NotText(f"is no {encoding}: name the encoding that it has with --encoding.") from None


def _decode_marked(data: bytes, encoding: str, is_complete: bool) -> str:
    try:
        return _decode(data, encoding, is_complete)
    except UnicodeDecodeError:
        raise NotText(f"is no valid {encoding.upper()}, though it begins like it.") from None


def _check_controls(text: str) -> str:
    sample = text[:_SAMPLE_BYTES]
    controls = sum(sign < " " and sign not in _TEXT_CONTROLS for sign in sample)
    if controls > max(1, MAX_CONTROLS * len(sample)):
        raise NotText("is no text: it holds control characters.")
    return text


# --- zero bytes ---------------------------------------------------------------------------------


def _decode_with_zeros(data: bytes, is_complete: bool) -> DecodedText:
    """Decode UTF-16 or UTF-32 without a mark, or a text in which a crash has left zero bytes."""
    encoding = _find_zero_encoding(data)
    if encoding is not None:
        text = _decode(data, encoding, is_complete, errors="replace")
        return DecodedText(text.removesuffix("\ufffd"))
    try:
        without = ZEROS.sub(b"", data)
        text = _decode(without, "utf-8", is_complete)
    except UnicodeDecodeError:
        raise NotText("is no text: it holds zero bytes.") from None
    if not text.strip() or any(sign < " " and sign not in _TEXT_CONTROLS for sign in text[:_SAMPLE_BYTES]):
        raise NotText("is no text: it holds zero bytes.")
    count = len(data) - len(without)
    return DecodedText(text, f"held zero bytes ({count:,}), as a power cut leaves them: they were left out.")


def _find_zero_encoding(data: bytes) -> str | None:
    """Return the encoding without a mark in which the bytes are plausible, if any."""
    sample = data[:_SAMPLE_BYTES]
    for encoding in ZERO_ENCODINGS:
        width = 4 if "32" in encoding else 2
        if len(data) < width or (len(data) % width and len(sample) == len(data)):
            continue
        if width == 2 and not _has_zeros_of(data, 1 if encoding.endswith("le") else 0):
            continue
        try:
            text = _decode(sample[: len(sample) // width * width], encoding, is_complete=False)
        except UnicodeDecodeError:
            continue
        if _is_plausible(text):
            return encoding
    return None


def _has_zeros_of(data: bytes, parity: int) -> bool:
    """Return True if zero bytes are where the ASCII characters of UTF-16 have them."""
    right, wrong = data[parity::2].count(0), data[1 - parity :: 2].count(0)
    return right >= MIN_ZEROS * len(data) / 2 and wrong <= MAX_WRONG_ZEROS * right


def _is_plausible(text: str) -> bool:
    if not text or any(sign < " " and sign not in _TEXT_CONTROLS for sign in text):
        return False
    known = sum(
        unicodedata.category(sign) not in ("Cn", "Co", "Cs", "Cc") or sign in "\t\r\n" for sign in text
    )
    near = sum(ord(sign) < 0x250 for sign in text)
    return known == len(text) and (near > len(text) // 4 or _has_few_scripts(text))


def _has_few_scripts(text: str) -> bool:
    from sediment_mcp.system.legacy_encodings import find_script

    if any(unicodedata.category(sign)[0] == "S" for sign in text):
        return False
    scripts = {find_script(sign) for sign in text if not sign.isascii() and sign.isalpha()}
    return "Other" not in scripts and (scripts == {"Han", "Kana"} or len(scripts - {"Latin"}) == 1)


# --- neither UTF-8 nor UTF-16 -------------------------------------------------------------------


def _decode_legacy(data: bytes, is_complete: bool) -> DecodedText:
    if _is_damaged_utf8(data):
        text = data.decode("utf-8", "replace")
        if not is_complete:
            text = text.removesuffix("\ufffd")
        broken = f"{text.count(chr(0xFFFD)):,}"
        return DecodedText(text, f"is damaged UTF-8: {broken} broken places in it became \ufffd.")
    guess = _guess(data, is_complete)
    if guess is None:
        raise NotText(
            UNKNOWN if _has_words(data) else "is no text, or in an unknown encoding: see --encoding."
        )
    codec, name = guess
    try:
        text = _decode(data, codec, is_complete)
    except UnicodeDecodeError:
        raise NotText(UNKNOWN) from None
    return DecodedText(text, _GUESSED.format(name))


def _guess(data: bytes, is_complete: bool) -> tuple[str, str] | None:
    from sediment_mcp.system.legacy_encodings import guess_encoding

    sample = data[:_SAMPLE_BYTES]
    is_complete = is_complete and len(sample) == len(data)
    for cut in range(1 if is_complete else 4):  # an incomplete text may end within a character
        guess = guess_encoding(sample[: len(sample) - cut], _list_locale_codecs())
        if guess is not None:
            return guess
    return None


def _is_damaged_utf8(data: bytes) -> bool:
    """Return True if nearly all characters beyond ASCII are whole in UTF-8, and several are."""
    text = data[:_SAMPLE_BYTES].decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = sum(not sign.isascii() for sign in text) - broken
    return broken <= MAX_BROKEN * whole


def _has_words(data: bytes) -> bool:
    plain = sum(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in data)
    return plain > len(data) // 2


def _list_locale_codecs() -> tuple[str, ...]:
    """Return the encodings that the user's system has set, the locale's and the console's."""
    consoles = [_get_console_encoding(descriptor) for descriptor in range(3)]
    names = [locale.getpreferredencoding(False), *filter(None, consoles)]
    found: list[str] = []
    for name in names:
        try:
            found.append(codecs.lookup(name).name.replace("-", "_").replace("iso8859_1", "cp1252"))
        except LookupError:
            continue
    return tuple(found)


def _get_console_encoding(descriptor: int) -> str | None:
    try:
        return os.device_encoding(descriptor)
    except OSError:
        return None
