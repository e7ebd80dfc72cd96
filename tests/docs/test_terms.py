"""One word, one meaning: what docs/architecture.md calls retired is said nowhere any more."""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.documents import DOCS, PACKAGE, PAGES, ROOT, name_of, names, prose_of, rows, section

DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
MODULES = sorted(
    path for folder in (PACKAGE, ROOT / "benchmarks", ROOT / "scripts") for path in folder.rglob("*.py")
)
ARCHITECTURE = DOCS / "architecture.md"


@functools.cache
def retired() -> dict[str, str]:
    """Return the retired words, each with the term that is said instead."""
    terms = rows(section(ARCHITECTURE, "Terms"))
    return {word: row[0] for row in terms for word in names(row[2])}


def retired_in(text: str) -> dict[str, str]:
    """Return the retired words that a text holds, with what to say instead."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    return {word: term for word, term in retired().items() if word in words}


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of every comment."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of every docstring, those of attributes and constants included."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text
            case _:
                pass


def definitions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, words of the name) of every class and function."""
    for node in ast.walk(tree):
        if isinstance(node, DEFINITIONS):
            yield node.lineno, re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", node.name)


def test_terms_have_retired_words() -> None:
    assert len(retired()) > 10
    assert all(re.fullmatch("[a-z]+", word) for word in retired())


def test_no_term_is_retired_itself() -> None:
    terms = " ".join(row[0] + " " + row[1] for row in rows(section(ARCHITECTURE, "Terms")))
    assert retired_in(terms) == {}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_speaks_in_today_s_terms(module: Path) -> None:
    source = module.read_text(encoding="utf-8")
    tree = ast.parse(source)
    texts = [*docstrings(tree), *comments(source), *definitions(tree)]
    texts.append((0, name_of(module)))
    assert {line: found for line, text in texts if (found := retired_in(text))} == {}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_document_speaks_in_today_s_terms(page: Path) -> None:
    text = prose_of(page)
    if page == ARCHITECTURE:
        text = text.replace(section(page, "Terms"), "")
    assert retired_in(text) == {}


def test_a_retired_word_is_found_in_each_place() -> None:
    word = next(iter(retired()))
    source = (
        f'"""About a {word}."""\nx = 1  # the {word}\n"""The {word}."""\n\ndef {word}_of() -> None: ...\n'
    )
    tree = ast.parse(source)
    for found in (docstrings(tree), comments(source), definitions(tree)):
        assert any(retired_in(text) for _, text in found)
