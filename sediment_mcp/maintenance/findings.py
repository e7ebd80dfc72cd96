"""Findings: what the doctor reports, one for each thing that it checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: what was checked, its state, and what to do about it.

    ``remedy`` is empty where nothing has to be done.
    """

    name: str
    state: State
    sentence: str
    remedy: str = ""


def find_worst_state(findings: Iterable[Finding]) -> State:
    """Return the state of the worst finding; "ok" if there are none."""
    states = {finding.state for finding in findings}
    return "problem" if "problem" in states else "warning" if "warning" in states else "ok"
