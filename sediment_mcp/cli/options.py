"""The command line's grammar: every tool parameter is an option of its command, and none is checked here.

Values stay text; the contract checks them, so that a wrong one is answered with the tools' own sentences.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from sediment_mcp.cli.examples import epilog
from sediment_mcp.config import BACKUPS, DATA_DIR, LOG_LEVEL, MODEL, PROJECT, QUESTIONS, SECRETS
from sediment_mcp.errors import BadArgument

FLAGS = {
    DATA_DIR: ("--data-dir", "DIR", "where the memories are"),
    PROJECT: ("--project", "DIR", 'the project memories belong to; "" for none'),
    MODEL: ("--model", "NAME", "an embedding model: a folder, a hub name, or none"),
    LOG_LEVEL: ("--log-level", "LEVEL", "DEBUG, INFO, WARNING or ERROR"),
    SECRETS: ("--secrets", "CHOICE", "warn of a secret in what is stored, or refuse it"),
    QUESTIONS: ("--questions", "CHOICE", "forget questions that find nothing, or keep them for stats"),
    BACKUPS: ("--backups", "N", "how many daily backups to keep; 0 makes none"),
}
"""Variable → its flag, which wins over it."""

EPILOG = """\
Each command explains its options: sediment-mcp query --help.
Without a command MCP is served over stdin and stdout, which is what hosts start."""

Chosen = argparse.Namespace


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as an error of the package, for `cli` to show like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadArgument(f"{message[:1].upper()}{message[1:]}: see {self.prog} --help.")


def read(arguments: Sequence[str]) -> Chosen:
    """What the command line says; ``command`` is `serve` if it names none.

    Raises:
        BadArgument: an unknown command or option, or one that lacks its value.
    """
    return grammar().parse_args(arguments)


def flags(chosen: Chosen) -> dict[str, str | None]:
    """The global flags by the variables they win over."""
    return {variable: getattr(chosen, variable, None) for variable in FLAGS}


def parameters(chosen: Chosen, names: Sequence[str]) -> dict[str, Any]:
    """Those of the tool parameters ``names`` that were given."""
    return {name: value for name in names if (value := getattr(chosen, name, None)) not in (None, [])}


def grammar() -> argparse.ArgumentParser:
    """All commands with their options; a new one each time."""
    parser = _Parser(
        prog="sediment-mcp",
        description="A memory for desktop agents: local, shared by all hosts, found by meaning and by words.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(command="serve")
    parser.add_argument("--version", action="store_true", help="version, Python and data directory, then end")
    _add_flags(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    _add_store(_command(commands, "store", "store a memory"))
    _add_query(_command(commands, "query", "find memories by meaning and by words"))
    _add_list(_command(commands, "list", "browse memories by date, or read some whole by id"))
    _add_delete(_command(commands, "delete", "forget memories; restore brings them back for 30 days"))
    _add_restore(_command(commands, "restore", "bring deleted memories back"))
    _add_version(
        _command(commands, "history", "all versions of a memory, oldest first; any version's id will do")
    )
    _add_version(_command(commands, "revert", "make the text of an old version the current one again"))
    _add_retention(_command(commands, "retention", "what ends by itself: rules, a preview, a run"))
    _add_stats(_command(commands, "stats", "what there is, in numbers: kinds, tags, projects, ages, sizes"))
    _add_ui(_command(commands, "ui", "open a page to look inside: search, read, correct, sort out"))
    _add_export(_command(commands, "export", "write memories to a file: all, or those that a filter finds"))
    _add_import(
        _command(commands, "import", "take memories in: an export, notes, another program's memories")
    )
    _add_backup(_command(commands, "backup", "make a backup now, or list those that there are"))
    _add_restore_backup(
        _command(commands, "restore-backup", "go back to a backup; what is newer goes to the trash")
    )
    _add_doctor(_command(commands, "doctor", "look at everything: data, model, indexes, permissions"))
    _command(commands, "reindex", "embed what is missing and write both indexes anew")
    _add_install(_command(commands, "install", "connect hosts; without a name, list those that are here"))
    _add_guidance(_command(commands, "guidance", "tell the agents of this project when to use their memory"))
    _add_completions(
        _command(commands, "completions", "print what makes a shell complete these commands", machines=False)
    )
    _command(commands, "serve", "serve MCP over stdin and stdout (the default)", machines=False)
    return parser


def _command(commands: Any, name: str, summary: str, *, machines: bool = True) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[:1].upper()}{summary[1:]}.",
        epilog=epilog(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(command=name)
    if machines:
        command.add_argument("--json", action="store_true", help="print the result as JSON")
    _add_flags(command.add_argument_group("global options"))
    return command


def _add_flags(parser: Any) -> None:
    """The same before and after the command; `SUPPRESS` keeps the latter from undoing the former."""
    for variable, (flag, value, summary) in FLAGS.items():
        parser.add_argument(
            flag, dest=variable, metavar=value, default=argparse.SUPPRESS, help=f"{summary} ({variable})"
        )


def _add_store(command: argparse.ArgumentParser) -> None:
    command.add_argument("content", metavar="TEXT", help="what to remember; - reads it from standard input")
    _add_kind(command)
    _add_tags(command)
    command.add_argument("--scope", help="project or global")
    _add_session(command)
    command.add_argument("--importance", metavar="0…1", help="a gentle nudge in ranking, 0.5 by default")
    command.add_argument("--occurred-at", metavar="TIME", help="when it happened, ISO 8601; now by default")
    command.add_argument("--expires-at", metavar="TIME", help="forgotten after this")
    command.add_argument("--replaces", metavar="ID", action="append", help="a memory it corrects; repeatable")
    command.add_argument("--metadata", metavar="JSON", help="a JSON object of your own")


def _add_query(command: argparse.ArgumentParser) -> None:
    command.add_argument("query", metavar="TEXT", help="a question or key words")
    command.add_argument("--limit", metavar="N", help="at most so many, 5 by default")
    command.add_argument("--max-chars", metavar="N", help="budget for all content, 8000 by default")
    command.add_argument("--explain", action="store_true", help="say of each result why it stands there")
    _add_filters(command)


def _add_list(command: argparse.ArgumentParser) -> None:
    command.add_argument("ids", metavar="ID", nargs="*", help="read these whole")
    command.add_argument("--limit", metavar="N", help="so many a page, 20 by default")
    command.add_argument("--order", help="newest (default) or oldest")
    command.add_argument("--cursor", help="where the page before ended")
    command.add_argument("--deleted", action="store_true", help="what restore can bring back")
    _add_filters(command)


def _add_delete(command: argparse.ArgumentParser) -> None:
    command.add_argument("ids", metavar="ID", nargs="*", help="these; or all that a filter finds")
    command.add_argument("--scope", help="all that belong to: project or global")
    _add_kind(command)
    _add_tags(command)
    _add_session(command)
    command.add_argument("--before", metavar="TIME", help="all with an occurred_at earlier than this")
    _add_history(command)
    command.add_argument(
        "--permanent", action="store_const", const=True, help="erase for good, without a way back"
    )
    command.add_argument("--yes", action="store_true", help="do not ask, neither how many nor whether")


def _add_restore(command: argparse.ArgumentParser) -> None:
    command.add_argument("ids", metavar="ID", nargs="+")


def _add_version(command: argparse.ArgumentParser) -> None:
    command.add_argument("ids", metavar="ID", nargs=1)


def _add_retention(command: argparse.ArgumentParser) -> None:
    actions = ("preview", "run", "show", "set", "clear")
    command.add_argument("action", metavar="ACTION", choices=actions, help=", ".join(actions))
    _add_kind(command)
    command.add_argument("--tag", help="the tag that a rule is for")
    command.add_argument("--max-age", metavar="DAYS", help="older ones go to the trash")
    command.add_argument("--max-count", metavar="N", help="the oldest beyond so many go to the trash")
    command.add_argument("--limit", metavar="N", help="how many a preview shows, 20 by default")


def _add_stats(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--forget-questions", action="store_true", help="first forget the questions kept that found nothing"
    )


def _add_ui(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", metavar="N", help="where on this machine; a free port by default")
    command.add_argument(
        "--no-browser", dest="browser", action="store_false", help="only print the address, open no browser"
    )


def _add_export(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="- is standard output (default)"
    )
    command.add_argument("--markdown", metavar="DIR", help="a folder of Markdown instead, one file a memory")
    command.add_argument("--by-tag", action="store_true", help="one file a tag, for reading")
    _add_selection(command)
    command.add_argument("--no-history", action="store_true", help="without what was replaced")
    command.add_argument("--no-trash", action="store_true", help="without what is deleted")
    command.add_argument("--embeddings", action="store_true", help="with them, to be spared at an import")
    command.add_argument("--encrypt", action="store_true", help="with a passphrase, in the format of age")
    _add_passphrase(command)
    command.add_argument("--force", action="store_true", help="write over what is there")


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="a file, a folder of notes, or - for standard input")
    command.add_argument("--format", metavar="NAME", help="what it is, where the content does not tell")
    command.add_argument("--scope", help="make all of it belong to: project or global")
    _add_tags(command)
    command.add_argument("--dry-run", action="store_true", help="change nothing, say what would be done")
    _add_passphrase(command)


def _add_passphrase(command: argparse.ArgumentParser) -> None:
    command.add_argument("--passphrase-file", metavar="FILE", help="its first line is the passphrase")


def _add_backup(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", nargs="?", help="a new file of your own; else in the folder")
    command.add_argument("--list", action="store_true", help="what there is in the folder")


def _add_restore_backup(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", nargs="?", help="from the list, or a file; else the newest")
    command.add_argument("--yes", action="store_true", help="do not ask")


def _add_doctor(command: argparse.ArgumentParser) -> None:
    command.add_argument("--fix", action="store_true", help="make everything private, write the indexes anew")


def _add_install(command: argparse.ArgumentParser) -> None:
    command.add_argument("hosts", metavar="HOST", nargs="*", help="such as claude-desktop, cursor or vscode")
    command.add_argument("--all", action="store_true", help="all hosts that are found here")
    command.add_argument("--uninstall", action="store_true", help="take our entry out again")
    command.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
    command.add_argument("--force", action="store_true", help="replace an entry that starts something else")
    command.add_argument("--no-check", action="store_true", help="do not start what was written")


def _add_guidance(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", metavar="FILE", nargs="*", help="claude, cursor or agents; none lists them")
    command.add_argument("--uninstall", action="store_true", help="take the guidance out again")
    command.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")


def _add_completions(command: argparse.ArgumentParser) -> None:
    shells = ("bash", "zsh", "fish", "powershell")
    command.add_argument("shell", metavar="SHELL", choices=shells, help=", ".join(shells))


def _add_filters(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
    _add_history(command)


def _add_selection(command: argparse.ArgumentParser) -> None:
    command.add_argument("--scope", help="all (default), project or global")
    _add_kind(command)
    _add_tags(command)
    _add_session(command)
    command.add_argument("--since", metavar="TIME", help="earliest occurred_at, ISO 8601")
    command.add_argument("--until", metavar="TIME", help="latest occurred_at")


def _add_history(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--include-superseded", action="store_const", const=True, help="history too, what was replaced"
    )


def _add_kind(command: argparse.ArgumentParser) -> None:
    command.add_argument("--kind", help="semantic (fact), episodic (event), procedural (how-to) or working")


def _add_tags(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tag", dest="tags", metavar="TAG", action="append", help="repeatable")


def _add_session(command: argparse.ArgumentParser) -> None:
    command.add_argument("--session", metavar="NAME", help="the conversation it belongs to")
