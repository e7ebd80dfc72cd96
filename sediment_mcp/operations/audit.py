"""The audit: list who stored, changed, deleted or asked for what, and when."""

# Annotations are evaluated here, so that the type knows which of its fields are required.

from typing import TYPE_CHECKING, NotRequired, TypedDict

from sediment_mcp.domain.audit import AuditEntry, AuditFilter
from sediment_mcp.operations.results import build_result
from sediment_mcp.system.timestamps import isoformat_to_second

if TYPE_CHECKING:
    from sediment_mcp.app import Application


class AuditResult(TypedDict):
    """One entry; ``ids`` are absent where there are none, ``text`` where it is not kept."""

    at: str
    who: str
    action: str
    ids: NotRequired[list[str]]
    text: NotRequired[str]


def list_audit(app: "Application", wanted: AuditFilter, limit: int) -> list[AuditResult]:
    """Return the newest entries, the newest first."""
    with app.storage.read() as session:
        return [_describe(entry) for entry in session.audit.list_entries(wanted, limit)]


def _describe(entry: AuditEntry) -> AuditResult:
    return build_result(
        AuditResult,
        at=isoformat_to_second(entry.at),
        who=entry.caller,
        action=entry.action,
        ids=[*entry.memory_ids],
        text=entry.text,
    )
