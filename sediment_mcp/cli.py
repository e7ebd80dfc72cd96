"""The command line: an edge that translates between a person and the operations, and nothing else.

Exit status: 0 all is well (finding nothing is), 1 something failed or was not found by its id, 2 wrong
arguments, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from . import lifetime
from .console import answer, load_model, parsed, project, say, standard_input, tidy_up

if TYPE_CHECKING:
    from .config import Config
    from .contract import ListMemories
    from .errors import SedimentError
    from .library import Library
    from .options import Chosen

MODEL_PATIENCE = 120.0  # seconds; a person who asks for meaning waits for a slow model
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, `serve` if none is given; returns the exit status."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported; more only cost time
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
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
    from .stdio import protect_stdout

    protect_stdout()  # before any other import: what prints while it is imported would reach the client
    from .config import load_config
    from .errors import SedimentError
    from .server import serve

    try:
        return serve(load_config(os.environ, flags))
    except SedimentError as error:
        return _failed(error)


def _run(arguments: Sequence[str]) -> int:
    from . import options
    from .config import LOG_LEVEL, load_config, unknown_variables
    from .errors import SedimentError

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
    from .library import Library

    _log_to_stderr(config)
    library = Library(config, patience=MODEL_PATIENCE, tends=False)
    try:
        return COMMANDS[chosen.command](chosen, library)
    finally:
        library.close()


def _version(config: Config) -> int:
    import platform

    from . import __version__

    place = os.path.realpath(config.data_dir)
    print(f"sediment-mcp {__version__}\nPython {platform.python_version()}\n{place}")  # noqa: T201
    return 0


# --- the tools ----------------------------------------------------------------------------------


def _store(chosen: Chosen, library: Library) -> int:
    from . import operations, terminal
    from .contract import StoreMemory

    if chosen.content == "-":
        chosen.content = standard_input()
    arguments = parsed(StoreMemory, chosen)
    load_model(library)
    result = operations.store_memory(library, arguments, project(library.config))
    tidy_up(library)
    return answer(chosen, result, lambda: terminal.show_stored(result))


def _query(chosen: Chosen, library: Library) -> int:
    from . import operations, terminal
    from .contract import QueryMemory

    arguments = parsed(QueryMemory, chosen)
    with terminal.waiting("Looking"):  # the model may have to be loaded
        result = operations.query_memory(library, arguments, project(library.config))
    return answer(chosen, result, lambda: terminal.show_found(result, explain=chosen.explain))


def _list(chosen: Chosen, library: Library) -> int:
    from . import forgetting, operations, terminal
    from .contract import ListMemories

    arguments = parsed(ListMemories, chosen)
    if chosen.deleted:
        _refuse_filters(arguments)
        trash = forgetting.list_deleted(library, arguments.limit)
        return answer(chosen, trash, lambda: terminal.show_trash(trash))
    result = operations.list_memories(library, arguments, project(library.config))
    return answer(chosen, result, lambda: terminal.show_listed(result, whole=bool(arguments.ids)))


def _refuse_filters(arguments: ListMemories) -> None:
    """A filter that is silently ignored gives a wrong answer."""
    from .errors import BadArgument

    if arguments.model_fields_set - {"limit"}:
        raise BadArgument("--deleted lists all that can be restored: use it with --limit alone.")


# --- upkeep -------------------------------------------------------------------------------------


def _doctor(chosen: Chosen, library: Library) -> int:
    from dataclasses import asdict

    from . import checkup, terminal

    if chosen.fix:
        with terminal.bars() as bars:
            checkup.mend(library, bars)
    with terminal.waiting("Looking at everything"):
        findings = list(checkup.examine(library.config))
    state = checkup.worst(findings)
    result = {"state": state, "findings": [asdict(finding) for finding in findings]}
    answer(chosen, result, lambda: terminal.show_findings(findings))
    return 1 if state == "problem" else 0


def _reindex(chosen: Chosen, library: Library) -> int:
    from . import checkup, terminal
    from .config import NO_MODEL

    load_model(library)
    with terminal.bars() as bars:
        result = checkup.reindex(library, bars)
    answer(chosen, result, lambda: terminal.show_reindexed(result))
    return 0 if result["model"] or library.config.model == NO_MODEL else 1


COMMANDS: dict[str, Callable[[Chosen, Library], int]] = {
    "store": _store,
    "query": _query,
    "list": _list,
    "delete": lifetime.delete,
    "restore": lifetime.restore,
    "history": lifetime.history,
    "revert": lifetime.revert,
    "retention": lifetime.retention,
    "doctor": _doctor,
    "reindex": _reindex,
}


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
    logging.getLogger(__package__).setLevel(config.log_level)
    logging.getLogger(f"{__package__}.warm_up").setLevel(logging.ERROR)  # said by `_load_model`, or in notes


def _failed(error: SedimentError) -> int:
    from .errors import BadArgument

    say(str(error))
    return 2 if isinstance(error, BadArgument) else 1
