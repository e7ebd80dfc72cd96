"""Compute digests of states, by which a device knows what the others have already.

A digest is over what can change and means the same on every device: a project's name differs between them,
and the text of a memory never changes.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from sediment_mcp.system.timestamps import isoformat

if TYPE_CHECKING:
    from sediment_mcp.domain.memory import Memory, NewMemory
    from sediment_mcp.storage.sqlite.rule_changes import RuleChange
    from sediment_mcp.storage.table_protocols import KeptPair
    from sediment_mcp.sync.project_pairs import ProjectPair

DIGEST_BYTES = 16
State = tuple[str, bytes]  # the name of an item, and the digest of its state


def digest_memory(memory: Memory | NewMemory) -> bytes:
    """Return the digest of what may change of a memory."""
    times = (
        memory.occurred_at,
        memory.expires_at,
        memory.deleted_at,
        memory.restored_at,
        memory.changed_at,
    )
    state = (
        memory.tags,
        float(memory.importance),
        dict(memory.metadata),
        memory.superseded_by,
        *(time and isoformat(time) for time in times),
    )
    return _digest(state)


def digest_rule(change: RuleChange) -> bytes:
    """Return the digest of what a rule says."""
    return _digest(change)


def name_rule(change: RuleChange) -> str:
    """Return the name of a rule among the items of a log, which no id of a memory has."""
    return f"rule {change.subject} {change.folded_name}"


def digest_kept_pair(pair: KeptPair) -> bytes:
    """Return the digest of when a pair was kept."""
    return _digest(pair.kept_at)


def name_kept_pair(pair: KeptPair) -> str:
    """Return the name of a pair among the items of a log."""
    return f"pair {pair.first_id} {pair.second_id}"


def digest_project_pair(pair: ProjectPair) -> bytes:
    """Return the digest of a pair of shared names, which never changes."""
    return _digest(pair)


def name_project_pair(pair: ProjectPair) -> str:
    """Return the name of a pair of shared names among the items of a log."""
    return f"projects {pair.kept} {pair.former}"


def _digest(state: object) -> bytes:
    text = json.dumps(state, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()
