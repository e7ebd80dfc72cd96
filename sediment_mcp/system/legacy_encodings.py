# ruff: noqa: RUF001 - signs of many scripts, which resemble others
"""Guess the encoding of a text that is neither UTF-8 nor UTF-16, such as an old note.

Every encoding is tried. A decoding is dropped where it holds what no text holds: signs within a word,
capitals after small letters, two scripts in one word, accented letters that no language has together.
What is left is rated by how often its letters occur; where two different texts are nearly as likely, there
is no guess, because a text that is read wrongly is worse than a question.

Measured on notes of 5 to 70 characters, see `tests/system/test_encodings.py`. General detectors were tried
on the same: charset-normalizer read half of them wrongly, chardet 7 a tenth to a quarter, at times with two
scripts in one word, and neither says reliably that it does not know.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

SAMPLE_CHARS = 4000  # of a text that are rated
MIN_MARGIN = 2.0  # natural logarithm of how much likelier the best reading has to be than the next
LOCALE_BONUS = 3.0  # of the encoding that the user's system has
ACCENTED = math.log(0.01)  # a letter of a Latin alphabet beyond a to z
ODD = math.log(0.02)  # a word in capitals, a dash without blanks
LEAST_RATING, LEAST_WIDE_RATING = -11.0, -8.6  # of a character, on average
MIN_PLAIN = 0.6  # share of letters, digits and blanks in a text
MARK = math.log(0.004)  # a sign such as a typographic quote

_WORD = re.compile(r"[^\W\d_]+")
_ENCLOSED = re.compile(r"[A-Za-z][^\x00-\x7f][A-Za-z]")  # one character of a wide script within a Latin word
_DASH_WITHIN = re.compile(r"(?<=\w)—(?=\w)")
_BEFORE_VOWEL = re.compile(r"è[aeiou]", re.IGNORECASE)  # which no language has
_FINAL_WITHIN = re.compile(r"[ךםןףץ]\w")  # Hebrew letters that only end words
_MARKS = frozenset("\xa0¡¿«»‹›“”‘’„‚–—…•·°§©®™€£¥¢½¼¾²³±×÷№′″→")
_NO_LETTERS = frozenset({*"µªº²³½¼¾", "i\u0307"})  # which Python takes for letters, the last for a small İ
_IN_WORD = frozenset("’‘·-–—")  # signs that letters may have on both sides
_OPENING = frozenset("„‚¿¡«‹")  # signs with no letter before them
_CJK_MARKS = frozenset("　、。〃々〇〈〉《》「」『』【】〔〕〜・ー…—·“”‘’！（），．：；？～￥％＋－＝／")


# --- what each script and language writes -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Letters:
    """The letters of a script: ``share`` of a text are ``frequent``, the rest ``others``."""

    frequent: str
    share: float
    others: int

    def rate(self, letter: str) -> float:
        """Return the natural logarithm of the letter's share of a text."""
        if letter.lower() in self.frequent:
            return math.log(self.share / len(self.frequent))
        return math.log((1 - self.share) / self.others)


_SCRIPTS = {
    "Cyrillic": _Letters("оеаинтсрвл", 0.64, 30),
    "Greek": _Letters("αοιετσνηυρ", 0.66, 25),
    "Hebrew": _Letters("יוהלאתרבמש", 0.72, 17),
    "Arabic": _Letters("اليمنوتربعه", 0.74, 30),
    "Thai": _Letters("านรอกเงมยลวดทสต่้ีั", 0.68, 50),
    "Kana": _Letters("のにるたとはをてがいしすでなりまらもくれかさこ", 0.72, 140),
    "Hangul": _Letters(
        "이다는에가을를의은고하지도로한기사리어나서인스자대정시수있해보그부아으일과요", 0.5, 2300
    ),
}
_HAN = (
    "的一是不了在人有我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成事"
    "只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长户喜欢喝答服务器端口发布新版据库点住京北午后这這來個國說們為時會過對裡後麼"
    "沒於還發當無開見經頭從動兩長戶歡務連點電話號碼資庫備分今昨明周週每用本使間間問題数數字名"
)
_COMMON_HAN = frozenset(_HAN)
_HAN_SHARE = 0.4
_KANJI_SHARE = 0.35
_OTHER_HAN = {"gb18030": 3755, "big5": 5401, "cp932": 2965, "euc_jp": 2965, "cp949": 500_000}

