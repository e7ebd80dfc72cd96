"""The commands that look after the data: doctor, reindex."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sediment_mcp.cli.confirm import FAILED
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, pass_invocation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sediment_mcp.maintenance.findings import Finding
    from sediment_mcp.maintenance.results import ReindexResult

STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@command("doctor", "sediment-mcp doctor", "sediment-mcp doctor --fix")
@click.option("--fix", is_flag=True, help="make everything private, write the indexes anew")
@pass_invocation
def doctor_(invocation: Invocation, fix: bool) -> int:
    """Check the data, model, indexes and permissions."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from sediment_mcp.cli import terminal
    from sediment_mcp.maintenance import doctor
    from sediment_mcp.maintenance.findings import find_worst_state
    from sediment_mcp.sync.findings import examine_sync

    findings: list[Finding] = []
    if fix:
        app = invocation.app
        with terminal.show_progress() as bars:
            findings = doctor.fix(app, bars)
    with terminal.show_spinner("Looking at everything"):
        findings += doctor.examine(invocation.config)
        findings += examine_sync(invocation.config, datetime.now(UTC))
    state = find_worst_state(findings)
    result = {"state": state, "findings": [asdict(finding) for finding in findings]}
    invocation.print_result(result, lambda: _show_findings(findings))
    return FAILED if state == "problem" else 0


@command("reindex", "sediment-mcp reindex")
@pass_invocation
def reindex(invocation: Invocation) -> int:
    """Embed what is missing and write both indexes anew."""
    from sediment_mcp.cli import terminal
    from sediment_mcp.config import NO_MODEL
    from sediment_mcp.maintenance.doctor import reindex

    invocation.load_model()
    app = invocation.app
    with terminal.show_progress() as bars:
        result = reindex(app, bars)
    invocation.print_result(result, lambda: _show_reindexed(result))
    return 0 if "model" in result or app.config.model == NO_MODEL else FAILED


# --- how results look ---------------------------------------------------------------------------


def _show_findings(findings: Sequence[Finding]) -> None:
    from sediment_mcp.cli.terminal import hang, open_console, put, style_words

    out = open_console()
    for finding in findings:
        state = (f"{finding.state:<8}", STYLES[finding.state])
        put(
            out,
            hang(out, [state, (f"{finding.name:<17}", "bold")], style_words((finding.sentence, ""))),
        )
        if finding.remedy:
            arrow = [(" " * 8, ""), (f"{'':<15}→", "bold")]
            put(out, hang(out, arrow, style_words((finding.remedy, ""))))


def _show_reindexed(result: ReindexResult) -> None:
    from sediment_mcp.cli.terminal import open_console, put
    from sediment_mcp.system.text import format_subject

    passages_are = format_subject(result["passages"], "passage")
    by_meaning = f"by meaning ({result['model']})" if "model" in result and result["embedded"] else ""
    kinds = " and ".join(["by words", by_meaning] if by_meaning else ["by words"])
    put(
        open_console(),
        f"{passages_are} indexed {kinds}." if result["passages"] else "Nothing is stored yet.",
    )
