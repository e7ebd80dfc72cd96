"""The command that writes memories to a file: export."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from sediment_mcp.cli.confirm import read_passphrase, say
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import (
    STREAM,
    command,
    complete_directory,
    complete_file,
    pass_invocation,
    passphrase_option,
    selection_options,
)
from sediment_mcp.cli.values import parse_arguments
from sediment_mcp.errors import BadArgument, StorageError

if TYPE_CHECKING:
    from collections.abc import Generator

    from sediment_mcp.app import Application
    from sediment_mcp.transfer.exporter import ExportResult
    from sediment_mcp.transfer.formats.markdown import MarkdownResult
    from sediment_mcp.transfer.records import Selection


@dataclass(frozen=True)
class _ExportOptions:
    file: str
    markdown: str | None
    by_tag: bool
    no_history: bool
    no_trash: bool
    embeddings: bool
    encrypt: bool
    passphrase_file: str | None
    force: bool
    filters: dict[str, Any]


@command(
    "export",
    "sediment-mcp export memories.jsonl --embeddings",
    "sediment-mcp export memories.age --encrypt",
    "sediment-mcp export --markdown ~/notes/memories --no-history --no-trash",
)
@click.argument(
    "file",
    metavar="[FILE]",
    default=STREAM,
    shell_complete=complete_file,
    help="- is standard output (default)",
)
@click.option(
    "--markdown",
    metavar="DIR",
    shell_complete=complete_directory,
    help="a folder of Markdown instead, one file a memory",
)
@click.option("--by-tag", is_flag=True, help="one file a tag, for reading")
@selection_options
@click.option("--no-history", is_flag=True, help="without what was replaced")
@click.option("--no-trash", is_flag=True, help="without what is deleted")
@click.option("--embeddings", is_flag=True, help="with them, to be spared at an import")
@click.option("--encrypt", is_flag=True, help="with a passphrase, in the format of age")
@passphrase_option
@click.option("--force", is_flag=True, help="write over what is there")
@pass_invocation
def export(
    invocation: Invocation,
    *,
    scope: str | None,
    kind: str | None,
    tags: tuple[str, ...],
    session: str | None,
    since: str | None,
    until: str | None,
    **options: Any,
) -> int:
    """Write memories to a file: all, or those that a filter finds."""
    filters = {
        "scope": scope, "kind": kind, "tags": tags, "session": session, "since": since, "until": until,
    }  # fmt: skip
    chosen = _ExportOptions(**options, filters=filters)
    _check_export(chosen, prints_json=invocation.json)
    selection = _select(invocation, chosen)
    if chosen.markdown is not None:
        return _export_markdown(invocation, chosen, chosen.markdown, selection)
    passphrase = read_passphrase(chosen.passphrase_file, twice=True) if chosen.encrypt else None
    if chosen.embeddings:
        invocation.load_model()
    result = _write_export(invocation, chosen, selection, passphrase)
    if chosen.file == STREAM:
        say(_format_exported(result))
        return 0
    place = {"file": str(Path(chosen.file).absolute()), **result}
    return invocation.print_result(place, lambda: _show_exported(result, chosen.file))


def export_everything(
    invocation: Invocation, file: str, *, encrypt: bool, passphrase_file: str | None
) -> ExportResult:
    """Write all memories to a new file, with their embeddings where there is a model.

    Raises:
        BadArgument: the file is there already, or no passphrase can be had.
        StorageError: the file cannot be written.
    """
    from sediment_mcp.config import NO_MODEL

    options = _ExportOptions(
        file=file, markdown=None, by_tag=False, no_history=False, no_trash=False,
        embeddings=invocation.config.model != NO_MODEL, encrypt=encrypt, passphrase_file=passphrase_file,
        force=False, filters=dict.fromkeys(("scope", "kind", "tags", "session", "since", "until")),
    )  # fmt: skip
    _check_export(options, prints_json=False)
    passphrase = read_passphrase(passphrase_file, twice=True) if encrypt else None
    if options.embeddings:
        invocation.load_model()
    return _write_export(invocation, options, _select(invocation, options), passphrase)


def _check_export(options: _ExportOptions, *, prints_json: bool) -> None:
    is_stream = options.file == STREAM
    if options.markdown is not None and (options.encrypt or options.embeddings or not is_stream):
        raise BadArgument("--markdown writes a folder of text: leave FILE, --encrypt and --embeddings out.")
    if options.by_tag and options.markdown is None:
        raise BadArgument("--by-tag is a way to write Markdown: add --markdown DIR.")
    if options.passphrase_file is not None and not options.encrypt:
        raise BadArgument("--passphrase-file is for --encrypt: add it, or leave the file out.")
    if options.markdown is None and is_stream:
        if prints_json:
            raise BadArgument("--json has no place on standard output, where the export goes: name a FILE.")
        if options.encrypt and sys.stdout.isatty():
            raise BadArgument("An encrypted export is nothing for a terminal: name a FILE.")


def _select(invocation: Invocation, options: _ExportOptions) -> Selection:
    """Return which memories are exported: everything, unless an option says less."""
    from sediment_mcp.operations.arguments import ListMemories
    from sediment_mcp.operations.project_scope import to_filters
    from sediment_mcp.operations.projects import open_project
    from sediment_mcp.transfer.records import Selection

    arguments = parse_arguments(ListMemories, options.filters)
    arguments = arguments.replace(include_superseded=not options.no_history)
    project = invocation.project if options.filters["scope"] == "project" else None
    if project is not None:
        open_project(invocation.app, project)
    return Selection(to_filters(arguments, project), include_deleted=not options.no_trash)


def _choose_store(invocation: Invocation, options: _ExportOptions) -> Application:
    """Return the store that is exported: the caller's own, unless the scope is that of the team."""
    from sediment_mcp.operations.stores import choose_store

    return choose_store(invocation.app, options.filters["scope"])


