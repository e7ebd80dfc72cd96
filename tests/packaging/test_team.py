"""The image, the compose file, the roles and the unit for a team's servers: checks that each can fail."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.documents import ROOT

from sediment_mcp.config import VARIABLES, parse_database

TEAM = ROOT / "packaging" / "team"
DOCKERFILE = (TEAM / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (TEAM / "Dockerfile.dockerignore").read_text(encoding="utf-8")
COMPOSE = (TEAM / "compose.yaml").read_text(encoding="utf-8")
UNIT = (TEAM / "sediment-mcp.service").read_text(encoding="utf-8")
PINNED = re.compile(r"[\w.-]+\.[a-z]+/[\w./-]+:\d+(\.\d+)*(-[a-z]+)+")
"""An image with its registry, its version and what it is built on."""

HADOLINT = Path(sys.executable).with_name("hadolint")


# --- the image ----------------------------------------------------------------------------------


def instructions(text: str) -> list[tuple[str, str]]:
    """Every instruction of a Dockerfile with its arguments, its lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def final_stage(text: str) -> dict[str, list[str]]:
    """The arguments by instruction of the stage that becomes the image."""
    found: dict[str, list[str]] = {}
    for name, rest in instructions(text):
        found = {} if name == "FROM" else found
        found.setdefault(name, []).append(rest)
    return found


def faults_of_image(text: str, ignored: str = IGNORED) -> list[str]:
    """What is wrong with the Dockerfile."""
    stage, all_of = final_stage(text), instructions(text)
    bases = [rest.split()[0] for name, rest in all_of if name == "FROM"]
    default = dict(rest.split("=", 1) for name, rest in all_of if name == "ARG")
    copied = [
        source
        for name, rest in all_of
        if name == "COPY" and "--from=" not in rest
        for source in rest.split()[:-1]
    ]
    ports = {*stage.get("EXPOSE", []), *re.findall(r"127\.0\.0\.1:(\d+)/healthz", text)}
    ports |= set(re.findall(r'"--port", "(\d+)"', "".join(stage.get("CMD", []))))
    checks: dict[str, bool] = {
        "a base has no version": all(base == "${PYTHON_IMAGE}" for base in bases)
        and bool(PINNED.fullmatch(default.get("PYTHON_IMAGE", ""))),
        "the base is not slim": "-slim" in default.get("PYTHON_IMAGE", ""),
        "it runs as root": bool(re.fullmatch(r"[1-9]\d*:[1-9]\d*", "".join(stage.get("USER", [])))),
        "nothing asks for its health": "/healthz" in "".join(stage.get("HEALTHCHECK", [])),
        "ports differ": len(ports) == 1 and bool(stage.get("CMD")),
        "something is installed into the final image": not re.search(
            r"\b(pip|apt-get|apt|make|gcc)\b", " ".join(stage.get("RUN", []))
        ),
        "a password lies in it": not re.search(r"(?i)password|secret|token", text),
        "what is copied is not there": all((ROOT / source).exists() for source in copied),
        "what is copied is ignored": {f"!{source.removeprefix('./')}" for source in copied}
        <= set(ignored.splitlines()),
        "the extra is missing": "[postgres]" in text,
    }
    return [fault for fault, holds in checks.items() if not holds]


def test_the_dockerfile_keeps_to_its_rules() -> None:
    assert faults_of_image(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        ("python:3.13-slim-trixie", "python", "a base has no version"),
        ("3.13-slim-trixie", "latest", "a base has no version"),
        ("-slim", "", "the base is not slim"),
        ("USER 10001:10001\n", "", "it runs as root"),
        ("USER 10001:10001", "USER root", "it runs as root"),
        ("/healthz", "/", "nothing asks for its health"),
        ("EXPOSE 8787", "EXPOSE 8000", "ports differ"),
        ("RUN mkdir", "RUN apt-get update && mkdir", "something is installed into the final image"),
        ("ENV PATH", "ENV PGPASSWORD=x\nENV PATH", "a password lies in it"),
        ("sediment_mcp ./", "sediment ./", "what is copied is not there"),
        ("[postgres]", "", "the extra is missing"),
    ],
)
def test_a_dockerfile_that_breaks_a_rule_is_found(good: str, bad: str, fault: str) -> None:
    assert good in DOCKERFILE
    assert fault in faults_of_image(DOCKERFILE.replace(good, bad, 1))


