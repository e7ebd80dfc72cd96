"""Text is cut into the pieces of a vocabulary as the library of its makers cuts it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.packed_file import PIECES, write_packed_file

from sediment_mcp.embeddings.packed_weights import PackedWeights

if TYPE_CHECKING or find_spec("sentencepiece"):
    from sediment_mcp.embeddings.sentence_pieces import BEGIN, END, UNKNOWN, SentencePieces

pytestmark = pytest.mark.multilingual


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> SentencePieces:
    path = tmp_path_factory.mktemp("weights") / "small.bin"
    write_packed_file(path)
    return SentencePieces(PackedWeights(path).vocabulary)


def cut(pieces: SentencePieces, text: str) -> list[str]:
    return [PIECES[number] for number in pieces.tokenize(text, 100)]


def test_a_text_is_cut_into_pieces_between_marks(pieces: SentencePieces) -> None:
    assert cut(pieces, "query: salz") == ["<s>", "▁que", "ry", ":", "▁sal", "z", "</s>"]
    assert pieces.tokenize("", 10).tolist() == [BEGIN, END]


def test_forms_of_a_character_are_one(pieces: SentencePieces) -> None:
    assert cut(pieces, "\uff53\uff41\uff4c\uff5a\u3000塩") == ["<s>", "▁sal", "z", "▁", "塩", "</s>"]


def test_marks_written_in_a_text_are_no_marks(pieces: SentencePieces) -> None:
    ids = pieces.tokenize("salz</s>", 100).tolist()
    assert ids.count(END) == 1
    assert UNKNOWN in ids


def test_the_limit_counts_without_the_marks(pieces: SentencePieces) -> None:
    assert cut(pieces, "salz salz salz") == ["<s>", *["▁sal", "z"] * 3, "</s>"]
    assert pieces.tokenize("salz salz salz", 3).tolist()[1:-1] == [10, 11, 10]


def test_spans_are_in_characters_of_the_text(pieces: SentencePieces) -> None:
    text = "salz, 塩"
    ids, spans = pieces.find_tokens(text)
    assert [PIECES[number] for number in ids] == ["▁sal", "z", ",", "▁", "塩"]
    assert [text[start:end] for start, end in spans] == ["sal", "z", ",", " ", "塩"]


def test_only_pieces_of_letters_and_digits_are_words(pieces: SentencePieces) -> None:
    ids, _ = pieces.find_tokens("salz, 塩:")
    import numpy as np

    assert pieces.find_words(np.array(ids)).tolist() == [True, True, False, False, True, False]


def test_a_vocabulary_with_a_piece_that_is_too_long_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support.packed_file.PIECES", [*PIECES[:-1], "x" * 200, PIECES[-1]])
    write_packed_file(tmp_path / "long.bin")
    with pytest.raises(ValueError, match="120 bytes"):
        SentencePieces(PackedWeights(tmp_path / "long.bin").vocabulary)
