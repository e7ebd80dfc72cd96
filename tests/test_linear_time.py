"""Whatever reads text takes time proportional to its length, over the worst strings that can be made for it.

Every regular expression of the package, its web page's included, and every function that takes a text are
found in the source, so that none is forgotten: a new function must be given a place below.
"""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any, TypeGuard

import pytest
from support.pumping import HOSTILE_WORDS, MAX_GROWTH, SCREENED_CHARS, find_growth, pump, sample_words

import sediment_mcp
import sediment_mcp.errors

PACKAGE = Path(sediment_mcp.__file__).parent
MODULES = {
    "sediment_mcp." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not path.stem.startswith("__")
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
FUNCTIONS = {"search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn"}
RANGES = {  # what an expression is given at most, where its caller bounds it: characters
    ("sediment_mcp.server.jsonrpc", "_ID_IN_HEAD"): 4096,
    ("sediment_mcp.server.jsonrpc", "_ID_IN_TAIL"): 256,
}

# --- every regular expression -------------------------------------------------------------------


@dataclass(frozen=True)
class Expression:
    """A regular expression, the place where it stands, and how it is used."""

    module: str
    name: str
    pattern: str | bytes
    flags: int
    functions: frozenset[str]


def find_expressions() -> Iterator[Expression]:
    """Yield every expression: constants of modules, what functions build, and what is compiled in place."""
    uses = find_uses()
    for module, tree in TREES.items():
        covered: set[ast.AST] = set()
        for name, pattern in find_constants(module):
            yield describe(module, name, pattern, uses.get(name.partition("[")[0], {"finditer"}))
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                covered |= set(ast.walk(node))
            elif isinstance(node, ast.FunctionDef) and "re.Pattern" in ast.unparse(node.returns or node):
                covered |= set(ast.walk(node))
                if not node.args.args and node.args.vararg is None:  # else its results are constants
                    yield describe(
                        module, node.name, getattr(import_module(module), node.name)(), {"finditer"}
                    )
        for node in ast.walk(tree):
            if is_call_of_re(node) and node not in covered:
                flags = [
                    a for a in (*node.args, *(k.value for k in node.keywords)) if "re." in ast.unparse(a)
                ]
                compiled = re.compile(
                    evaluate(module, node.args[0]), evaluate(module, flags[0]) if flags else 0
                )
                functions = {"finditer"} if node.func.attr == "compile" else {node.func.attr}
                yield describe(module, f"line {node.lineno}", compiled, functions)


def find_constants(module: str) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Yield the compiled expressions among a module's own constants, by name."""
    own = {
        target.id
        for node in TREES[module].body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for name in sorted(own):
        value = getattr(import_module(module), name)
        values = value.values() if isinstance(value, dict) else value
        if isinstance(value, re.Pattern):
            yield name, value
        elif isinstance(values, Iterable) and not isinstance(values, str | bytes):
            for place, item in enumerate(values):
                if isinstance(item, re.Pattern):
                    yield f"{name}[{place}]", item


def describe(module: str, name: str, compiled: re.Pattern[Any], functions: set[str]) -> Expression:
    return Expression(module, name, compiled.pattern, compiled.flags, frozenset(functions))


def is_call_of_re(node: ast.AST) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in FUNCTIONS | {"compile"}
    )


def evaluate(module: str, node: ast.expr) -> Any:
    """Return the value of an expression of the source; it may use the module's names."""
    return eval(compile(ast.Expression(node), module, "eval"), vars(import_module(module)))


def find_uses() -> dict[str, set[str]]:
    uses: dict[str, set[str]] = {}
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in FUNCTIONS:
                owner = node.value
                name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                uses.setdefault(name, set()).add(node.attr)
    return uses


EXPRESSIONS = list(find_expressions())


def run_expression(expression: Expression) -> Callable[[str], object]:
    compiled = re.compile(expression.pattern, expression.flags & ~re.DEBUG)
    longest = RANGES.get((expression.module, expression.name))

    def run(text: str) -> None:
        given: Any = text.encode(errors="replace") if isinstance(expression.pattern, bytes) else text
        for function in expression.functions:
            call = getattr(compiled, function)
            arguments = ("", given[:longest]) if function in ("sub", "subn") else (given[:longest],)
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
    "json_text", "before", "after", "uri", "uris", "source", "cursor", "iso", "template",
}  # fmt: skip
TEXT_TYPE = re.compile(r"\b(?:str|bytes|Source)\b")
ELSEWHERE = {
    "cli": "typed or piped by the user at their own terminal, and handed to the operations",
    "indexes.text_search": "calls the analyzer",
    "indexes.term_counter": "calls the analyzer",
    "embeddings": "tests/embeddings: the tokenizer cuts",
    "search.ranking": "calls query_dates",
    "search.retriever": "calls the analyzer, and embeds",
    "hosts.registry.resolve_path": "paths of the registry, which are ours",
    "hosts.config_file.replace_text": "writes",
    "hosts.config_file.format_diff": "of the user's own file before and after an edit, for the terminal",
    "hosts.config_format": "calls jsonc, and tomlkit for the user's own file",
    "hosts.install_plan": "calls config_format",
    "hosts.agent_instructions": "get_block_state stands for all: they search for a fixed text",
    "operations.results.describe_memory": "copies",
    "search.unanswered_queries": "cuts at 500 characters, writes, and calls the analyzer",
    "background.erasure": "passes on",
    "server.resources": "one lookup by an id",
    "system.files": "writes",
    "system.project_root.find_project_of_roots": "calls parse_file_uri",
    "transfer.encryption": "pyrage",
    "transfer.formats.markdown.make_distinct_names": "calls make_file_name",
    "transfer.normalize.read_json_objects": "called by the formats' readers",
    "transfer.source.wrap_bytes": "wraps",
}
"""Function, module or package \u2192 why its functions are not in `PARSERS`."""


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
        for name in found - PARSERS.keys()
        if not any(name == place or name.startswith(f"{place}.") for place in ELSEWHERE)
    }
    assert not missing, "give each a place in PARSERS, or say in ELSEWHERE why it needs none"
    assert not [place for place in ELSEWHERE if not any(f"{name}.".startswith(f"{place}.") for name in found)]


