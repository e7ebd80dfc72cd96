"""The command that moves memories between a file and PostgreSQL: move."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import click

from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.cli.options import command, pass_invocation

if TYPE_CHECKING:
    from collections.abc import Generator

    from sediment_mcp.config import Config
    from sediment_mcp.storage.protocols import MemoryStorage
    from sediment_mcp.transfer.move import Contents


class _Place(NamedTuple):
    """Where memories lie: a directory, or a tenant in the database of a URL."""

    directory: Path | None
    url: str = ""
    tenant: str = ""

    def __str__(self) -> str:
        return str(self.directory) if self.directory else f"tenant {self.tenant} in {self.url}"


@command(
    "move",
    "sediment-mcp move --to postgresql://memory@db.example.com/memory",
    "sediment-mcp move --to postgresql://memory@db.example.com/memory --tenant ann",
    "sediment-mcp move --database postgresql://memory@db.example.com/memory --tenant ann --to ~/memories",
)
@click.option(
    "--to", "target", metavar="URL|DIR", required=True, help="a PostgreSQL database, or a directory"
)
@pass_invocation
def move(invocation: Invocation, target: str) -> int:
    """Move all memories to PostgreSQL, or from there to a directory.

    Everything is copied and compared; the source stays as it is. A move that was interrupted goes on when it
    is run again. --tenant is whose memories they are in the database; a directory holds those of one person.
    """
    from sediment_mcp.cli.terminal import show_progress
    from sediment_mcp.errors import BadArgument
    from sediment_mcp.transfer.move import move_store

    source, goal = _find_places(invocation.config, target)
    if source == goal or (source.directory and goal.directory and _is_same(source.directory, goal.directory)):
        raise BadArgument(
            f"The memories are in {source} already: name another place with --to, or where they come from "
            'with --data-dir DIR --database "".'
        )
    with (
        _open(invocation.config, source) as here,
        _open(invocation.config, goal) as there,
        show_progress() as bar,
    ):
        contents = move_store(here, there, copying=bar("Copying"), checking=bar("Checking"))
    result = {
        "memories": contents.memories,
        "rules": contents.rules,
        "embeddings": sum(contents.embeddings.values()),
        "digest": contents.digest,
        "source": str(source),
        "target": str(goal),
    }
    return invocation.print_result(result, lambda: _show(contents, source, goal))


def _find_places(config: Config, target: str) -> tuple[_Place, _Place]:
    """Return where the memories are and where they shall be."""
    from sediment_mcp.config import parse_database
    from sediment_mcp.config_paths import parse_path

    source = _Place(None, config.database, config.tenant) if config.database else _Place(config.data_dir)
    if "://" in target:
        return source, _Place(None, parse_database(target, "--to"), config.tenant)
    return source, _Place(Path(parse_path(target, "--to", may_be_relative=True)))


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


@contextmanager
def _open(config: Config, place: _Place) -> Generator[MemoryStorage]:
    """Open the store of a place; the indexes of this machine are left as they are."""
    with _choose_directory(place) as directory:
        storage = _build(config, place, Path(directory))
        try:
            storage.open()
            yield storage
        finally:
            storage.close()


def _choose_directory(place: _Place) -> AbstractContextManager[str]:
    from contextlib import nullcontext

    return (
        nullcontext(str(place.directory)) if place.directory else TemporaryDirectory(prefix="sediment-move-")
    )


def _build(config: Config, place: _Place, directory: Path) -> MemoryStorage:
    from dataclasses import replace

    from sediment_mcp.app import build_storage
    from sediment_mcp.config import DEFAULT_TENANT

    return build_storage(
        replace(config, data_dir=directory, database=place.url, tenant=place.tenant or DEFAULT_TENANT)
    )


def _show(contents: Contents, source: _Place, goal: _Place) -> None:
    from sediment_mcp.cli.terminal import open_console, put, style_words
    from sediment_mcp.system.text import format_count

    out = open_console()
    counts = f"{format_count(contents.memories, 'memory')}, {format_count(contents.rules, 'retention rule')}"
    put(out, style_words(("Moved and compared:", "bold green"), (f"{counts}, to", ""), (str(goal), "cyan")))
    put(out, style_words(("Left as it was:", ""), (str(source), "cyan")))
    where = f"SEDIMENT_DATABASE={goal.url} SEDIMENT_TENANT={goal.tenant}" if goal.url else ""
    use = where or f"SEDIMENT_DATA_DIR={goal.directory}, without SEDIMENT_DATABASE"
    put(out, style_words((f"Hosts find them there with {use}; restart those that run.", "dim")))
