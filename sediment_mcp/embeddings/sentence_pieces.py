"""Cut text into the pieces of a vocabulary as XLM-RoBERTa does, by sentencepiece.

The vocabulary comes as arrays, the library reads a message of protocol buffers, so that message is written
here (https://github.com/google/sentencepiece, `sentencepiece_model.proto`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import sentencepiece

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sediment_mcp.embeddings.packed_weights import Vocabulary

BEGIN, PAD, END, UNKNOWN = range(4)
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""Stands for a space in pieces."""
NORMALIZER = "nmt_nfkc"
"""The rules by which characters are unified, of which the library has its own table."""

_UNIGRAM = 1
_UNKNOWN_PIECE, _CONTROL_PIECE = 2, 3
_PIECE, _TRAINER, _NORMALIZER_SPEC = 1, 2, 3  # fields of the message
_MODEL_TYPE, _UNKNOWN_ID, _BEGIN_ID, _END_ID, _PAD_ID = 3, 40, 41, 42, 43  # fields of the trainer
_SHORT = 128  # bytes; a shorter part has its length in one byte
_VARINT, _LENGTH, _FOUR_BYTES = 0, 2, 5  # how a field is written
_TYPE_FIELD = bytes([3 << 3 | _VARINT])


class SentencePieces:
    """A vocabulary, and how text is cut into its pieces; any thread may use it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Build the library's processor; this takes some tenths of a second.

        Raises:
            ValueError: the vocabulary has a piece of another form than the library's.
        """
        self._processor = cast("Any", sentencepiece.SentencePieceProcessor())
        self._processor.LoadFromSerializedProto(build_model(vocabulary))

    def tokenize(self, text: str, limit: int) -> NDArray[np.int64]:
        """Return the ids of the first ``limit`` pieces of a text, between the marks of its ends."""
        ids: list[int] = self._processor.encode(text)
        return np.array([BEGIN, *ids[:limit], END], np.int64)

    def count(self, text: str) -> int:
        """Return how many pieces a text has."""
        return len(self._processor.encode(text))

    def find_words(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for each id whether its piece is of letters and digits."""
        pieces: list[str] = self._processor.id_to_piece(ids.tolist())
        return np.array([piece.lstrip(SPACE).isalnum() for piece in pieces], np.bool_)

    def find_tokens(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of a text's pieces, and begin and end of each in the text, in characters."""
        found = self._processor.encode(text, return_type="offset_mapping")
        return found["ids"], found["offsets"]


def build_model(vocabulary: Vocabulary) -> bytes:
    """Return the vocabulary as the message that sentencepiece reads."""
    ids = {_UNKNOWN_ID: UNKNOWN, _BEGIN_ID: BEGIN, _END_ID: END, _PAD_ID: PAD}
    trainer = b"".join(
        _write_number(field, value) for field, value in ({_MODEL_TYPE: _UNIGRAM} | ids).items()
    )
    normalizer = cast("Any", sentencepiece.SentencePieceNormalizer(rule_name=NORMALIZER))
    return b"".join(
        (
            _write_pieces(vocabulary),
            _write_part(_TRAINER, trainer),
            _write_part(_NORMALIZER_SPEC, normalizer.serialized_normalizer_spec()),
        )
    )


def _write_pieces(vocabulary: Vocabulary) -> bytes:
    """Return a part for each piece: text, score, and the type of one that is not ordinary.

    The marks stand at the begin, and the last piece is the mask, as in all vocabularies of this family.
    """
    texts = [
        vocabulary.text[vocabulary.ends[i] : vocabulary.ends[i + 1]].tobytes()
        for i in (*range(UNKNOWN + 1), len(vocabulary.scores) - 1)
    ]
    types = [_CONTROL_PIECE, _CONTROL_PIECE, _CONTROL_PIECE, _UNKNOWN_PIECE, _CONTROL_PIECE]
    marks = [
        _write_part(_PIECE, _write_part(1, text) + _TYPE_FIELD + bytes([kind]))
        for text, kind in zip(texts, types, strict=True)
    ]
    ordinary = _write_ordinary_pieces(vocabulary, UNKNOWN + 1, len(vocabulary.scores) - 1)
    return b"".join((*marks[:-1], ordinary, marks[-1]))


def _write_ordinary_pieces(vocabulary: Vocabulary, first: int, last: int) -> bytes:
    """Write the pieces from ``first`` up to ``last``, all at once.

    Each is: field, length of the rest, field, length of the text, text, field, score.
    """
    ends = vocabulary.ends[first : last + 1].astype(np.int64)
    lengths = np.diff(ends)
    around = 2 + 1 + 4  # field and length of the text, field and score
    if lengths.size and lengths.max() + around >= _SHORT:
        raise ValueError("The vocabulary has a piece of more than 120 bytes.")
    starts = np.concatenate([[0], np.cumsum(lengths + around + 2)])
    written = np.zeros(starts[-1], np.uint8)
    starts, after = starts[:-1], starts[:-1] + 4 + lengths
    written[starts] = _PIECE << 3 | _LENGTH
    written[starts + 1] = lengths + around
    written[starts + 2] = 1 << 3 | _LENGTH
    written[starts + 3] = lengths
    text = vocabulary.text[ends[0] : ends[-1]]
    written[np.arange(len(text)) + np.repeat(starts + 4 - (ends[:-1] - ends[0]), lengths)] = text
    written[after] = 2 << 3 | _FOUR_BYTES
    scores = vocabulary.scores[first:last].astype("<f4").view(np.uint8).reshape(-1, 4)
    written[after[:, None] + np.arange(1, 5)] = scores
    return written.tobytes()


def _write_number(field: int, value: int) -> bytes:
    return _write_varint(field << 3 | _VARINT) + _write_varint(value)


def _write_part(field: int, content: bytes) -> bytes:
    return _write_varint(field << 3 | _LENGTH) + _write_varint(len(content)) + content


def _write_varint(number: int) -> bytes:
    """Return a number as groups of seven bits, the lowest first."""
    groups: list[int] = []
    while number >= _SHORT:
        groups.append(number % _SHORT | _SHORT)
        number //= _SHORT
    return bytes([*groups, number])