def ignore_errors(call: Callable[[], object], *errors: type[BaseException]) -> None:
    try:
        call()
    except (*errors, sediment_mcp.errors.SedimentError, ValueError):
        pass


def read_source(module: str, name: str = "note.md") -> Callable[[str], object]:
    def run(text: str) -> None:
        from sediment_mcp.transfer.source import ReadLimits, wrap_bytes

        read = import_module(f"sediment_mcp.transfer.formats.{module}").read
        source = wrap_bytes(text.encode(errors="replace"), name)
        ignore_errors(lambda: list(read(source, ReadLimits())))

    return run


def to_bytes(text: str) -> bytes:
    return text.encode(errors="replace")


def plain(
    module: str, function: str, *more: Any, wrap: Callable[[str], Any] = str
) -> Callable[[str], object]:
    """Call a function with the text as its first argument."""

    def run(text: str) -> None:
        ignore_errors(lambda: getattr(import_module(f"sediment_mcp.{module}"), function)(wrap(text), *more))

    return run


def compare(module: str, function: str, *more: Any) -> Callable[[str], object]:
    """Call a function with the text and with another that is not far from it."""

    def run(text: str) -> None:
        call = getattr(import_module(f"sediment_mcp.{module}"), function)
        call(text, "x" + text[1:-1], *more)

    return run


def feed_lines(text: str) -> None:
    from sediment_mcp.server.jsonrpc import LineSplitter

    data, splitter = text.encode(errors="replace"), LineSplitter()
    for start in range(0, len(data), 512):
        list(splitter.feed(data[start : start + 512]))
    list(splitter.finish())


def call_tool(tool: str, name: str, **more: Any) -> Callable[[str], object]:
    def run(text: str) -> None:
        from sediment_mcp.operations import arguments as defined

        ignore_errors(lambda: defined.parse_arguments(getattr(defined, tool), {name: text, **more}))

    return run


def put_entry(text: str) -> None:
    from sediment_mcp.hosts import jsonc

    document = '{"servers": {"a": ' + json.dumps(text) + "}, // " + text.replace("\n", " ") + '\n "b": [1,],}'
    ignore_errors(lambda: jsonc.put_member(document, ("servers", "x"), 1))
    ignore_errors(lambda: jsonc.remove_member(document, ("b",)))


def detect(text: str) -> None:
    from sediment_mcp.transfer.detect import detect_format
    from sediment_mcp.transfer.source import wrap_bytes

    for name in ("a.json", "a.md"):
        source = wrap_bytes(text.encode(errors="replace"), name)
        ignore_errors(functools.partial(detect_format, source))


