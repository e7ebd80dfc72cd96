"""The commands that carry memories: export, import."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from sediment_mcp.cli.confirm import answer, load_model, parsed, project, say
from sediment_mcp.errors import BadArgument, StorageError

if TYPE_CHECKING:
    from collections.abc import Generator

    from sediment_mcp.app import Library
    from sediment_mcp.cli.options import Chosen
    from sediment_mcp.system.progress import Progress
    from sediment_mcp.transfer.exporter import Selection

STREAM = "-"
SELECTING = ("scope", "kind", "tags", "session", "since", "until")


# --- export -------------------------------------------------------------------------------------


def export(chosen: Chosen, library: Library) -> int:
    _check_export(chosen)
    if chosen.markdown is not None:
        return _markdown(chosen, library)
    from sediment_mcp.cli import render_transfer, terminal
    from sediment_mcp.transfer.exporter import write_export

    selection = _selection(chosen, library)
    passphrase = _passphrase(chosen, twice=True) if chosen.encrypt else None
    if chosen.embeddings:
        load_model(library)
    with _output(chosen) as out, terminal.bars() as bars:
        if passphrase is None:
            result = write_export(
                library, out, selection, embeddings=chosen.embeddings, progress=bars("export")
            )
        else:
            import io

            from sediment_mcp.transfer.encryption import seal

            plain = io.BytesIO()
            result = write_export(
                library, plain, selection, embeddings=chosen.embeddings, progress=bars("export")
            )
            out.write(seal(plain.getvalue(), passphrase))
    if chosen.file == STREAM:
        say(render_transfer.exported(result))
        return 0
    place = {"file": str(Path(chosen.file).absolute()), **result}
    return answer(chosen, place, lambda: render_transfer.show_exported(result, chosen.file))


def _check_export(chosen: Chosen) -> None:
    if chosen.markdown is not None and (chosen.encrypt or chosen.embeddings or chosen.file != STREAM):
        raise BadArgument("--markdown writes a folder of text: leave FILE, --encrypt and --embeddings out.")
    if chosen.by_tag and chosen.markdown is None:
        raise BadArgument("--by-tag is a way to write Markdown: add --markdown DIR.")
    if chosen.passphrase_file is not None and not chosen.encrypt:
        raise BadArgument("--passphrase-file is for --encrypt: add it, or leave the file out.")
    if chosen.markdown is None and chosen.file == STREAM:
        if chosen.json:
            raise BadArgument("--json has no place on standard output, where the export goes: name a FILE.")
        if chosen.encrypt and sys.stdout.isatty():
            raise BadArgument("An encrypted export is nothing for a terminal: name a FILE.")


def _selection(chosen: Chosen, library: Library) -> Selection:
    """Everything, unless something says less."""
    from sediment_mcp.operations.arguments import ListMemories
    from sediment_mcp.operations.tools import filters_of
    from sediment_mcp.transfer.exporter import Selection

    chosen.ids = []
    arguments = parsed(ListMemories, chosen).model_copy(update={"include_superseded": not chosen.no_history})
    has_filter = any(getattr(chosen, name) for name in SELECTING)
    place = project(library.config) if has_filter else None
    return Selection(filters_of(arguments, place if chosen.scope == "project" else None), not chosen.no_trash)


@contextmanager
def _output(chosen: Chosen) -> Generator[BinaryIO]:
    """Standard output, or a file that is there only once it is complete."""
    from sediment_mcp.system.files import replacing

    path = Path(chosen.file)
    if chosen.file == STREAM:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists() and not chosen.force:
        raise BadArgument(f"{path} exists already: choose another name, or add --force to replace it.")
    if path.is_dir():
        raise BadArgument(f"{path} is a folder: name a file, or use --markdown to write into a folder.")
    try:
        with replacing(path) as out:
            yield out
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror}): choose another place.") from error


def _markdown(chosen: Chosen, library: Library) -> int:
    from sediment_mcp.cli import render_transfer, terminal
    from sediment_mcp.transfer.formats import markdown

    write = markdown.write_by_tag if chosen.by_tag else markdown.write_memories
    with terminal.bars() as bars:
        result = write(
            library,
            Path(chosen.markdown),
            _selection(chosen, library),
            force=chosen.force,
            progress=bars("export"),
        )
    return answer(chosen, result, lambda: render_transfer.show_markdown(result, chosen.markdown))


def _passphrase(chosen: Chosen, *, twice: bool = False) -> str:
    """From the file that the user names, or from the user.

    Raises:
        BadArgument: there is none, or it is not the same both times.
    """
    if chosen.passphrase_file is not None:
        return _first_line(Path(chosen.passphrase_file))
    if not sys.stdin.isatty():
        raise BadArgument(
            "A passphrase is needed, and nobody is here to be asked: add --passphrase-file FILE."
        )
    from getpass import getpass

    given = getpass("Passphrase: ")
    if not given:
        raise BadArgument("An empty passphrase protects nothing: type one.")
    if twice and getpass("Once more: ") != given:
        raise BadArgument("The two passphrases differ: try again.")
    return given


def _first_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadArgument(f"The passphrase file {path} cannot be read ({error}): check it.") from None
    if not lines or not lines[0]:
        raise BadArgument(f"The first line of {path} is empty: write the passphrase into it.")
    return lines[0]


# --- import -------------------------------------------------------------------------------------


def import_(chosen: Chosen, library: Library) -> int:
    """Take everything in, then embed it; an interrupt at any moment leaves what was reported."""
    from sediment_mcp.cli import render_transfer, terminal
    from sediment_mcp.transfer.importer import Report, take_in
    from sediment_mcp.transfer.opening import open_place
    from sediment_mcp.transfer.prepare import Choices

    scope, tags = _additions(chosen)
    choices = Choices(project(library.config), scope, tuple(tags), dry=chosen.dry_run)
    place = sys.stdin.buffer if chosen.file == STREAM else Path(chosen.file)
    opened = open_place(place, chosen.format, lambda: _passphrase(chosen))
    report = Report()
    began = time.monotonic()
    embedded = _Counted()
    try:
        with terminal.bars() as bars:
            take_in(library, opened.items, choices, report, where=opened.where, progress=bars("import"))
            if not choices.dry:
                load_model(library)
                library.finish(lambda name: embedded.through(bars(name), name))
    except KeyboardInterrupt:
        say(render_transfer.interrupted(report))
        raise
    result = render_transfer.result_of(report, choices.dry, embedded.count, time.monotonic() - began)
    return answer(chosen, result, lambda: render_transfer.show_imported(result))


def _additions(chosen: Chosen) -> tuple[Literal["project", "global"] | None, list[str]]:
    """The scope and the tags for all, checked as a store checks them."""
    from sediment_mcp.operations.arguments import StoreMemory

    chosen.content = "checked elsewhere"
    arguments = parsed(StoreMemory, chosen)
    return arguments.scope, arguments.tags


class _Counted:
    """Counts the passages that the last stage has embedded."""

    def __init__(self) -> None:
        self.count = 0

    def through(self, progress: Progress, name: str) -> Progress:
        if name != "embeddings":
            return progress
        first: int | None = None

        def watch(done: int, total: int) -> None:
            nonlocal first
            first = done if first is None else first
            self.count = max(self.count, done - first)
            progress(done, total)

        return watch
