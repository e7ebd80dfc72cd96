"""The command line: an edge that translates between a person and the operations, and nothing else.

Exit status: 0 all is well (finding nothing is), 1 something failed or was not found by its id, 2 wrong
arguments, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Config
    from .contract import ArgumentsT, ListMemories
    from .errors import SedimentError
    from .library import Library
    from .options import Chosen

MODEL_PATIENCE = 120.0  # seconds; a person who asks for meaning waits for a slow model
TIDY_UP = 5.0  # seconds that embedding a long text goes on before it is left to a running server
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
        _say("Serving MCP on stdin and stdout, for a host to talk to. Ctrl-C ends it, --help shows more.")
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
            _say(warning)
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
        chosen.content = _standard_input()
    arguments = _parsed(StoreMemory, chosen)
    _load_model(library)
    result = operations.store_memory(library, arguments, _project(library.config))
    _tidy_up(library)
    return _answer(chosen, result, lambda: terminal.show_stored(result))


def _query(chosen: Chosen, library: Library) -> int:
    from . import operations, terminal
    from .contract import QueryMemory

    arguments = _parsed(QueryMemory, chosen)
    with terminal.waiting("Looking"):  # the model may have to be loaded
        result = operations.query_memory(library, arguments, _project(library.config))
    return _answer(chosen, result, lambda: terminal.show_found(result, explain=chosen.explain))


def _list(chosen: Chosen, library: Library) -> int:
    from . import operations, terminal
    from .contract import ListMemories

    arguments = _parsed(ListMemories, chosen)
    if chosen.deleted:
        _refuse_filters(arguments)
        trash = operations.list_deleted(library, arguments.limit)
        return _answer(chosen, trash, lambda: terminal.show_trash(trash))
    result = operations.list_memories(library, arguments, _project(library.config))
    return _answer(chosen, result, lambda: terminal.show_listed(result, whole=bool(arguments.ids)))


def _refuse_filters(arguments: ListMemories) -> None:
    """A filter that is silently ignored gives a wrong answer."""
    from .errors import BadArgument

    if arguments.model_fields_set - {"limit"}:
        raise BadArgument("--deleted lists all that can be restored: use it with --limit alone.")


def _delete(chosen: Chosen, library: Library) -> int:
    from . import operations, terminal
    from .contract import DeleteMemory

    arguments = _parsed(DeleteMemory, chosen)
    if arguments.permanent and not chosen.yes and not _confirmed(len(arguments.ids)):
        _say("Nothing was erased.")
        return 1
    result = operations.delete_memory(library, arguments, _project(library.config))
    _answer(chosen, result, lambda: terminal.show_deleted(result, permanent=arguments.permanent))
    return 1 if result["not_found"] else 0


def _restore(chosen: Chosen, library: Library) -> int:
    from . import operations, terminal
    from .contract import DeleteMemory

    ids = list(dict.fromkeys(_parsed(DeleteMemory, chosen).ids))
    restored, not_found = operations.restore_memories(library, ids)
    result = {"restored": restored, "not_found": not_found}
    _answer(chosen, result, lambda: terminal.show_restored(restored, not_found))
    return 1 if not_found else 0


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
    _answer(chosen, result, lambda: terminal.show_findings(findings))
    return 1 if state == "problem" else 0


def _reindex(chosen: Chosen, library: Library) -> int:
    from . import checkup, terminal
    from .config import NO_MODEL

    _load_model(library)
    with terminal.bars() as bars:
        result = checkup.reindex(library, bars)
    _answer(chosen, result, lambda: terminal.show_reindexed(result))
    return 0 if result["model"] or library.config.model == NO_MODEL else 1


COMMANDS: dict[str, Callable[[Chosen, Library], int]] = {
    "store": _store,
    "query": _query,
    "list": _list,
    "delete": _delete,
    "restore": _restore,
    "doctor": _doctor,
    "reindex": _reindex,
}


# --- pieces -------------------------------------------------------------------------------------


def _parsed(model: type[ArgumentsT], chosen: Chosen) -> ArgumentsT:
    """The command's arguments, checked as the tool checks them; broken Unicode from the shell is mended."""
    from .contract import parse
    from .jsonrpc import valid_text
    from .options import parameters

    def mended(value: str | list[str] | bool) -> Any:
        if isinstance(value, list):
            return [valid_text(item) for item in value]
        return valid_text(value) if isinstance(value, str) else value

    given = parameters(chosen, list(model.model_fields))
    return parse(model, {name: mended(value) for name, value in given.items()})


def _project(config: Config) -> str | None:
    """What the user has set, else the git work tree around the working directory."""
    from pathlib import Path

    from .jsonrpc import valid_text
    from .project import project_of_folder

    return project_of_folder(Path()) if config.project is None else valid_text(config.project) or None


def _standard_input() -> str:
    """All of it as UTF-8; reading ends where it is too long for a memory in any case."""
    from .contract import MAX_CONTENT

    return sys.stdin.buffer.read(4 * MAX_CONTENT + 4).decode(errors="replace")


def _load_model(library: Library) -> None:
    """Wait for the model, with a word on the screen; without one, what follows goes by words."""
    from .config import NO_MODEL
    from .terminal import waiting

    with waiting("Loading the model"):
        embedder = library.embedder()
    if embedder is None and library.config.model != NO_MODEL:
        _say(library.model_problem)


def _tidy_up(library: Library) -> None:
    """Do for a little while what a server does in the background, so that a long text is embedded too."""
    import time

    from .progress import Stopped, until

    end = time.monotonic() + TIDY_UP
    try:
        library.tend(until(lambda: time.monotonic() > end))
    except Stopped:
        return


def _confirmed(count: int) -> bool:
    """Ask whether to erase for good.

    Raises:
        BadArgument: nobody is there to be asked.
    """
    from .errors import BadArgument

    if not sys.stdin.isatty():
        raise BadArgument("--permanent erases for good, and nobody is here to be asked: add --yes.")
    sys.stderr.write(f"Erase {count} {'memory' if count == 1 else 'memories'} for good? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _answer(chosen: Chosen, result: Any, show: Callable[[], None]) -> int:
    """Print the result, for machines or for people."""
    if chosen.json:
        _print_json(result)
    else:
        show()
    return 0


def _print_json(result: Any) -> None:
    from .jsonrpc import to_json

    sys.stdout.write(to_json(result) + "\n")


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

    _say(str(error))
    return 2 if isinstance(error, BadArgument) else 1


def _say(sentence: str) -> None:
    """One line on stderr; what it quotes may hold anything, so no control character gets through."""
    from .terminal import visible

    sys.stderr.write(f"sediment-mcp: {visible(' '.join(sentence.split()))}\n")
