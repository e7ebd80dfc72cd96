"""Complete answers: what a reader makes of them who knows what an absent field stands for.

The values are written down here once more, from the contract, so that they are not those of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEMORY = {
    "truncated": False,
    "kind": "semantic",
    "tags": [],
    "session": None,
    "importance": 0.5,
    "metadata": {},
    "expires_at": None,
    "superseded_by": None,
}
STORE = {"superseded": [], "similar": [], "expires_at": None, "warnings": []}
QUERY = {"mode": "hybrid", "notes": []}
RULE = {"kind": None, "tag": None, "max_age": None, "max_count": None}
DELETE = {"not_found": [], "recoverable_until": None}


def complete_memory(memory: Mapping[str, Any], project: str | None = None) -> dict[str, Any]:
    """Return a memory with every field, as a caller of this project understands it."""
    if memory.get("scope") == "team":
        return {**MEMORY, "created_at": memory["occurred_at"], "project": None, **memory}
    is_own = memory.get("scope") == "project"
    owner = project if is_own else memory.get("project")
    return {
        **MEMORY,
        "created_at": memory["occurred_at"],
        **memory,
        "scope": "global" if owner is None and not is_own else "project",
        "project": owner,
    }


def complete_query(answer: Mapping[str, Any], project: str | None = None) -> dict[str, Any]:
    """Return a query's answer with every field, those that were absent behind the others."""
    results = [complete_memory(one, project) for one in answer["results"]]
    return {**answer, **complete(answer, QUERY), "results": results}


def complete_history(answer: Mapping[str, Any], project: str | None = None) -> dict[str, Any]:
    versions = [{"deleted_at": None, **complete_memory(one, project)} for one in answer["versions"]]
    return {"current": None, **answer, "versions": versions}


def complete_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {**RULE, **rule}


def complete(answer: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an answer lacks."""
    return {name: value for name, value in defaults.items() if name not in answer}


def complete_list(answer: Mapping[str, Any], project: str | None = None) -> dict[str, Any]:
    return {**answer, "memories": [complete_memory(one, project) for one in answer["memories"]]}
