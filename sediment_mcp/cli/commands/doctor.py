"""The commands that look after the data: doctor, reindex."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sediment_mcp.cli.confirm import answer, load_model

if TYPE_CHECKING:
    from sediment_mcp.app import Library
    from sediment_mcp.cli.options import Chosen


def doctor(chosen: Chosen, library: Library) -> int:
    from dataclasses import asdict

    from sediment_mcp.cli import render, terminal
    from sediment_mcp.maintenance.doctor import Finding, examine, mend, worst

    findings: list[Finding] = []
    if chosen.fix:
        with terminal.bars() as bars:
            findings = mend(library, bars)
    with terminal.waiting("Looking at everything"):
        findings += examine(library.config)
    state = worst(findings)
    result = {"state": state, "findings": [asdict(finding) for finding in findings]}
    answer(chosen, result, lambda: render.show_findings(findings))
    return 1 if state == "problem" else 0


def reindex(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render, terminal
    from sediment_mcp.config import NO_MODEL
    from sediment_mcp.maintenance.doctor import reindex as run_reindex

    load_model(library)
    with terminal.bars() as bars:
        result = run_reindex(library, bars)
    answer(chosen, result, lambda: render.show_reindexed(result))
    return 0 if result["model"] or library.config.model == NO_MODEL else 1
