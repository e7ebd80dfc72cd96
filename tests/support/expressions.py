"""Every regular expression of the package, found in its source, so that none is forgotten."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeGuard

import sediment_mcp

PACKAGE = Path(sediment_mcp.__file__).parent
MODULES = {
    "sediment_mcp." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not path.stem.startswith("__")
}
NEEDS_EXTRA = {
    "sediment_mcp.embeddings.cross_encoder": "sentence_transformers",
    "sediment_mcp.embeddings.model_files": "sentence_transformers",
    "sediment_mcp.embeddings.sentence_transformers": "sentence_transformers",
    "sediment_mcp.embeddings.multilingual": "sentencepiece",
    "sediment_mcp.embeddings.sentence_pieces": "sentencepiece",
}
"""Modules that can be imported only where an extra is installed, and the package of it that they import."""
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
FUNCTIONS = {"search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn"}


def list_alphabets() -> list[re.Pattern[str]]:
    from sediment_mcp.system import legacy_encodings

    return [re.compile(never, re.IGNORECASE) for _, never, _ in legacy_encodings._ALPHABETS.values() if never]


def list_tokens() -> list[re.Pattern[str]]:
    from sediment_mcp.indexes import analyzer

    return [analyzer._build_pattern(is_ascii=is_ascii) for is_ascii in (True, False)]


BUILT = {
    ("sediment_mcp.indexes.analyzer", "_build_pattern"): list_tokens,
    ("sediment_mcp.system.legacy_encodings", "_compile"): list_alphabets,
}
"""Function that builds an expression while the program runs → all that it builds."""


@dataclass(frozen=True)
class Expression:
    """A regular expression, the place where it stands, and how it is used."""

    module: str
    name: str
    pattern: str | bytes
    flags: int
    functions: frozenset[str]


def find_expressions() -> Iterator[Expression]:
    """Yield every expression: of constants, of functions that build one, and what is compiled in place.

    Raises:
        LookupError: the expression of a use of `re` is not found.
    """
    uses = find_uses()
    for module, tree in TREES.items():
        if module in NEEDS_EXTRA and find_spec(NEEDS_EXTRA[module]) is None:
            continue  # .ci/run looks at it where the extra is installed
        parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        builders = {node.name: node for node in ast.walk(tree) if returns_pattern(node)}
        calls = [node for node in ast.walk(tree) if is_call_of_re(node)]
        built = [node for node in ast.walk(tree) if is_call_of(node, builders)]
        constants = {name: list(find_patterns(value)) for name, value in find_constants(module)}
        for name, patterns in constants.items():
            functions = uses.get(name, {"finditer"})
            yield from describe(module, name, patterns, functions)
        for node in (*calls, *built):
            ancestors = list(list_ancestors(node, parents))
            statement = ancestors[-2]  # the last is the module
            builder = next((one for one in ancestors if one in builders.values()), None)
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                if not any(constants[name] for name in list_targets(statement)):
                    raise LookupError(f"{module}, line {node.lineno}: its constant holds no expression")
            elif node in calls and builder is None:
                yield from compile_in_place(module, node)
            elif node in calls and builder is not None and not has_parameters(builder):
                pattern = getattr(import_module(module), builder.name)()
                yield from describe(module, builder.name, [pattern], {"finditer"})
            elif node in built and has_parameters(builders[node.func.id]):
                patterns = BUILT[module, node.func.id]()
                yield from describe(module, node.func.id, patterns, {"search"})
        if any(is_hidden_import(node) for node in ast.walk(tree)):
            raise LookupError(f"{module}: write `import re`, so that its uses are found")


def describe(
    module: str, name: str, patterns: Collection[re.Pattern[Any]], functions: set[str]
) -> Iterator[Expression]:
    for place, compiled in enumerate(patterns):
        shown = f"{name}[{place}]" if len(patterns) > 1 else name
        yield Expression(module, shown, compiled.pattern, compiled.flags, frozenset(functions))


# --- the source ---------------------------------------------------------------------------------


def is_call_of_re(node: ast.AST) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "re"
        and node.func.attr in FUNCTIONS | {"compile"}
    )


def is_call_of(node: ast.AST, names: Collection[str]) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def is_hidden_import(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module in ("re", "regex")
    return isinstance(node, ast.Import) and any(
        one.name == "regex" or (one.name == "re" and one.asname) for one in node.names
    )


def returns_pattern(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and "re.Pattern" in ast.unparse(node.returns or ast.Constant(""))


def has_parameters(node: ast.FunctionDef) -> bool:
    return bool(node.args.args or node.args.vararg or node.args.kwonlyargs)


def list_ancestors(node: ast.AST | None, parents: Mapping[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    while node is not None:
        yield node
        node = parents.get(node)


def list_targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def compile_in_place(module: str, node: ast.Call) -> Iterator[Expression]:
    """Yield the expression of a call such as ``re.sub``; it may use the module's names."""
    given = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
    flags = [evaluate(module, one) for one in given if re.search(r"\bre\.[A-Z]", ast.unparse(one))]
    compiled = re.compile(evaluate(module, node.args[0]), *flags[:1])
    function = node.func.attr.replace("compile", "finditer") if isinstance(node.func, ast.Attribute) else ""
    yield from describe(module, f"line {node.lineno}", [compiled], {function})


def evaluate(module: str, node: ast.expr) -> Any:
    return eval(compile(ast.Expression(node), module, "eval"), vars(import_module(module)))


def find_uses() -> dict[str, set[str]]:
    """Return by the name of a constant the functions that it is used with, in whatever module."""
    uses: dict[str, set[str]] = {}
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in FUNCTIONS:
                owner = node.value
                name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                uses.setdefault(name, set()).add(node.attr)
    return uses


# --- constants ----------------------------------------------------------------------------------


def find_constants(module: str) -> Iterator[tuple[str, object]]:
    """Yield the constants that a module defines itself."""
    for node in TREES[module].body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            for name in list_targets(node):
                yield name, getattr(import_module(module), name)


def find_patterns(value: object) -> Iterator[re.Pattern[Any]]:
    """Yield the compiled expressions in a value, and in the containers and records that it consists of."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, Mapping):
        yield from find_patterns(list(value.values()))
    elif is_dataclass(value) and not isinstance(value, type):
        yield from find_patterns([getattr(value, one.name) for one in fields(value)])
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from find_patterns(item)