def test_what_the_package_is_built_from_is_not_ignored() -> None:
    assert "what is copied is ignored" in faults_of_image(DOCKERFILE, IGNORED.replace("!LICENSE\n", ""))


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint has no wheel for this system")
def test_hadolint_has_nothing_to_say() -> None:
    for text, status in ((DOCKERFILE, 0), (DOCKERFILE.replace("EXPOSE 8787", "EXPOSE 87870"), 1)):
        outcome = subprocess.run([HADOLINT, "-"], input=text, capture_output=True, text=True, check=False)
        assert outcome.returncode == status, outcome.stdout


# --- the compose file ---------------------------------------------------------------------------


def faults_of_compose(text: str) -> list[str]:
    """What is wrong with the compose file."""
    written: dict[str, Any] = yaml.safe_load(text)
    services: dict[str, dict[str, Any]] = written["services"]
    server, database = services["server"], services["database"]
    variables = {name: value for one in services.values() for name, value in one.get("environment", {}).items()}
    mounts = [mount.split(":") for one in services.values() for mount in one.get("volumes", [])]
    names = {mount[0] for mount in mounts if not mount[0].startswith(".")}
    checks: dict[str, bool] = {
        "an image has no version": all(
            PINNED.fullmatch(one["image"]) for one in services.values() if "build" not in one
        ),
        "a password stands in it": all(
            "PASSWORD" not in name or name.endswith("_FILE") for name in variables
        ),
        "a port is open to the world": all(
            port.startswith("127.0.0.1:") for one in services.values() for port in one.get("ports", [])
        ),
        "a variable means nothing": all(
            name in VARIABLES for name in variables if name.startswith("SEDIMENT_")
        ),
        "a file is not there": all((TEAM / mount[0]).exists() for mount in mounts if mount[0].startswith(".")),
        "a volume is not declared": names == set(written["volumes"]),
        "the server may more than it needs": server.get("cap_drop") == ["ALL"]
        and server.get("read_only") is True
        and "no-new-privileges:true" in server.get("security_opt", []),
        "the server reads the owner's password": not any(
            mount.startswith("owner-password") for mount in server["volumes"]
        ),
        "the server does not wait for the database": server["depends_on"]
        == {"database": {"condition": "service_healthy"}}
        and "healthcheck" in database,
        "the Dockerfile is another one": (TEAM / server["build"]["context"]).resolve() == ROOT
        and ROOT / server["build"]["dockerfile"] == TEAM / "Dockerfile",
    }
    return [fault for fault, holds in checks.items() if not holds]


def test_the_compose_file_keeps_to_its_rules() -> None:
    assert faults_of_compose(COMPOSE) == []
    url = yaml.safe_load(COMPOSE)["services"]["server"]["environment"]["SEDIMENT_DATABASE"]
    assert parse_database(url, "SEDIMENT_DATABASE") == url


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        (":18-trixie", ":latest", "an image has no version"),
        ("POSTGRES_PASSWORD_FILE", "POSTGRES_PASSWORD", "a password stands in it"),
        ("127.0.0.1:8787:", "8787:", "a port is open to the world"),
        ("SEDIMENT_DATABASE", "SEDIMENT_DATABSE", "a variable means nothing"),
        ("database/roles.sh:", "database/role.sh:", "a file is not there"),
        ("  cache:\n", "", "a volume is not declared"),
        ("read_only: true", "read_only: false", "the server may more than it needs"),
        ("- server-password:/secrets/server:ro\n      - cache", "- owner-password:/x\n      - cache",
         "the server reads the owner's password"),
        ("service_healthy", "service_started", "the server does not wait for the database"),
        ("context: ../..", "context: ..", "the Dockerfile is another one"),
    ],
)  # fmt: skip
def test_a_compose_file_that_breaks_a_rule_is_found(good: str, bad: str, fault: str) -> None:
    assert good in COMPOSE
    assert fault in faults_of_compose(COMPOSE.replace(good, bad, 1))


# --- passwords and roles ------------------------------------------------------------------------

needs_root = pytest.mark.skipif(
    not hasattr(shutil.os, "geteuid") or shutil.os.geteuid() != 0, reason="only root may give files away"
)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """Folders for the passwords, by the variables that name them."""
    found = {"OWNER_FOLDER": tmp_path / "owner", "SERVER_FOLDER": tmp_path / "server"}
    for folder in found.values():
        folder.mkdir()
    return {name: str(folder) for name, folder in found.items()}
