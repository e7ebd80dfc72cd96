"""The word pieces of the default model, and the published tokenizer that they are compared with."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sediment_mcp.embeddings import minilm
from sediment_mcp.embeddings.word_pieces import WordPieces
from support.model_folder import find_published_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@cache
def load_word_pieces() -> WordPieces:
    """Load the vocabulary and the table of characters that the package ships."""
    vocabulary = (minilm.FOLDER / minilm.VOCABULARY).read_text(encoding="utf-8").splitlines()
    return WordPieces(vocabulary, (minilm.FOLDER / minilm.CHARACTERS).read_bytes())


@cache
def load_published_tokenizer() -> Tokenizer:
    """Load the published tokenizer, without cutting or padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(find_published_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
