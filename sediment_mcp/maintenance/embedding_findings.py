"""Report how much of what is stored the model in use has embedded."""

from __future__ import annotations

from collections.abc import Iterator

from sediment_mcp.embeddings.protocols import ModelIdentity
from sediment_mcp.maintenance.findings import Finding
from sediment_mcp.storage.protocols import ReadSession
from sediment_mcp.system.text import format_count

CATCH_UP = "A running server goes on with it; sediment-mcp reindex does it now."
REPAIR = "sediment-mcp doctor --fix makes them anew."


def check_embeddings(session: ReadSession, model: ModelIdentity | None) -> Iterator[Finding]:
    """Report how many chunks the model in use has embedded, and embeddings of other models."""
    used = model.fingerprint if model else ""
    if model is not None:
        model_key = session.embeddings.model_key(used)
        done, total = session.embeddings.count_embedded(model_key)
        unreadable = session.embeddings.count_unreadable(model_key)
        rest = f"; {unreadable:,} that the model cannot read are found by words" if unreadable else ""
        yield Finding(
            "embeddings",
            "ok" if done == total else "warning",
            f"{done - unreadable:,} of {format_count(total, 'passage')}{rest}.",
            "" if done == total else CATCH_UP,
        )  # fmt: skip
    others = [
        f"{stored.model.name} ({format_count(stored.count, 'passage')})"
        for stored in session.embeddings.models()
        if stored.model.fingerprint != used and stored.count
    ]
    if others:
        yield Finding("other models", "ok", f"Kept for a way back: {', '.join(others)}.")


def check_token_vectors(session: ReadSession, model: ModelIdentity | None) -> Iterator[Finding]:
    """Report how many chunks have the token vectors that the model in use makes."""
    if damaged := session.token_vectors.count_damaged():
        sentence = f"Those of {format_count(damaged, 'passage')} are damaged, and not used."
        yield Finding("token vectors", "problem", sentence, REPAIR)
    elif model is not None:
        done, total = session.token_vectors.count_embedded(session.token_vectors.model_key(model.fingerprint))
        yield Finding(
            "token vectors",
            "ok" if done == total else "warning",
            f"{done:,} of {format_count(total, 'passage')}.",
            "" if done == total else CATCH_UP,
        )
