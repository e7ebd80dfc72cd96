"""The image, the compose file, the roles and the unit for a team's servers: checks that each can fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from support.documents import ROOT
from support.postgres import ADMIN, ROLE, PostgresServer

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
    variables = {
        name: value for one in services.values() for name, value in one.get("environment", {}).items()
    }
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
        "a file is not there": all(
            (TEAM / mount[0]).exists() for mount in mounts if mount[0].startswith(".")
        ),
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
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away"
)


@pytest.fixture
def role_server() -> Iterator[PostgresServer]:
    """A server of its own, since roles are those of a whole server."""
    server = PostgresServer()
    yield server
    server.end()


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """Folders for the passwords, by the variables that name them."""
    found = {"OWNER_FOLDER": tmp_path / "owner", "SERVER_FOLDER": tmp_path / "server"}
    for folder in found.values():
        folder.mkdir()
    return {name: str(folder) for name, folder in found.items()}


@needs_root
def test_passwords_are_made_once_and_open_to_their_readers_alone(folders: dict[str, str]) -> None:
    owner, server = (Path(folder) for folder in folders.values())

    def make() -> dict[str, str]:
        command = ["sh", str(TEAM / "database" / "passwords.sh")]
        subprocess.run(command, env={**os.environ, **folders}, check=True, timeout=60)
        files = (owner / "password", server / "password", server / "pgpass")
        assert {file.name for file in (*owner.iterdir(), *server.iterdir())} == {"password", "pgpass"}
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        assert files[2].stat().st_uid == 10001
        return {str(file): file.read_text() for file in files}

    made = make()
    assert make() == made
    first, second, passfile = made.values()
    assert first != second
    assert all(re.fullmatch(r"[0-9a-f]{64}", password) for password in (first, second))
    assert passfile == f"*:*:*:sediment:{second}\n"


@pytest.mark.postgres
@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
def test_the_server_s_role_owns_its_tables_and_no_right_more(
    folders: dict[str, str], role_server: PostgresServer
) -> None:
    (Path(folders["SERVER_FOLDER"]) / "password").write_text("it's $ecret")
    database = role_server.new_database()
    url = urlsplit(role_server.url(database))
    variables = {
        "PGHOST": parse_qs(url.query)["host"][0],
        "PGPORT": parse_qs(url.query)["port"][0],
        "POSTGRES_DB": database,
        **folders,
    }
    with role_server.connect(ADMIN) as connection:
        connection.execute(f"ALTER DATABASE {database} OWNER TO {ADMIN}")
        connection.execute(f"ALTER ROLE {ROLE} RENAME TO sediment_before")  # the script makes the role
    command = ["sh", str(TEAM / "database" / "roles.sh")]
    subprocess.run(command, env={**os.environ, **variables}, check=True, timeout=60)
    with role_server.connect(ADMIN, database) as connection:
        rights = connection.execute(
            "SELECT rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, "
            f"rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = '{ROLE}'"
        ).fetchone()
    assert rights == (True, False, False, False, False, False, True)
    with role_server.connect(ROLE, database) as connection:
        connection.execute("CREATE TABLE mine (id int)")
        owned = connection.execute(
            "SELECT schemaname, tableowner FROM pg_tables WHERE tablename = 'mine'"
        ).fetchone()
        assert owned == (ROLE, ROLE)
        with pytest.raises(Exception, match="permission denied for schema public"):
            connection.execute("CREATE TABLE public.other (id int)")


# --- the unit -----------------------------------------------------------------------------------


def entries(text: str) -> dict[str, list[str]]:
    """The values of a unit by their names."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_starts_the_server_without_rights_and_hands_it_the_password_as_a_file() -> None:
    unit = entries(UNIT)
    variables = dict(one.split("=", 1) for one in unit["Environment"])
    assert set(variables) <= set(VARIABLES)
    url = variables["SEDIMENT_DATABASE"]
    assert parse_database(url, "SEDIMENT_DATABASE") == url
    assert url.endswith("passfile=%d/pgpass")
    assert unit["LoadCredential"] == ["pgpass:/etc/sediment/pgpass"]
    assert (unit["DynamicUser"], unit["NoNewPrivileges"], unit["ProtectSystem"]) == (
        ["yes"],
        ["yes"],
        ["strict"],
    )
    assert (unit["Restart"], unit["CapabilityBoundingSet"]) == (["on-failure"], [""])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    text = UNIT.replace("/opt/sediment/bin/sediment-mcp", sys.executable)
    for line, wrong in (("", False), ("[Service]\nNoNewPrivilege=yes\n", True)):
        unit = tmp_path / "sediment-mcp.service"
        unit.write_text(text + line)
        command = ["systemd-analyze", "verify", str(unit)]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        told = [said for said in outcome.stderr.splitlines() if "sediment-mcp.service" in said]
        assert bool(told) == wrong, outcome.stderr
