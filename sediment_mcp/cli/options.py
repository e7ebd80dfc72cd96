"""The options, the types and the command class that all commands share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, TypeVar, cast, get_args

import click
from click.shell_completion import CompletionItem

from sediment_mcp.cli.flags import FLAGS
from sediment_mcp.cli.invocation import Invocation
from sediment_mcp.config import (
    DATA_DIR,
    LOG_LEVEL,
    LOG_LEVELS,
    PROJECT,
    QUESTIONS,
    QUESTIONS_CHOICES,
    SECRETS,
    SECRETS_CHOICES,
)
from sediment_mcp.errors import BadArgument

STREAM = "-"
"""What stands for standard input or output in the place of a file or text."""

MAX_COUNT = 1_000_000_000
MAX_PORT = 65_535
HELP_WIDTH = 100  # columns
TEXT = re.compile(r"-(\d+|\d*\.\d+)|-.*\s.*", re.DOTALL)
"""What begins like an option and is none: a negative number, or several words."""

TEXT_MARK = "\0"
"""What is put before such text while options are parsed; no argument of a process can hold it."""

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
Decorator = Callable[[FunctionT], FunctionT]
Completion = Callable[[click.Context, click.Parameter, str], list[Any]]

pass_invocation = click.make_pass_decorator(Invocation, ensure=True)


# --- completion and types of values -------------------------------------------------------------


def complete_words(list_words: Callable[[], Iterable[str]]) -> Completion:
    """Return a completion that offers words, which are listed only when a shell asks."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
        return [word for word in list_words() if word.startswith(incomplete)]

    return complete


