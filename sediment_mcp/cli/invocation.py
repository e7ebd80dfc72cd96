"""One run of a command: its configuration, its application, and how its result is printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sediment_mcp.cli.confirm import say

if TYPE_CHECKING:
    from sediment_mcp.app import Application
    from sediment_mcp.config import Config

MODEL_TIMEOUT = 120.0  # seconds that a search by meaning waits for a slow model
LOG_FORMAT = "sediment-mcp: %(message)s"  # the form of all other messages
EMBEDDING_TIME = 5.0  # seconds for embedding a long text; a running server embeds the rest


class Invocation:
    """The global options of a command line, and the application, opened at its first use."""

    def __init__(self) -> None:
        self.flags: dict[str, str] = {}
        """Variable → the value of its flag, for the flags that were given."""
        self.json = False

    @contextmanager
    def prepare(self) -> Generator[None]:
        """Prepare the streams, the configuration and the log; close the application in the end."""
        import logging

        from sediment_mcp.config import unknown_variables
        from sediment_mcp.system.logging_setup import log_to_stderr
        from sediment_mcp.system.time_zone import use_zone

        write_utf8()
        log_to_stderr(self.config.log_level, LOG_FORMAT)
        # Why the model cannot be loaded is said by `load_model`, or in a result's notes.
        logging.getLogger("sediment_mcp.embeddings.background_load").setLevel(logging.ERROR)
        for warning in unknown_variables():
            say(warning)
        try:
            with use_zone(self.config.zone):
                yield
        finally:
            if "app" in self.__dict__:
                self.app.close()

    @cached_property
    def config(self) -> Config:
        """The configuration: of a command only warnings are logged, unless more is asked for."""
        from sediment_mcp.config import LOG_LEVEL, environment, load_config

        return load_config({LOG_LEVEL: "WARNING", **environment()}, self.flags)

    @cached_property
    def app(self) -> Application:
        """The application; it reads nothing before its first use."""
        from sediment_mcp.app import Application

        return Application(self.config, model_timeout=MODEL_TIMEOUT, is_resident=False)

    @cached_property
    def project(self) -> str | None:
        """The project: what the user has set, else the git work tree of the working directory."""
        from pathlib import Path

        from sediment_mcp.system.project_root import find_project, normalize_project

        configured = self.config.project
        if configured is None:
            return find_project(Path())
        return normalize_project(configured) if configured else None

    def load_model(self) -> None:
        """Wait for the model, and say so; without one, search is by words alone."""
        from sediment_mcp.cli.terminal import show_spinner
        from sediment_mcp.config import NO_MODEL

        app = self.app
        with show_spinner("Loading the model"):
            embedder = app.model.get()
        if embedder is None and app.config.model != NO_MODEL:
            say(app.model.problem)

    def embed_pending(self, app: Application) -> None:
        """Run the background worker's jobs for a limited time, to embed the rest of a long text."""
        import time

        from sediment_mcp.errors import Stopped
        from sediment_mcp.system.progress import stop_when

        end = time.monotonic() + EMBEDDING_TIME
        try:
            app.run_jobs(stop_when(lambda: time.monotonic() > end))
        except Stopped:
            return

    def print_result(self, result: Any, show: Callable[[], None]) -> int:
        """Print the result, for programs or for people; return 0, the exit status of success."""
        if self.json:
            _print_json(result)
        else:
            show()
        return 0


def _print_json(result: Any) -> None:
    from sediment_mcp.system.text import escape_invisible, to_json

    text = to_json(result)
    sys.stdout.write((escape_invisible(text) if sys.stdout.isatty() else text) + "\n")


def write_utf8() -> None:
    """Write UTF-8 whatever the locale is: memories hold any text, and programs expect UTF-8."""
    from io import TextIOWrapper

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and not stream.isatty():
            stream.reconfigure(encoding="utf-8", errors="replace")
