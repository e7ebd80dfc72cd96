"""What the published tokenizer makes of each character, as a table that the package ships.

BERT's tokenizer cleans, lower-cases and strips accents by tables of Unicode that its library has built in,
which are older than Python's and not the same in each version of either. So the table is measured: each of
the 1.1 million characters is given to the tokenizer alone. Its steps treat characters one by one, but for the
order of several marks on one letter, and a letter whose mark is kept is not in the vocabulary in any order.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer

SURROGATES = range(0xD800, 0xE000)


def measure_characters(tokenizer_file: Path) -> bytes:
    """The table as JSON: ranges of code points, first and last, and what single characters become.

    ``removed`` vanish, ``spaces`` separate words, ``isolated`` are words of their own, and ``replaced``
    become other characters of the vocabulary. A character that becomes one outside the vocabulary is left as
    it is: the word that holds it is unknown either way. Hangul syllables are left out, because every version
    of Unicode takes them apart in the same way.
    """
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    known = {character for piece in tokenizer.get_vocab() for character in piece.removeprefix("##")}
    groups: dict[str, list[int]] = {"removed": [], "spaces": [], "isolated": []}
    replaced: dict[str, str] = {}
    for code in range(0x110000):
        if code in SURROGATES:
            continue
        character = chr(code)
        normal = tokenizer.normalizer.normalize_str(character)
        plain = normal.strip(" ")
        words = [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(f"x{normal}x")]
        if not normal:
            groups["removed"].append(code)
        elif words == ["x", "x"]:
            groups["spaces"].append(code)
        elif words == ["x", plain, "x"]:
            groups["isolated"].append(code)
        elif words != [f"x{normal}x"]:
            raise ValueError(f"U+{code:04X} becomes {words}: the table has no place for it.")
        if plain not in ("", character) and set(plain) <= known and not is_hangul_syllable(character):
            replaced[character] = plain
    ranges = {name: list(join_ranges(codes)) for name, codes in groups.items()}
    return json.dumps({**ranges, "replaced": replaced}, ensure_ascii=False).encode() + b"\n"


def is_hangul_syllable(character: str) -> bool:
    return unicodedata.name(character, "").startswith("HANGUL SYLLABLE")


def join_ranges(codes: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Runs of successive numbers in rising ones, as first and last."""
    first = last = None
    for code in codes:
        if last is None or code != last + 1:
            if first is not None and last is not None:
                yield first, last
            first = code
        last = code
    if first is not None and last is not None:
        yield first, last
