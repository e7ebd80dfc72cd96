"""Find the entities that a text names: people, programs, files, errors, versions.

They are found by their form alone, without a dictionary or a model: names put together in code
(``snake_case``, ``PgBouncer``, ``os.path.join``, ``--no-cache``), paths, addresses, codes (``ECONNREFUSED``,
``E1234``, ``ABC-123``), a name with its number (``HTTP 503``, ``Python 3.12``), what stands between quotation
marks, and words with a capital within a sentence, alone or in a row. In scripts without capitals that leaves
codes, quotations and katakana; where every noun has one, as in German, each is an entity. Which of them say
anything is told by how rare each is (`search.related`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MAX_ENTITY_CHARS = 100  # a longer run without spaces is data
MAX_QUOTED_CHARS = 60  # a longer quotation is a passage
MAX_ROW = 5  # words of a name; a longer row of capitals is a heading
MIN_CODE_CHARS = 3  # capitals that are a code where any word has one
MIN_HASH_CHARS = 7  # of a commit's, as git shortens it

_OPENING, _CLOSING = r"`\"\u201c\u201e\u00ab\u300c", r"`\"\u201d\u201c\u00bb\u300d"
_UNQUOTED = rf"[^\n{_OPENING}{_CLOSING}]"
_QUOTED = re.compile(rf"[{_OPENING}](?!\s)({_UNQUOTED}{{2,{MAX_QUOTED_CHARS}}})(?<!\s)[{_CLOSING}]")
_KATAKANA = re.compile(r"[\u30a1-\u30fa\u30fc]{3,}")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_ASCII_RUN = re.compile(r"[!-~]{2,}")
_SENTENCE_MARKS = r"!?\u2026\u00bf\u00a1\u3002\uff01\uff1f"  # beside the period and the colon
_WORD = re.compile(
    rf"[^\s{_OPENING}{_CLOSING}{_SENTENCE_MARKS}()\[\]{{}}<>|,;=*\u3001\uff0c\uff1a\uff1b\uff08\uff09]+"
)
_BEGINS = re.compile(rf"[{_SENTENCE_MARKS}{_OPENING}{_CLOSING}(\[*\n]")  # before a word, as a sentence does
_APOSTROPHE = "\u2019"
_ENDS = f".:'{_APOSTROPHE}\u2018\u2013\u2014"  # of a word, that belong to the sentence
_ELISION = re.compile(rf"^(?:[cdjlmnst]|qu)['{_APOSTROPHE}](?=\w)", re.IGNORECASE)  # French: l'h\u00f4tel
_LINE_MARK = re.compile(r"(?:[-+\u2022\u2013]+|\d+[.)])")  # before the first word of a line

_NET_ADDRESS = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?(?P<place>(?P<host>[^/?#:]++)[^?#]*+)(?:[?#].*)?"
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PATH = re.compile(r"(?:~|\.{1,2}|@?[\w.-]+|[A-Za-z]:)?[\\/][^\\/].*")
_SEPARATOR = re.compile(r"[\\/]")
_FILE = re.compile(r".*\w\.[A-Za-z]\w{0,9}")
_DOTTED = re.compile(r"\.?[\w-]+(?:\.[\w-]+)+|\.[A-Za-z][\w-]{2,}", re.ASCII)
_CODE = re.compile(
    r"--?[A-Za-z][\w-]+|[@$#][A-Za-z_][\w-]*|\#\d+"  # flags, variables, mentions, tags, issues
    r"|(?=[\d_]*[A-Za-z])_*[^\W_]+(?:_+[^\W_]+)+_*|_+[A-Za-z]\w+|\w+(?:::\w+)+"  # snake_case, a::b
    r"|[A-Z]*[a-z]+[A-Z]\w*|[A-Z]{2,}[a-z]\w+"  # camelCase
    r"|[A-Za-z]+\d\w*|(?=\w*[A-Z])\d+[A-Za-z]\w{2,}|0x[0-9a-fA-F]+"  # E1234, 42P01
    r"|(?=[\w-]*\d)[A-Za-z]\w*(?:-\w+)+"  # ABC-123, us-east-1
    rf"|(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{{{MIN_HASH_CHARS},40}}",
    re.ASCII,
)
_NUMBER = re.compile(r"[vV]?\d+(?:\.\d+)*(?:\.x)?", re.ASCII)


def _list_words(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NUMBERED = _list_words("build code error exception issue line pid port pr rfc status ticket")
"""Words whose number is a name, in small letters too."""
_CONNECTORS = _list_words("of de del della di da du des la le van von der den zu")
"""Words that stand within a name, in small letters."""
_BEGINNERS = _list_words(
    "a an the this that these those it it's its he she they we you i i'm i've my our your his her their "
    "there here when where what who why how which if as at in on for from with without to by and or but so "
    "then also after before since until while because although is are was were do does did has have had can "
    "could should would will may must not no yes please use always never today yesterday tomorrow now "
    "der die das ein eine ich wir le les un une je il el los las"
)
"""Words that begin sentences: with a capital they are no part of the name that follows."""


def extract_entities(text: str) -> list[str]:
    """Return the entities of a text as it writes them, each once, quotations first.

    One may be a part of another, as the file's name of its path.
    """
    found = [quoted.strip() for quoted in _QUOTED.findall(text)]
    if not text.isascii():
        found += _KATAKANA.findall(text)
    found += _find_among_words(text)
    return [entity for entity in dict.fromkeys(found) if 1 < len(entity) <= MAX_ENTITY_CHARS]


# --- words in their sentence --------------------------------------------------------------------


@dataclass(slots=True)
class _Row:
    """Words with a capital side by side; ``begins`` says that the first begins a sentence."""

    words: list[str] = field(default_factory=list[str])
    begins: bool = False


def _find_among_words(text: str) -> Iterator[str]:
    """Yield what the words of a text name, each by itself and with its neighbours."""
    row, before, end = _Row(), "", 0
    begins = True  # a sentence, where a capital says nothing
    for match in _WORD.finditer(text):
        raw = match[0]
        if not row.words and raw.isalpha() and raw.islower():  # most words are such
            before, begins, end = raw, False, match.end()
            continue
        gap = text[end : match.start()]
        begins = begins or (gap != " " and _BEGINS.search(gap) is not None)
        word = _ELISION.sub("", raw.strip(_ENDS).rstrip("-"))
        if not word:  # a dash or a mark of a list
            begins = begins and _LINE_MARK.fullmatch(raw) is not None
        else:
            if row.words and (begins or gap != " "):
                yield from _name_row(row)
                row = _Row()
            yield from _find_with_number(before if gap == " " else "", word)
            if not word.isalpha() or not word[1:].islower():
                yield from _find_code(word)
            if _has_capital(word):
                row = row if row.words else _Row(begins=begins)
                row.words.append(_drop_possessive(word))
            elif row.words and word in _CONNECTORS:
                row.words.append(word)
            elif row.words:
                yield from _name_row(row)
                row = _Row()
            before, begins = word, _closes_sentence(raw)
        end = match.end()
    yield from _name_row(row)


def _closes_sentence(word: str) -> bool:
    """Return True for a word with a period or colon behind it, but not for Dr. or J."""
    return word[-1] in ".:" and not (len(word) <= 4 and word[0].isupper() and word[-1] == ".")


def _has_capital(word: str) -> bool:
    """Return True for a word such as Maria, O'Brien or Jean-Luc, but not for I'm."""
    if not word[0].isupper() or len(word) < 2:
        return False
    bare = word.replace("-", "")
    if bare.isalpha() or bare.isalnum():
        return True
    first, mark, rest = bare.replace(_APOSTROPHE, "'").partition("'")
    return bool(mark) and first.isalpha() and (rest == "s" or (len(rest) > 2 and rest.isalpha()))


def _drop_possessive(word: str) -> str:
    return word[:-2] if word.endswith(("'s", f"{_APOSTROPHE}s")) else word


def _name_row(row: _Row) -> Iterator[str]:
    """Yield the name that a row of words is, then each of its words."""
    words, begins = row.words, row.begins
    while words and words[-1] in _CONNECTORS:
        words = words[:-1]
    if words and words[0].lower().replace(_APOSTROPHE, "'") in _BEGINNERS:
        words, begins = words[1:], False
    if not words or len(words) > MAX_ROW or (len(words) > 2 and all(map(str.isupper, words))):
        return
    if len(words) > 1:
        yield " ".join(words)
    is_sure = not begins or (len(words[0]) >= MIN_CODE_CHARS and words[0].isupper())
    yield from (word for word in words[not is_sure :] if word not in _CONNECTORS)


def _find_with_number(before: str, word: str) -> Iterator[str]:
    """Yield a name and its number, such as HTTP 503 or Python 3.12."""
    if not before or not _NUMBER.fullmatch(word):
        return
    folded = before.lower()
    is_version = "." in word and before.isalpha()
    if folded in _NUMBERED or ((_has_capital(before) or is_version) and folded not in _BEGINNERS):
        yield f"{before} {word}"


# --- words by themselves ------------------------------------------------------------------------


def _find_code(word: str) -> Iterator[str]:
    if not word.isascii() and _UNSPACED.search(word):
        yield from (run.strip(_ENDS) for run in _ASCII_RUN.findall(word) if not run.isdigit())
    elif len(word) <= MAX_ENTITY_CHARS:
        yield from _classify(word)


def _classify(word: str) -> Sequence[str]:
    """Return what a word of code, a path or an address names."""
    if address := _NET_ADDRESS.fullmatch(word):
        return [address["place"].rstrip("/"), address["host"]]
    if "@" in word and _EMAIL.fullmatch(word):
        return [word]
    if _PATH.fullmatch(word) and _is_sure_path(word):
        whole = word.rstrip("/\\")
        file_name = _SEPARATOR.split(whole)[-1]
        return [whole, file_name] if _FILE.fullmatch(file_name) else [whole]
    if _CODE.fullmatch(word) or ("." in word and _DOTTED.fullmatch(word) and _has_name(word)):
        return [word]
    return []


def _is_sure_path(path: str) -> bool:
    """Return True for ~/notes, a/b/c or src/main.py, but not for and/or."""
    *folders, name = _SEPARATOR.split(path)
    return path[0] in "/\\~.@" or path[1] == ":" or len(folders) > 1 or _FILE.fullmatch(name) is not None


def _has_name(dotted: str) -> bool:
    """Return True for os.path or notes.md, but not for e.g or 3.12."""
    parts = dotted.split(".")
    return any(len(part) > 1 and not part[0].isdigit() for part in parts) and not parts[-1].isdigit()