# Language → (its letters beyond a to z, what it never writes, how much rarer than the first ones it is).
_ALPHABETS: dict[str, tuple[str, str, float]] = {
    "German": ("äöüßéèà", r"\bß|[èà]\w", 0),
    "French": (
        "éèêëàâçîïôûùüÿœ",
        r"\bè(?!s\b|re)|ê\b|\bê(?!t)|\bî(?!l)|\A(?=\w*[kw])\w*[èàêâùîô]"
        r"|û[aeiou]|[aei]û|(?<!\bo)ù|ç(?![aouâôû])|à\w|dz|sz|cz|rz",
        0,
    ),
    "Spanish": ("áéíóúñü", r"ü(?![eiéí])", 0),
    "Italian": ("àèéìòù", r"\b[éòù]\w|\bè\w|\bì|[àèìòù]\w", 0),
    "Portuguese": (
        "ãõáâàéêíóôúç",
        r"õ(?!e)|ã(?![oeqs]|\b)|à\w\w|(?<!voc)(?<!beb)(?<!\bv)(?<!\bl)ê\b|[kw]|ç(?![aouãõâáóôú])|dz|sz|cz|rz",
        0,
    ),
    "Catalan": ("àèéíïòóúüç", r"\bè|\w[kw]", 2.5),
    "Swedish": ("åäöé", r"", 0),
    "Danish": ("æøåéö", r"[aeiouyæøå][æø]|[æø][aouæøå]", 0),
    "Finnish": ("äöå", r"", 0.5),
    "Dutch": ("ëéèïöü", r"\bè", 0.3),
    "English": ("éèïñç", r"\bè|\A(?=\w*[kw])\w*è|ç(?![aou])", 0.3),
    "Icelandic": (
        "áéíóúýðþæö",
        r"[áéíóúýæö][áéíóúýæö]|[aeiou]æ|æ[aou]|þ\b|\bð|þ(?=[kbdfgmpst])|\w\wý\b",
        2.5,
    ),
    "Polish": ("ąćęłńóśźż", r"ź(?=[rgfkpt])|\b[ęąń]|[vqx]", 0),
    "Czech": ("áčďéěíňóřšťúůýž", r"\bů|\b[ěý]", 0),
    "Slovak": ("áäčďéíĺľňóôŕšťúýž", r"", 0.5),
    "Hungarian": ("áéíóöőúüű", r"", 0),
    "Croatian": ("čćđšž", r"", 0.3),
    "Romanian": ("ăâîşţșț", r"\A[^\Wâî]*+[âî]\w*[kw]", 0.5),
    "Turkish": ("çğıöşüâî", r"\bğ|ğ(?=[kpt])", 0),
    "Lithuanian": ("ąčęėįšųūž", r"", 0.5),
    "Latvian": ("āčēģīķļņšūž", r"", 0.5),
    "Estonian": ("äöõü", r"", 0.7),
}
_WESTERN = (
    "German", "French", "Spanish", "Italian", "Portuguese", "Catalan", "Swedish", "Danish", "Finnish",
    "Dutch", "English", "Icelandic", "Estonian",
)  # fmt: skip
_CENTRAL = ("Polish", "Czech", "Slovak", "Hungarian", "Croatian", "Romanian")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An encoding, how rare it is (a natural logarithm), and what is written in it."""

    codec: str
    name: str
    rarity: float
    scripts: tuple[str, ...]
    languages: tuple[str, ...] = ()


_WIDE = ("Han", "Kana", "Hangul")
_UTF_16 = ("utf-16-le", "utf-16-be")

_CANDIDATES = (
    _Candidate("cp1252", "Windows-1252, Western European", 0, (), _WESTERN),
    _Candidate("cp1250", "Windows-1250, Central European", 2.5, (), _CENTRAL),
    _Candidate("iso8859_2", "ISO 8859-2, Central European", 4, (), _CENTRAL),
    _Candidate("cp1254", "Windows-1254, Turkish", 2.5, (), ("Turkish",)),
    _Candidate("cp1257", "Windows-1257, Baltic", 4, (), ("Lithuanian", "Latvian", "Estonian")),
    _Candidate("mac_roman", "Mac Roman", 2.5, (), _WESTERN),
    _Candidate("cp850", "code page 850, Western European", 2.5, (), _WESTERN),
    _Candidate("cp852", "code page 852, Central European", 4.5, (), _CENTRAL),
    _Candidate("cp1251", "Windows-1251, Cyrillic", 1, ("Cyrillic",)),
    _Candidate("koi8_u", "KOI8, Cyrillic", 2, ("Cyrillic",)),
    _Candidate("cp866", "code page 866, Cyrillic", 2.5, ("Cyrillic",)),
    _Candidate("iso8859_5", "ISO 8859-5, Cyrillic", 4, ("Cyrillic",)),
    _Candidate("mac_cyrillic", "Mac Cyrillic", 4, ("Cyrillic",)),
    _Candidate("cp1253", "Windows-1253, Greek", 2, ("Greek",)),
    _Candidate("cp1255", "Windows-1255, Hebrew", 2, ("Hebrew",)),
    _Candidate("cp1256", "Windows-1256, Arabic", 2, ("Arabic",)),
    _Candidate("cp874", "Windows-874, Thai", 2, ("Thai",)),
    _Candidate("gb18030", "GBK, Chinese", 1, ("Han",)),
    _Candidate("big5", "Big5, Chinese", 1.5, ("Han",)),
    _Candidate("cp932", "Shift-JIS, Japanese", 1.5, ("Han", "Kana")),
    _Candidate("euc_jp", "EUC-JP, Japanese", 3, ("Han", "Kana")),
    _Candidate("cp949", "EUC-KR, Korean", 1.5, ("Hangul",)),
    _Candidate("utf-16-le", "UTF-16", 4, ("Han", "Kana", "Hangul", "Cyrillic", "Greek", "Thai")),
    _Candidate("utf-16-be", "UTF-16", 4, ("Han", "Kana", "Hangul", "Cyrillic", "Greek", "Thai")),
)


# --- guess --------------------------------------------------------------------------------------


def guess_encoding(data: bytes, locale_codecs: tuple[str, ...] = ()) -> tuple[str, str] | None:
    """Return (codec, name) of a text that is not UTF-8; None where there is no saying.

    ``locale_codecs`` are those that the user's system has set, in Python's spelling.
    """
    ratings: dict[str, tuple[float, _Candidate]] = {}
    for candidate in _CANDIDATES:
        text = _decode(data, candidate.codec)
        rating = None if text is None else _rate(text[:SAMPLE_CHARS], candidate)
        if text is None or rating is None:
            continue
        rating += LOCALE_BONUS * (candidate.codec in locale_codecs) - candidate.rarity
        if text not in ratings or ratings[text][0] < rating:
            ratings[text] = rating, candidate
    ranked = sorted(ratings.values(), key=lambda pair: pair[0], reverse=True)
    if not ranked or (len(ranked) > 1 and ranked[0][0] - ranked[1][0] < MIN_MARGIN):
        return None
    return ranked[0][1].codec, ranked[0][1].name


def _decode(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None


def _rate(text: str, candidate: _Candidate) -> float | None:
    """Return the log probability of the characters beyond ASCII; None if it is no text."""
    foreign = [sign for sign in text if not sign.isascii()]
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    if not _has_possible_signs(text, foreign, candidate) or not all(map(_is_cased, words)):
        return None
    rate = _rate_latin if candidate.languages else _rate_script
    rating = rate(foreign, words, candidate)
    is_wide = bool({*_WIDE} & {*candidate.scripts})
    plain = sum(sign.isalnum() or sign.isspace() or sign in _CJK_MARKS for sign in text)
    least = LEAST_WIDE_RATING if is_wide else LEAST_RATING
    if rating is None or rating < least * len(foreign) or plain < MIN_PLAIN * len(text):
        return None
    return rating + ODD * (sum(map(_is_shouted, words)) + len(_DASH_WITHIN.findall(text)))


def _has_possible_signs(text: str, foreign: list[str], candidate: _Candidate) -> bool:
    """Return False if there are signs that no text has, or that have no place where they are."""
    if any(sign < " " and sign not in "\t\n\r\f" for sign in text) or "\x7f" in text:
        return False
    is_wide = "Han" in candidate.scripts or "Hangul" in candidate.scripts
    allowed = _MARKS | _CJK_MARKS if is_wide else _MARKS
    if not all(sign in allowed or unicodedata.category(sign)[0] in "LM" for sign in foreign):
        return False
    return is_wide or not any(_is_misplaced(text, at) for at, sign in enumerate(text) if sign in _MARKS)


def _is_misplaced(text: str, at: int) -> bool:
    before = at > 0 and text[at - 1].isalpha()
    after = text[at + 1 : at + 2].isalpha()
    if text[at] in "²³":
        return not (before and text[at - 1] == "m") or after
    if text[at] in _IN_WORD:
        return text[at] == "–" and before and after and not text[at + 1].isupper()
    if text[at] == "°":
        return before or (after and text[at + 1] not in "CFK")
    if text[at] in "®™":
        return after
    return before and (after or text[at] in _OPENING or text[at] in "½¼¾±×÷£")


def _is_cased(word: str) -> bool:
    """Return True for small letters, capitals, a capital first, or a script without them."""
    rest = word[1:]
    return rest == rest.lower() or word == word.upper() or any(find_script(sign) in _WIDE for sign in word)


def _is_shouted(word: str) -> bool:
    return len(word) > 1 and word == word.upper() != word.lower()


def _rate_latin(foreign: list[str], words: list[str], candidate: _Candidate) -> float | None:
    letters = {sign.lower() for word in words for sign in word if not sign.isascii()} - _NO_LETTERS
    plain = sum(sign.isascii() for word in words for sign in word)
    accented = sum(map(len, words)) - plain
    if accented > 1.5 * plain + 1:
        return None
    rarities = [
        rarity
        for alphabet, never, rarity in map(_ALPHABETS.__getitem__, candidate.languages)
        if letters <= set(alphabet) and not (never and any(_search(never, word) for word in words))
    ]
    if not rarities or any(map(_BEFORE_VOWEL.search, words)):
        return None
    return accented * ACCENTED + (len(foreign) - accented) * MARK - min(rarities)


def _search(pattern: str, word: str) -> bool:
    return _compile(pattern).search(word) is not None


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _rate_script(foreign: list[str], words: list[str], candidate: _Candidate) -> float | None:
    scripts = [list(_list_scripts(word)) for word in words]
    if any(script not in candidate.scripts for word in scripts for script in word):
        return None
    is_wide = "Han" in candidate.scripts or "Hangul" in candidate.scripts
    found = {script for word in scripts for script in word}
    if {"Han", "Hangul"} <= found or (candidate.codec in _UTF_16 and len(foreign) < 3):
        return None
    if is_wide and (len(foreign) < 2 or any(_ENCLOSED.search(word) for word in words)):
        return None
    if not is_wide and (not words or max(map(len, words)) < 3 or any(len(set(word)) > 1 for word in scripts)):
        return None
    if any(_FINAL_WITHIN.search(word) for word in words):
        return None
    return sum(_rate_sign(sign, candidate) for sign in foreign)


def _list_scripts(word: str) -> Iterator[str]:
    is_wide = any(find_script(sign) in _WIDE for sign in word)
    for sign in word:
        if not (is_wide and sign.isascii()):  # "REST接口" is one word to Python
            yield find_script(sign)


def _rate_sign(sign: str, candidate: _Candidate) -> float:
    script = find_script(sign)
    if script == "Han":
        share = _KANJI_SHARE if "Kana" in candidate.scripts else _HAN_SHARE
        if sign in _COMMON_HAN:
            return math.log(share / len(_COMMON_HAN))
        rare = 0 if _is_first_level(sign, candidate.codec) else 4.0
        return math.log((1 - share) / _OTHER_HAN.get(candidate.codec, 4000)) - rare
    if 0xFF66 <= ord(sign) <= 0xFF9F:  # katakana of half width
        return math.log(1e-4)
    if script in _SCRIPTS:
        return _SCRIPTS[script].rate(sign)
    return MARK


def _is_first_level(sign: str, codec: str) -> bool:
    """Return True if the standard counts the character among those in daily use."""
    try:
        first = sign.encode("gb2312" if codec == "gb18030" else codec if codec != "utf-16-be" else "gb2312")[
            0
        ]
    except UnicodeEncodeError:
        return False
    limits = {"gb18030": 0xD7, "big5": 0xC6, "cp932": 0x97, "euc_jp": 0xCF}
    return first <= limits.get(codec, 0xD7)


@cache
def find_script(sign: str) -> str:
    """Return the script of a letter, "Other" for all that are not told apart here."""
    name = unicodedata.name(sign, "")
    if name.startswith("CJK"):
        return "Han"
    if name.startswith(("HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA")):
        return "Kana"
    first = name.partition(" ")[0].capitalize()
    return first if first in _SCRIPTS or first == "Latin" else "Other"
