"""Kept pairs: similar memories of which a person has said that both may stay.

Earlier versions kept these answers in a file beside the database, which is taken over at the first use.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sediment_mcp.storage.table_protocols import KeptPair
from sediment_mcp.system.timestamps import to_micros

if TYPE_CHECKING:
    from sediment_mcp.app import Application

FORMER_FILE = "kept-pairs.json"


def list_kept_pairs(app: Application) -> set[tuple[str, str]]:
    """Return the pairs that may both stay, each with its ids in order."""
    adopt_former_file(app)
    with app.storage.read() as session:
        return {(pair.first_id, pair.second_id) for pair in session.kept_pairs.list_all()}


def keep_pair(app: Application, first_id: str, second_id: str) -> None:
    """Record the answer that these two memories may both stay."""
    adopt_former_file(app)
    with app.storage.write() as session:
        session.kept_pairs.keep(first_id, second_id, app.now())


def adopt_former_file(app: Application) -> None:
    """Take over the answers that an earlier version has kept in a file, and remove it."""
    path = app.config.store_dir / FORMER_FILE
    if app.storage.is_read_only or not path.exists():
        return
    try:
        answers: Any = json.loads(path.read_bytes())
        pairs = [tuple(sorted((str(first), str(second)))) for first, second in answers]
    except (OSError, ValueError, TypeError):
        pairs = []
    oldest = app.now() - timedelta(microseconds=len(pairs))
    with app.storage.write() as session:
        session.kept_pairs.add(
            KeptPair(first, second, to_micros(oldest) + place) for place, (first, second) in enumerate(pairs)
        )
    path.unlink(missing_ok=True)
