"""The command line: an edge that translates between a person and the operations, and nothing else.

Exit status: 0 all is well (finding nothing is), 1 something failed or was not found by its id, 2 wrong
arguments, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sediment_mcp.cli.confirm import say

if TYPE_CHECKING:
    from sediment_mcp.cli.options import Chosen
    from sediment_mcp.config import Config
    from sediment_mcp.errors import SedimentError

MODEL_PATIENCE = 120.0  # seconds; a person who asks for meaning waits for a slow model
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, `serve` if none is given; returns the exit status."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported; more only cost time
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # from its import on onnxruntime would report to its makers
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in ([], ["serve"]):
        return _serve({})
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _serve(flags: dict[str, str | None]) -> int:
    if os.isatty(0):
        say("Serving MCP on stdin and stdout, for a host to talk to. Ctrl-C ends it, --help shows more.")
    from sediment_mcp.server.stdio import protect_stdout

    protect_stdout()  # before any other import: what prints while it is imported would reach the client
    from sediment_mcp.config import load_config
    from sediment_mcp.errors import SedimentError
    from sediment_mcp.server.app import serve

    try:
        return serve(load_config(os.environ, flags))
    except SedimentError as error:
        return _failed(error)


def _run(arguments: Sequence[str]) -> int:
    from sediment_mcp.cli import options
    from sediment_mcp.config import LOG_LEVEL, load_config, unknown_variables
    from sediment_mcp.errors import SedimentError

    try:
        chosen = options.read(arguments)
        if chosen.command == "serve" and not chosen.version:
            return _serve(options.flags(chosen))
        _write_utf8()
        config = load_config({LOG_LEVEL: "WARNING", **os.environ}, options.flags(chosen))
        for warning in unknown_variables():
            say(warning)
        return _version(config) if chosen.version else _command(chosen, config)
    except SedimentError as error:
        return _failed(error)


def _command(chosen: Chosen, config: Config) -> int:
    """Run anything but `serve`. The library costs nothing until it is used."""
    from sediment_mcp.app import Library
    from sediment_mcp.cli.dispatch import run

    _log_to_stderr(config)
    library = Library(config, patience=MODEL_PATIENCE, tends=False)
    try:
        return run(chosen, library)
    finally:
        library.close()


def _version(config: Config) -> int:
    import platform

    from sediment_mcp import __version__

    place = os.path.realpath(config.data_dir)
    print(f"sediment-mcp {__version__}\nPython {platform.python_version()}\n{place}")  # noqa: T201
    return 0


# --- pieces -------------------------------------------------------------------------------------


def _write_utf8() -> None:
    """Whatever the locale says: memories hold any text, and machines expect UTF-8."""
    from io import TextIOWrapper

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and not stream.isatty():
            stream.reconfigure(encoding="utf-8", errors="replace")


def _log_to_stderr(config: Config) -> None:
    import logging

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="sediment-mcp: %(message)s")
    logging.getLogger("sediment_mcp").setLevel(config.log_level)
    logging.getLogger("sediment_mcp.embeddings.loader").setLevel(
        logging.ERROR
    )  # said by `_load_model`, or in notes


def _failed(error: SedimentError) -> int:
    from sediment_mcp.errors import BadArgument

    say(str(error))
    return 2 if isinstance(error, BadArgument) else 1
