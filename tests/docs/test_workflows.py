"""Workflows, issue forms and hooks: they are read, and run nothing but what CI runs and the project has."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.documents import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
BASE = {"test", "gh"}  # programs that a runner has


def read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # else `on` is a boolean


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def commands(path: Path) -> list[str]:
    return [line for step in steps(path) for line in step.get("run", "").splitlines() if line]


def parts_of_ci() -> set[str]:
    """The parts of .ci/run that can be named."""
    return set(re.findall(r"^ +(\w+)\) run_\w+ ;;$", CI, re.MULTILINE))


def requirements() -> set[str]:
    """What the project needs to be built, to run and to be worked on."""
    optional = PROJECT["optional-dependencies"]["dev"]
    return {*PYPROJECT["build-system"]["requires"], *PROJECT["dependencies"], *optional}


def test_there_are_workflows_and_forms() -> None:
    assert [path.stem for path in WORKFLOWS] == ["ci", "newest", "release"]
    assert {"bug_report", "feature_request"} <= {path.stem for path in FORMS}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_whole(path: Path) -> None:
    workflow = read(path)
    assert {"name", "on", "permissions", "jobs"} <= set(workflow)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert {"runs-on", "timeout-minutes", "steps"} <= set(job)
        assert set(job.get("needs", "").split()) <= set(workflow["jobs"])
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])
        for step in job["steps"]:
            assert re.fullmatch(
                r"[\w-]+/[\w-]+@[\w./-]+|docker://[\w/-]+:[\d.]+", step.get("uses", "an/action@v1")
            )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_command_is_one_of_ours(path: Path) -> None:
    for line in commands(path):
        words = shlex.split(line)
        program = words[0].removeprefix(".venv/bin/")
        if program == "bash":
            assert words[1] == ".ci/run"
            assert set(words[2:]) <= parts_of_ci()
        elif words[1:3] == ["-m", "pip"]:
            assert set(words[4:]) <= requirements()
        elif words[1:2] == ["-m"]:
            assert words[2] in {re.split("[<>=]", name)[0] for name in requirements()}
        elif program == "python":
            assert (ROOT / words[1]).is_file()
        else:
            assert program in BASE


def test_ci_runs_every_part_of_the_script() -> None:
    run = [
        words[2:]
        for line in commands(WORKFLOWS[0])
        if (words := shlex.split(line))[:2] == ["bash", ".ci/run"]
    ]
    assert [part for parts in run for part in parts] == [
        "tests",
        "sentence_transformers",
        "style",
        "wheel",
        "conformance",
        "hosts",
    ]
    by_default = re.search(r"set -- (.+)", CI)[1].split()  # type: ignore[index]
    assert [*by_default, "hosts"] == [part for parts in run for part in parts]


def test_what_ci_leaves_out_runs_each_week() -> None:
    (named,) = [path for path in WORKFLOWS if path.stem == "newest"]
    assert "schedule" in read(named)["on"]
    assert commands(named) == ["bash .ci/run tests", "bash .ci/run newest"]
    assert parts_of_ci() == {
        *("tests", "sentence_transformers", "style", "wheel", "conformance", "hosts", "newest"),
    }


def test_torch_is_pinned_where_the_extra_is_tested() -> None:
    assert re.search(r"^torch=torch==[\d.]+ ", CI, re.MULTILINE)
    installed = re.findall(r"pip install .*published-model.*", CI)
    assert installed
    assert all('"$torch"' in line for line in installed)


def test_ci_runs_on_every_system_and_python_that_is_promised() -> None:
    matrix = read(WORKFLOWS[0])["jobs"]["checks"]["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    versions = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert matrix["python"] == versions
    assert PROJECT["requires-python"] == f">={versions[0]}"


def test_only_the_step_that_publishes_may_prove_who_it_is() -> None:
    release = next(path for path in WORKFLOWS if path.stem == "release")
    jobs = read(release)["jobs"]
    trusted = [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})]
    assert trusted == ["publish"]
    assert all("run" not in step for step in jobs["publish"]["steps"])
    assert not re.search("secrets\\.", release.read_text(encoding="utf-8"))  # trusted publishing needs none


@pytest.mark.parametrize("form", ["bug_report", "feature_request"])
def test_a_form_asks_for_the_doctor_s_output(form: str) -> None:
    body = read(next(path for path in FORMS if path.stem == form))
    assert {"name", "description", "body"} <= set(body)
    fields = {item["id"]: item for item in body["body"] if item["type"] != "markdown"}
    assert all(item["attributes"]["label"] for item in fields.values())
    assert "sediment-mcp doctor" in fields["doctor"]["attributes"]["label"]
    assert (fields["doctor"].get("validations", {}).get("required") == "true") == (form == "bug_report")


def test_the_hooks_fetch_nothing_and_are_what_ci_runs() -> None:
    config = read(ROOT / ".pre-commit-config.yaml")
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    style = re.search(r"run_style\(\) \{(.*?)^\}", CI, re.MULTILINE | re.DOTALL)
    assert style is not None
    checked = re.findall(r"^ +\$bin/([\w-]+(?: [a-z]+)?)", style[1], re.MULTILINE)
    assert [hook["name"] for hook in hooks] == checked
    assert all(hook["entry"].startswith(hook["name"]) for hook in hooks)


def test_ci_s_script_is_sound_shell() -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)
    outcome = subprocess.run(
        ["bash", str(ROOT / ".ci" / "run"), "surprise"], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 2
    assert "surprise" in outcome.stderr


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_finds_nothing() -> None:
    outcome = subprocess.run(
        ["actionlint", *map(str, WORKFLOWS)], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout
