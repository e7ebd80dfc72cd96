"""Whatever reads text takes time proportional to its length, over the worst strings that can be made for it.

Every regular expression of the package, its web page's included, and every function that takes a text are
found in the source, so that none is forgotten: a new function must be given a place below.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from support.expressions import PACKAGE, TREES, Expression, find_expressions
from support.pumping import HOSTILE_WORDS, MAX_GROWTH, SCREENED_CHARS, find_growth, pump, sample_words
from support.text_readers import READERS, read_text, resolve

RANGES = {  # what an expression is given at most, where its caller bounds it: characters
    ("sediment_mcp.server.jsonrpc", "_ID_IN_HEAD"): 4096,
    ("sediment_mcp.server.jsonrpc", "_ID_IN_TAIL"): 256,
}

# --- every regular expression -------------------------------------------------------------------

EXPRESSIONS = list(find_expressions())


def run_expression(expression: Expression) -> Callable[[str], object]:
    compiled = re.compile(expression.pattern, expression.flags & ~re.DEBUG)
    longest = RANGES.get((expression.module, expression.name))

    def run(text: str) -> None:
        given: Any = text.encode(errors="replace") if isinstance(expression.pattern, bytes) else text
        for function in expression.functions:
            call = getattr(compiled, function)
            arguments = (given[:0], given[:longest]) if function in ("sub", "subn") else (given[:longest],)
            found = call(*arguments)
            if function == "finditer":
                for _ in found:
                    pass

    return run


@pytest.mark.slow
@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda one: f"{one.module[13:]}-{one.name}")
def test_a_regular_expression_takes_linear_time(expression: Expression) -> None:
    words = sample_words(expression.pattern, expression.flags)
    growth, text = find_growth(run_expression(expression), pump(words))
    assert growth < MAX_GROWTH, f"{expression.pattern!r} over {text!r}…: {growth:.1f} times"


@pytest.mark.slow
def test_the_pumped_strings_find_expressions_that_are_slow_by_construction() -> None:
    for pattern, function in (
        (r'"[^"\\]*(?:\\.[^"\\]*)*"', "finditer"),
        (r"\s+$", "search"),
        (r"sk-[A-Za-z0-9-]*T3", "findall"),
        (r"//.+/:_auth", "search"),
    ):
        expression = Expression("", "", pattern, 0, frozenset({function}))
        growth, _ = find_growth(run_expression(expression), pump(sample_words(pattern)), 1000, attempts=1)
        assert growth > MAX_GROWTH, pattern


JAVASCRIPT_EXPRESSION = re.compile(
    r"(?<=[(=,:\s])/((?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)/[gimsuy]*(?=[.,)\s;])"
)


def find_javascript_expressions() -> list[tuple[str, str]]:
    folder = PACKAGE / "web" / "static"
    return [
        (path.name, match[1])
        for path in sorted(folder.glob("*.js"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith(("//", "*", "/*"))
        for match in JAVASCRIPT_EXPRESSION.finditer(line)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("file", "pattern"), find_javascript_expressions())
def test_a_regular_expression_of_the_page_takes_linear_time(file: str, pattern: str) -> None:
    python = (
        pattern.replace(r"\/", "/").replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!")
    )
    run = run_expression(Expression(file, "", python, 0, frozenset({"sub"})))
    growth, text = find_growth(run, pump(sample_words(python)))
    assert growth < MAX_GROWTH, f"{pattern} over {text!r}…: {growth:.1f} times"


# --- every function that takes a text -----------------------------------------------------------

TEXT_PARAMETERS = {
    "text", "texts", "content", "contents", "query", "question", "line", "data", "old", "new", "one", "other",
    "json_text", "before", "after", "uri", "uris", "source", "cursor", "iso", "template", "value", "string",
    "chunk", "head", "tag", "tags", "named",
}  # fmt: skip
TEXT_TYPE = re.compile(r"\b(?:str|bytes|Source|object)\b")
ELSEWHERE = {
    "cli": "typed or piped by the user at their own terminal, and handed to the operations",
    "indexes.text_search": "calls the analyzer",
    "indexes.term_counter": "calls the analyzer",
    "embeddings.cross_encoder": "the tokenizer cuts, see tests/embeddings",
    "embeddings.loader": "passes on",
    "embeddings.minilm": "calls word_pieces",
    "embeddings.multilingual": "cuts at 20,000 characters, and calls sentence_pieces",
    "embeddings.sentence_pieces": "sentencepiece cuts what multilingual has shortened",
    "embeddings.readability.measure_unknown_share": "given what the tokenizer cut",
    "embeddings.reranker": "passes on",
    "embeddings.sentence_transformers": "the tokenizer cuts, see tests/embeddings",
    "search.joint_retrieval": "passes on",
    "sync.log_file": "splits lines, and calls json and the reader of exports for each",
    "storage.sqlite.sync_tables": "passes on",
    "search.ranking": "calls query_dates",
    "search.reranking": "passes on",
    "search.retriever": "calls the analyzer, and embeds",
    "hosts.locations.resolve_path": "paths of the registry, which are ours",
    "hosts.toml_format": "calls tomllib, and tomlkit for the user's own file",
    "hosts.yaml_format": "calls ruamel.yaml for the user's own file",
    "hosts.hook_file.HookFile": "calls jsonc",
    "hosts.cursor_rules.write_rules": "writes",
    "hosts.config_file.replace_text": "writes",
    "hosts.config_file.format_diff": "of the user's own file before and after an edit, for the terminal",
    "hosts.config_format": "calls jsonc",
    "hosts.install_plan": "calls config_format",
    "operations.argument_collections": "called by parse_arguments",
    "operations.argument_types": "called by parse_arguments",
    "operations.arguments.parse_value": "calls the types of arguments",
    "operations.stores.note_shown": "passes on",
    "operations.projects": "a path that the user types, which the system resolves and the database compares",
    "operations.results.describe_memory": "copies",
    "operations.stores": "passes on",
    "search.unanswered_queries": "cuts at 500 characters, writes, and calls the analyzer",
    "background.audit.ReadAudit.note": "keeps it for the database",
    "background.erasure": "passes on",
    "storage.sql.memories.MemoryWriter.move_project": "compared by the database",
    "storage.sqlite.salvage": "writes",
    "storage.sqlite.session.SqliteSession.move_project": "passes on",
    "storage.sqlite.sync_tables.SyncTables.move_project": "compared by the database",
    "server.protocol.build_text": "wraps",
    "server.protocol_errors.refuse_cursor": "compares",
    "server.resources": "one lookup by an id",
    "system.files": "writes",
    "system.project_root.find_project_of_roots": "calls parse_file_uri",
    "domain.captured.release": "calls remove_tag",
    "transfer.archives": "zipfile reads it, and cuts it at a number of bytes",
    "transfer.conversations.read_conversations": "called by the formats' readers",
    "transfer.encryption": "pyrage",
    "transfer.formats.claude_mem.read": "the database reads it, and normalize_memory gets its texts",
    "transfer.formats.codex._Session.is_pair": "called by read_turns",
    "transfer.opening": "calls the formats' readers",
    "transfer.source.is_sqlite": "compares a prefix",
    "transfer.formats.markdown.make_distinct_names": "calls make_file_name",
    "transfer.json_lines.read_by_line": "called by the formats' readers",
    "system.directory_encryption": "encrypts bytes",
    "system.encrypted_file": "encrypts bytes, a block at a time",
    "system.encrypted_lines": "encrypts bytes",
    "transfer.normalize.read_document": "called by the formats' readers",
    "transfer.normalize.read_json_objects": "called by the formats' readers",
    "transfer.source.wrap_bytes": "wraps",
    "web.request.parse_value": "calls the types of arguments",
}
"""Function, module or package \u2192 why its functions are not in `READERS`."""


def find_functions_of_texts() -> Iterator[str]:
    """Yield every public function that takes a text, as ``module.function`` or ``module.Class.method``."""
    for module, tree in TREES.items():
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for scope in (tree, *(node for node in classes if "Protocol" not in map(ast.unparse, node.bases))):
            prefix = module.removeprefix("sediment_mcp.") + (
                f".{scope.name}" if isinstance(scope, ast.ClassDef) else ""
            )
            for node in scope.body:
                is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                if is_function and not node.name.startswith("_") and takes_text(node):
                    yield f"{prefix}.{node.name}"


def takes_text(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return any(
        one.annotation is not None
        and one.arg in TEXT_PARAMETERS
        and TEXT_TYPE.search(ast.unparse(one.annotation))
        for one in arguments
    )


def test_every_function_that_takes_a_text_has_its_place() -> None:
    found = set(find_functions_of_texts())
    missing = {
        name
        for name in found - READERS.keys()
        if not any(name == place or name.startswith(f"{place}.") for place in ELSEWHERE)
    }
    assert not missing, "give each a place in READERS, or say in ELSEWHERE why it needs none"
    assert not [place for place in ELSEWHERE if not any(f"{name}.".startswith(f"{place}.") for name in found)]
    assert all(callable(resolve(name)) for name in READERS)


SLOW = {
    "web.text_diff.diff_texts": 500,
    "transfer.formats.front_matter.split_front_matter": 1000,
    "transfer.formats.front_matter.load_yaml": 1000,
}
"""Functions that take long for a short text, though in proportion: characters to begin with."""

HOSTILE_TEXTS = list(
    dict.fromkeys(
        (*HOSTILE_WORDS, *(word for one in EXPRESSIONS for word in sample_words(one.pattern, one.flags)[-2:]))
    )
)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_function_that_takes_a_text_takes_linear_time(name: str) -> None:
    run = partial(read_text, name)
    run("warm up")
    makers = list(pump(HOSTILE_TEXTS))
    growth, text = find_growth(run, makers[:: 4 if name in SLOW else 1], SLOW.get(name, SCREENED_CHARS))
    assert growth < MAX_GROWTH, f"{name} over {text!r}…: {growth:.1f} times"
