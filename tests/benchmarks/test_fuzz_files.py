"""A small, repeatable sample of the mutated files that `benchmarks/fuzz_files.py` reads."""

from __future__ import annotations

import fuzz_files


def test_no_mutated_file_ends_in_an_error_that_nobody_has_foreseen() -> None:
    outcome = fuzz_files.run(files=300, seconds=120, seed=7)
    assert [defect for defect in outcome.defects if "Traceback" in defect] == []
    assert outcome.counts["items with an unforeseen error"] == 0
    assert outcome.counts["memories"] > 50
