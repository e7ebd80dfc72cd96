"""Hosts from npm, run without an account: a dummy key, a home of their own, a model on this machine.

Programs are kept in the user's cache between runs, each in the version that was tried last.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.stdio_peer import REPOSITORY, SERVER

INSTALL_SECONDS = 240
RUN_SECONDS = 120
PROMPT = "When do releases go out?"

PACKAGES = {
    "claude-code": ("@anthropic-ai/claude-code@2.1.332", "claude"),
    "codex": ("@openai/codex@0.171.0", "codex"),
    "gemini": ("@google/gemini-cli@0.61.0", "gemini"),
    "opencode": ("opencode-ai@1.18.33", "opencode"),
    "copilot-cli": ("@github/copilot@1.0.102", "copilot"),
    "conformance": ("@modelcontextprotocol/conformance@0.2.0-alpha.12 node@22.23.0", "conformance"),
    "mcpb": ("@anthropic-ai/mcpb@2.1.2", "mcpb"),
}
"""Name → the package in its version, and what else it needs; and its program."""


def find_program(name: str) -> str:
    """Return the program of a package, which is fetched from npm at first."""
    package, program = PACKAGES[name]
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base, "sediment-mcp-tests", "npm", re.sub(r"[/ ]", "_", package))
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent))
        npm = shutil.which("npm")
        assert npm is not None
        command = [npm, "install", "--prefix", str(unfinished), "--no-audit", "--no-fund", *package.split()]
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        unfinished.rename(folder)
    if name == "opencode":  # its own program asks npm for the binary that is here already
        return str(next(folder.glob("node_modules/opencode-*-*/bin/opencode")))
    return str(folder / "node_modules" / ".bin" / program)


@dataclass
class RealHost:
    """A host in a home directory of its own, beside a project."""

    name: str
    home: Path
    url: str
    variables: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def project(self) -> Path:
        """The folder in which the host is started."""
        return self.home / "project"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of every process: nothing of the user's but PATH."""
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "TERM": "dumb",
            **self.variables,
        }

    def prepare(self) -> None:
        """Make the home directory as it is before us, with what leads the host to the endpoint."""
        self.project.mkdir(parents=True)
        for path, text in CONFIGS[self.name](self.url).items():
            (self.home / path).parent.mkdir(parents=True, exist_ok=True)
            (self.home / path).write_text(text, encoding="utf-8")
        self.variables |= VARIABLES[self.name](self.url)

    def run_sediment(self, *arguments: str, text: str = "") -> Any:
        """Run a command of this program with a text as its input; return its result."""
        data = ("--data-dir", str(self.home / "memories"), "--model", "none")
        done = subprocess.run(
            [*SERVER, *data, *arguments, "--json"],
            env=self.environment, cwd=self.project, input=text,
            capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def ask(self) -> str:
        """Start the host with a prompt; return what it says."""
        done = subprocess.run(
            [find_program(self.name), *ARGUMENTS[self.name]],
            env=self.environment, cwd=self.project, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def list_files(self) -> dict[str, bytes]:
        """Return the configurations that are looked at, by their paths within the home directory."""
        found = [path for pattern in FILES[self.name] for path in sorted(self.home.glob(pattern))]
        return {str(path.relative_to(self.home)): path.read_bytes() for path in found}


Configs = Mapping[str, str]

OPENCODE_PROVIDER = {
    "npm": "@ai-sdk/openai-compatible",
    "name": "local",
    "options": {"apiKey": "dummy"},
    "models": {"m": {"name": "m"}},
}


def _configure_codex(url: str) -> Configs:
    text = f"""\
# mine
model = "m"   # whatever
model_provider = "local"

[model_providers.local]  # on this machine
name = "local"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "LOCAL_KEY"
"""
    return {".codex/config.toml": text}


def _configure_opencode(url: str) -> Configs:
    provider = OPENCODE_PROVIDER | {"options": {"baseURL": f"{url}/v1", "apiKey": "dummy"}}
    schema = {"$schema": "https://opencode.ai/config.json"}  # or it adds that itself
    config = schema | {"provider": {"local": provider}, "model": "local/m", "small_model": "local/m"}
    text = json.dumps(config, indent=2).replace("{", "{\n  // mine", 1)
    return {".config/opencode/opencode.jsonc": text + "\n"}


CONFIGS: Mapping[str, Callable[[str], Configs]] = {
    "claude-code": lambda url: {".claude/settings.json": '{\n  "cleanupPeriodDays": 7\n}\n'},
    "codex": _configure_codex,
    "gemini": lambda url: {
        ".gemini/settings.json": '{\n  "security": {"auth": {"selectedType": "gemini-api-key"}}\n}\n'
    },
    "opencode": _configure_opencode,
    "copilot-cli": lambda url: {".copilot/mcp-config.json": '{\n  "mcpServers": {}\n}\n'},
}
VARIABLES: Mapping[str, Callable[[str], dict[str, str]]] = {
    "claude-code": lambda url: {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "dummy",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    },
    "codex": lambda url: {"LOCAL_KEY": "dummy"},
    "gemini": lambda url: {
        "GEMINI_API_KEY": "dummy",
        "GOOGLE_GEMINI_BASE_URL": url,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    },
    "opencode": lambda url: {"OPENCODE_DISABLE_AUTOUPDATE": "1"},
    "copilot-cli": lambda url: {
        "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
        "COPILOT_PROVIDER_TYPE": "openai",
        "COPILOT_PROVIDER_API_KEY": "dummy",
        "COPILOT_MODEL": "m",
        "COPILOT_OFFLINE": "true",
    },
}
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "claude-code": (
        "-p", PROMPT, "--allowedTools", "mcp__sediment__store_memory,mcp__sediment__query_memory",
    ),
    "codex": (
        "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
        "--dangerously-bypass-hook-trust", PROMPT,
    ),
    "gemini": ("-p", PROMPT, "--yolo", "-m", "gemini-2.5-flash"),
    "opencode": ("run", PROMPT),
    "copilot-cli": ("-p", PROMPT, "--allow-all-tools"),
}  # fmt: skip
FILES: Mapping[str, tuple[str, ...]] = {
    "claude-code": (".claude/settings*", ".claude.json.*"),
    "codex": (".codex/config.toml*", ".codex/hooks.json*"),
    "gemini": (".gemini/settings.json*",),
    "opencode": (".config/opencode/opencode.json*",),
    "copilot-cli": (".copilot/mcp-config.json*", ".copilot/hooks/*"),
}
"""What the host does not write itself while it runs, and copies beside what it does."""
