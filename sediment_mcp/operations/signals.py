"""The signals of a result, in words: why it stands where it does."""

from __future__ import annotations

SIGNALS = {
    "semantic": ("meaning", "cosine of the question and the best passage"),
    "tokens": ("tokens", "how near the question's tokens come to those of that passage, 0 to 1"),
    "lexical": ("words", "BM25 of that passage, as a share of the highest"),
    "coverage": ("coverage", "share of the question's words, rare ones counting more, that it holds"),
    "phrase": ("wording", "how far it holds the question's own wording, 0 to 1"),
    "date": ("date", "1: of a day that the question names"),
    "relevance": ("relevance", "all parts together, as a share of the most relevant"),
    "reranker": ("reranker", "how well it answers by the cross-encoder, 0 to 1, which set the order"),
    "meaning_share": ("  meaning", "the part that meaning makes, alone and in its session"),
    "tokens_share": ("  tokens", "the part that tokens make"),
    "words_share": ("  words", "the part that words make"),
    "date_share": ("  date", "the part for a named day, or for saying when to a question that asks when"),
    "session_share": ("  session", "the part for answering a question before it, less if it only asks"),
    "phrase_share": ("  wording", "the part that the question's own wording makes"),
    "recency": ("recency", "factor: the newer, the nearer to 1"),
    "importance": ("importance", "factor: the more important, the nearer to 1"),
    "project": ("project", "factor: below 1 for another project's"),
}
"""Name of a signal in a result → a word for people, and what its value means."""