def complete_file(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """Let the shell complete a file's name."""
    return [CompletionItem(incomplete, type="file")]


def complete_directory(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """Let the shell complete a directory's name."""
    return [CompletionItem(incomplete, type="dir")]


def list_kinds() -> Iterable[str]:
    """Return the kinds of memories."""
    from sediment_mcp.domain.memory import Kind

    return get_args(Kind)


class WholeNumber(click.IntRange):
    """A whole number within bounds, refused in a sentence of the package."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number.

        Raises:
            BadArgument: it is no number, or out of bounds.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            name = param.opts[0] if param else "number"
            raise BadArgument(
                f"{name} is {value!r}: give a whole number from {self.min} to {self.max}."
            ) from None


# --- options and arguments that several commands have -------------------------------------------


class GlobalOption(click.Option):
    """An option before or after the command; the one after it takes precedence."""

    def __init__(self, variable: str) -> None:
        flag, metavar, summary = FLAGS[variable]
        super().__init__(
            [flag],
            metavar=metavar,
            help=f"{summary} ({variable})",
            expose_value=False,
            callback=self._store_flag,
            shell_complete=_FLAG_COMPLETIONS.get(variable),
        )
        self.variable = variable

    def _store_flag(self, ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.ensure_object(Invocation).flags[self.variable] = value


_FLAG_COMPLETIONS: Mapping[str, Completion] = {
    DATA_DIR: complete_directory,
    PROJECT: complete_directory,
    LOG_LEVEL: complete_words(lambda: LOG_LEVELS),
    SECRETS: complete_words(lambda: SECRETS_CHOICES),
    QUESTIONS: complete_words(lambda: QUESTIONS_CHOICES),
}


def _store_json(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Invocation).json = True


def _build_json_option() -> click.Option:
    return click.Option(
        ["--json"], is_flag=True, expose_value=False, callback=_store_json, help="print the result as JSON"
    )


def combine_options(*options: Decorator[Any]) -> Decorator[Any]:
    """Return one decorator that declares the options in this order."""

    def declare(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return declare


def scope_option(summary: str, *values: str) -> Decorator[Any]:
    """Declare --scope with the values that a command allows."""
    return click.option(
        "--scope", metavar="SCOPE", shell_complete=complete_words(lambda: values), help=summary
    )


kind_option = click.option(
    "--kind",
    metavar="KIND",
    shell_complete=complete_words(list_kinds),
    help="semantic (fact), episodic (event), procedural (how-to) or working",
)
tags_option = click.option("--tag", "tags", metavar="TAG", multiple=True, help="repeatable")
session_option = click.option("--session", metavar="NAME", help="the conversation it belongs to")
history_option = click.option("--include-superseded", is_flag=True, help="include what was replaced")
dry_run_option = click.option("--dry-run", is_flag=True, help="show what would change, and change nothing")
yes_option = click.option("--yes", is_flag=True, help="do not ask")
encoding_option = click.option(
    "--encoding", metavar="NAME", help="of the text, such as cp1252 or gb18030; detected by default"
)
passphrase_option = click.option(
    "--passphrase-file",
    metavar="FILE",
    shell_complete=complete_file,
    help="its first line is the passphrase",
)
selection_options = combine_options(
    scope_option("all (default), project, global or team", "all", "project", "global", "team"),
    kind_option,
    tags_option,
    session_option,
    click.option("--since", metavar="TIME", help="earliest occurred_at, ISO 8601; a date begins that day"),
    click.option("--until", metavar="TIME", help="latest occurred_at; a date includes that day"),
)
filter_options = combine_options(selection_options, history_option)


# --- commands -----------------------------------------------------------------------------------


def takes_value(options: Mapping[str, click.Option], name: str) -> bool:
    """Return True if the name is that of an option with a value."""
    return name in options and not options[name].is_flag


class _StrictParsing(click.Command):
    """Refuse an option's name where an option's value should be, as in `--tag --yes`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            click.BadOptionUsage: an option lacks its value.
        """
        options = self.options_by_name(ctx)
        own_args = args[: args.index("--")] if "--" in args else args
        for option, value in pairwise(own_args):
            if takes_value(options, option) and value in options:
                raise click.BadOptionUsage(option, f"Option {option!r} requires an argument.", ctx)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # so that it names the command whose help explains it
            raise

    def options_by_name(self, ctx: click.Context) -> dict[str, click.Option]:
        """Return each option under each of its names."""
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        return {name: option for option in options for name in option.opts}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, and the global ones under a title of theirs."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                title = "Global options" if isinstance(parameter, GlobalOption) else "Options"
                sections.setdefault(title, []).append(record)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def _remove_mark(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_remove_mark(item) for item in cast("tuple[Any, ...]", value))
    return value.removeprefix(TEXT_MARK) if isinstance(value, str) else value


class Command(_StrictParsing):
    """A command with examples, the global options and, unless it says otherwise, --json."""

    def __init__(
        self,
        *args: Any,
        params: list[click.Parameter],
        examples: tuple[str, ...] = (),
        prints_json: bool = True,
        uses_config: bool = True,
        **attributes: Any,
    ) -> None:
        shared = [_build_json_option()] if prints_json else []
        super().__init__(*args, params=[*params, *shared, *global_options()], **attributes)
        self.examples = examples
        self.uses_config = uses_config
        self.context_settings = {"max_content_width": HELP_WIDTH}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; text such as "- buy milk" or "-5" is an argument, not an option."""
        options = self.options_by_name(ctx)
        end = args.index("--") if "--" in args else len(args)
        marked: list[str] = []
        for before, argument in pairwise(["", *args[:end]]):
            is_option = argument.partition("=")[0] in options
            is_text = TEXT.fullmatch(argument) and not is_option and not takes_value(options, before)
            marked.append(TEXT_MARK + argument if is_text else argument)
        rest = super().parse_args(ctx, [*marked, *args[end:]])
        ctx.params = {name: _remove_mark(value) for name, value in ctx.params.items()}
        return rest

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first sentence of the help, whole and without its period."""
        return (self.help or "").partition("\n\n")[0].replace("\n", " ").removesuffix(".")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each on a line of its own."""
        formatter.write("\nExamples:\n" + "".join(f"  {example}\n" for example in self.examples))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with what the user has configured; return its exit status."""
        invocation = ctx.ensure_object(Invocation)
        if not self.uses_config:
            return super().invoke(ctx)
        with invocation.prepare():
            return super().invoke(ctx)


class Group(_StrictParsing, click.Group):
    """The base of the program's group of commands."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def global_options() -> list[GlobalOption]:
    """Return an option for each variable."""
    return [GlobalOption(variable) for variable in FLAGS]


def command(
    name: str, *examples: str, prints_json: bool = True, uses_config: bool = True
) -> Callable[[Callable[..., int]], Command]:
    """Declare a command with its examples; its help is the function's docstring."""
    return click.command(
        name, cls=Command, examples=examples, prints_json=prints_json, uses_config=uses_config
    )