def _write_export(
    invocation: Invocation, options: _ExportOptions, selection: Selection, passphrase: str | None
) -> ExportResult:
    from sediment_mcp.cli import terminal
    from sediment_mcp.transfer.exporter import write_export

    app, embeddings = _choose_store(invocation, options), options.embeddings
    with _open_output(options) as out, terminal.show_progress() as bars:
        if passphrase is None:
            return write_export(app, out, selection, embeddings=embeddings, progress=bars("export"))
        from io import BytesIO

        from sediment_mcp.transfer.encryption import encrypt

        plain = BytesIO()
        result = write_export(app, plain, selection, embeddings=embeddings, progress=bars("export"))
        out.write(encrypt(plain.getvalue(), passphrase))
        return result


class _TerminalWriter(io.RawIOBase):
    """Writes JSON lines to a terminal, on which the characters of a memory have no effect."""

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Write the lines with control characters as escapes."""
        from sediment_mcp.system.text import escape_invisible

        sys.stdout.write(escape_invisible(bytes(data).decode()))
        return len(data)


@contextmanager
def _open_output(options: _ExportOptions) -> Generator[BinaryIO]:
    """Yield standard output, or a file that exists only once it is complete."""
    from sediment_mcp.system.files import open_replacement

    path = Path(options.file)
    if options.file == STREAM:
        yield cast("BinaryIO", _TerminalWriter()) if sys.stdout.isatty() else sys.stdout.buffer
        sys.stdout.flush()
        return
    if path.is_symlink():
        raise BadArgument(f"{path} is a link, and links are not followed: name the file that it leads to.")
    if path.exists() and not options.force:
        raise BadArgument(f"{path} exists already: choose another name, or add --force to replace it.")
    if path.is_dir():
        raise BadArgument(f"{path} is a folder: name a file, or use --markdown to write into a folder.")
    try:
        with open_replacement(path) as out:
            yield out
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror}): choose another place.") from error


def _export_markdown(
    invocation: Invocation, options: _ExportOptions, folder: str, selection: Selection
) -> int:
    from sediment_mcp.cli import terminal
    from sediment_mcp.transfer.formats.markdown import write_markdown

    app = _choose_store(invocation, options)
    with terminal.show_progress() as bars:
        result = write_markdown(
            app,
            Path(folder),
            selection,
            by_tag=options.by_tag,
            force=options.force,
            progress=bars("export"),
        )
    return invocation.print_result(result, lambda: _show_markdown(result, folder))


# --- how results look ---------------------------------------------------------------------------


def _format_exported(result: ExportResult) -> str:
    from sediment_mcp.system.text import format_count

    rules = f" and {format_count(result['rules'], 'rule')} of retention" if result["rules"] else ""
    model = f", with the embeddings of {result['model']}" if result["model"] else ""
    return f"{format_count(result['memories'], 'memory')}{rules} exported{model}."


def _show_exported(result: ExportResult, file: str) -> None:
    from sediment_mcp.cli.terminal import open_console, put, style_words

    put(open_console(), style_words((_format_exported(result), "bold green"), (file, "")))


def _show_markdown(result: MarkdownResult, folder: str) -> None:
    from sediment_mcp.cli.terminal import open_console, put, style_words
    from sediment_mcp.system.text import format_count

    written = f"{format_count(result['memories'], 'memory')} in {format_count(result['files'], 'file')}:"
    put(open_console(), style_words((written, "bold green"), (folder, "")))