PARSERS: dict[str, Callable[[str], object]] = {
    "domain.chunking.estimate_word_pieces": plain("domain.chunking", "estimate_word_pieces"),
    "domain.chunking.split_into_chunks": plain("domain.chunking", "split_into_chunks"),
    "domain.chunking.split_text": plain("domain.chunking", "split_text", 2_000),
    "domain.duplicates.compute_content_hash": plain("domain.duplicates", "compute_content_hash"),
    "domain.near_duplicates.is_near_duplicate": compare("domain.near_duplicates", "is_near_duplicate", 0.99),
    "domain.prompt_injection.has_prompt_injection": plain("domain.prompt_injection", "has_prompt_injection"),
    "domain.secrets.find_secret_kinds": plain(
        "domain.secrets", "find_secret_kinds", wrap=lambda text: [text]
    ),
    "hosts.agent_instructions.get_block_state": plain("hosts.agent_instructions", "get_block_state"),
    "hosts.config_file.detect_line_break": plain("hosts.config_file", "detect_line_break"),
    "hosts.jsonc.parse": plain("hosts.jsonc", "parse"),
    "hosts.jsonc.put_member": put_entry,
    "hosts.jsonc.remove_member": put_entry,
    "indexes.analyzer.extract_query_terms": plain("indexes.analyzer", "extract_query_terms"),
    "indexes.analyzer.extract_terms": plain("indexes.analyzer", "extract_terms"),
    "operations.arguments.parse_arguments": call_tool("QueryMemory", "query"),
    "operations.edit_memory.is_same_text": compare("operations.edit_memory", "is_same_text"),
    "search.query_dates.find_periods": plain("search.query_dates", "find_periods", date(2026, 5, 8)),
    "search.query_dates.is_about_present": plain("search.query_dates", "is_about_present"),
    "search.query_dates.read_dates": plain("search.query_dates", "read_dates", date(2026, 5, 8)),
    "search.snippets.select_snippets": plain(
        "search.snippets", "select_snippets", 8_000, wrap=lambda text: [(text, None)] * 3
    ),
    "server.jsonrpc.LineSplitter.feed": feed_lines,
    "server.jsonrpc.decode": plain("server.jsonrpc", "decode", wrap=to_bytes),
    "server.jsonrpc.find_id": plain("server.jsonrpc", "find_id", wrap=to_bytes),
    "server.jsonrpc.valid_text": plain("server.jsonrpc", "valid_text"),
    "system.project_root.parse_file_uri": plain("system.project_root", "parse_file_uri"),
    "system.text.compose_accents": plain("system.text", "compose_accents"),
    "system.text.count_invisible": plain("system.text", "count_invisible"),
    "system.text.reveal_invisible": plain("system.text", "reveal_invisible"),
    "system.text.escape_invisible": plain("system.text", "escape_invisible"),
    "system.text.show_control_characters": plain("system.text", "show_control_characters"),
    "system.text.valid_text": plain("system.text", "valid_text"),
    "transfer.detect.detect_format": detect,
    "transfer.formats.front_matter.split_front_matter": plain(
        "transfer.formats.front_matter", "split_front_matter", wrap=lambda text: f"---\n{text}\n---\n{text}"
    ),
    "transfer.formats.front_matter.compose_front_matter": plain(
        "transfer.formats.front_matter", "compose_front_matter", "", wrap=lambda text: {"tags": [text]}
    ),
    "transfer.formats.markdown.make_file_name": plain("transfer.formats.markdown", "make_file_name"),
    "transfer.formats.mcp_memory_service.read": read_source("mcp_memory_service"),
    "transfer.formats.mem0.read": read_source("mem0"),
    "transfer.formats.notes.read": read_source("notes"),
    "transfer.formats.sediment_jsonl.read": read_source("sediment_jsonl"),
    "transfer.formats.server_memory.read": read_source("server_memory"),
    "transfer.normalize.parse_json": plain("transfer.normalize", "parse_json"),
    "transfer.source.decode_text": plain("transfer.source", "decode_text", wrap=to_bytes),
    "web.text_diff.diff_texts": compare("web.text_diff", "diff_texts"),
}
"""Function \u2192 what gives it a text; each is run over hostile strings."""


SLOW = {"web.text_diff.diff_texts": 500, "transfer.formats.front_matter.split_front_matter": 3000}
"""Functions that take long for a short text, though in proportion: characters to begin with."""

HOSTILE_TEXTS = list(
    dict.fromkeys(
        (*HOSTILE_WORDS, *(word for one in EXPRESSIONS for word in sample_words(one.pattern, one.flags)[-2:]))
    )
)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_a_function_that_takes_a_text_takes_linear_time(name: str) -> None:
    run = PARSERS[name]
    run("warm up")
    makers = list(pump(HOSTILE_TEXTS))
    growth, text = find_growth(run, makers[:: 4 if name in SLOW else 1], SLOW.get(name, SCREENED_CHARS))
    assert growth < MAX_GROWTH, f"{name} over {text!r}…: {growth:.1f} times"
