"""The commands that look after the data: doctor, reindex."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .console import answer, load_model

if TYPE_CHECKING:
    from ..library import Library
    from .options import Chosen


def doctor(chosen: Chosen, library: Library) -> int:
    from dataclasses import asdict

    from .. import checkup
    from . import shown, terminal

    findings: list[checkup.Finding] = []
    if chosen.fix:
        with terminal.bars() as bars:
            findings = checkup.mend(library, bars)
    with terminal.waiting("Looking at everything"):
        findings += checkup.examine(library.config)
    state = checkup.worst(findings)
    result = {"state": state, "findings": [asdict(finding) for finding in findings]}
    answer(chosen, result, lambda: shown.show_findings(findings))
    return 1 if state == "problem" else 0


def reindex(chosen: Chosen, library: Library) -> int:
    from .. import checkup
    from ..config import NO_MODEL
    from . import shown, terminal

    load_model(library)
    with terminal.bars() as bars:
        result = checkup.reindex(library, bars)
    answer(chosen, result, lambda: shown.show_reindexed(result))
    return 0 if result["model"] or library.config.model == NO_MODEL else 1
