"""The arguments of the four tools: their parameters, and how a call's arguments are parsed.

Each parameter is declared once, with its type, its default and its description. From that both are derived:
the parsing of what a host or the command line sends, and the JSON schemas that `tools/list` shows. A model
reads these schemas in every conversation, so the descriptions are short.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import datetime
from typing import Any, ClassVar, Literal, NoReturn, Self, TypeVar, cast, dataclass_transform, get_args

from sediment_mcp.domain.memory import MAX_METADATA_BYTES, MAX_TAG, MAX_TAGS, TEAM, Kind
from sediment_mcp.errors import BadArgument
from sediment_mcp.operations.argument_collections import ListOf, Object
from sediment_mcp.operations.argument_names import explain_unknown, find_host_names
from sediment_mcp.operations.argument_types import (
    MISSING,
    ArgumentType,
    Boolean,
    Choice,
    Fault,
    Integer,
    Number,
    ScopeChoice,
    Text,
    Time,
    WrongValue,
)
from sediment_mcp.operations.argument_values import (
    is_nothing,
    parse_id,
    parse_ids,
    parse_number,
    parse_object,
    parse_tags,
    parse_text,
)
from sediment_mcp.system.text import format_value, join_messages
from sediment_mcp.system.time_zone import end_of, midnight_of, start_of

MAX_CONTENT_CHARS = 100_000
MAX_SESSION_CHARS = 256
MAX_WRAPPINGS = 3  # objects around the arguments of a call
WRAPPERS = ("arguments", "args", "kwargs", "params", "parameters", "input")
TOOL_NAME = "name"  # beside arguments in a call that is wrapped as a whole
MAX_IDS = 100  # in one call

Scope = Literal["all", "project", "global", "team"]
OwnScope = Literal["project", "global", "team"]
Order = Literal["newest", "oldest"]

TIME, START, END, EXPIRY = Time(midnight_of), Time(start_of), Time(end_of, is_end=True), Time(end_of)
TAGS = ListOf(Text(MAX_TAG), MAX_TAGS, prepare=parse_tags)
MEMORY_ID = Text(64, prepare=parse_id)
MEMORY_IDS = ListOf(MEMORY_ID, MAX_IDS, prepare=parse_ids)
SOME_MEMORY_IDS = ListOf(MEMORY_ID, MAX_IDS, min_items=1, prepare=parse_ids)
SESSION = Text(MAX_SESSION_CHARS, prepare=parse_text)
KIND: Choice[Kind] = Choice(get_args(Kind))
SCOPE: ScopeChoice[Scope] = ScopeChoice(("all", "project", "global"), TEAM)
OWN_SCOPE: ScopeChoice[OwnScope] = ScopeChoice(("project", "global"), TEAM)
ORDER: Choice[Order] = Choice(get_args(Order))
YES_OR_NO = Boolean()
LIMIT = Integer(1, 100)

ValueT = TypeVar("ValueT")

REQUIRED: Any = object()
"""Stands for the default of a parameter that has none."""


# --- declarations -------------------------------------------------------------------------------


class Parameter:
    """A parameter of a tool; ``default`` is `REQUIRED` where the argument must be given.

    ``for_team`` is what the description says where there is a team.
    """

    def __init__(
        self, value_type: ArgumentType[Any], description: str, default: Any, for_team: str = ""
    ) -> None:
        self.type = value_type
        self.description = description
        self.default = default
        self.for_team = for_team or description

    @property
    def is_required(self) -> bool:
        """Return whether a call without it is refused."""
        return self.default is REQUIRED


def parameter(
    value_type: ArgumentType[Any], description: str = "", *, default: Any = REQUIRED, for_team: str = ""
) -> Any:
    """Declare an attribute of `Arguments` as a parameter; without a default it is required."""
    return Parameter(value_type, description, default, for_team)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(parameter,))
class Arguments:
    """Base of the arguments of a call, whose attributes are its parameters.

    Unknown names are refused, because a filter that is silently ignored gives a wrong answer. Only names that
    hosts add to every call are ignored (`argument_names`). This is no dataclass, because making a dozen of
    these takes longer than parsing a hundred calls.

    Attributes:
        parameters: by their names, in the order in which they are declared.
        given: names of the arguments that the call gave; the others have their defaults.
    """

    parameters: ClassVar[Mapping[str, Parameter]] = {}
    given: frozenset[str]
    __hash__ = None  # pyright: ignore[reportAssignmentType] - their lists have none

    def __init_subclass__(cls) -> None:
        declared = {name: value for name, value in vars(cls).items() if isinstance(value, Parameter)}
        cls.parameters = {**cls.parameters, **declared}

    def __init__(self, **values: Any) -> None:
        required = {name for name, declared in self.parameters.items() if declared.is_required}
        if wrong := (values.keys() - self.parameters.keys()) | (required - values.keys()):
            raise TypeError(f"{type(self).__name__} lacks {', '.join(sorted(wrong))}")
        for name, declared in self.parameters.items():
            vars(self)[name] = values[name] if name in values else copy(declared.default)
        vars(self)["given"] = frozenset(values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{name} cannot be set: arguments are frozen")

    def __eq__(self, other: object) -> bool:
        names = self.parameters
        return type(self) is type(other) and all(getattr(self, n) == getattr(other, n) for n in names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in self.parameters)})"

    def replace(self, **changes: Any) -> Self:
        """Return the same arguments with some of them changed."""
        return type(self)(**{name: getattr(self, name) for name in self.given} | changes)


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


# --- the four tools -----------------------------------------------------------------------------


class StoreMemory(Arguments):
    """Arguments of `store_memory`."""

    content: str = parameter(
        Text(MAX_CONTENT_CHARS, allows_blank=False), "One fact, in full sentences that stand alone."
    )
    kind: Kind = parameter(
        KIND,
        "semantic: fact; episodic: event; procedural: how-to; working: note for a day",
        default="semantic",
    )
    tags: list[str] = parameter(TAGS, default=[])
    scope: OwnScope | None = parameter(
        OWN_SCOPE,
        "Default: project, where one is known. global: true everywhere",
        default=None,
        for_team="Default: project, if known. global: true everywhere. team: what the user wants the whole "
        "team to know",
    )
    session: str | None = parameter(SESSION, "Groups the memories of one conversation", default=None)
    importance: float = parameter(Number(0, 1, prepare=parse_number), default=0.5)
    occurred_at: datetime | None = parameter(
        TIME, "When it happened or became true: ISO 8601 time or date; default now", default=None
    )
    expires_at: datetime | None = parameter(EXPIRY, "Forgotten after this time or date", default=None)
    replaces: list[str] = parameter(MEMORY_IDS, "Ids of memories that this one corrects", default=[])
    metadata: dict[str, Any] = parameter(Object(MAX_METADATA_BYTES, prepare=parse_object), default={})


class QueryMemory(Arguments):
    """Arguments of `query_memory`."""

    query: str = parameter(Text(10_000, allows_blank=False), "A question or key words; any text")
    limit: int = parameter(LIMIT, default=5)
    scope: Scope = parameter(SCOPE, "all ranks other projects' memories lower", default="all")
    tags: list[str] = parameter(TAGS, "All must be on the memory", default=[])
    kind: Kind | None = parameter(KIND, default=None)
    session: str | None = parameter(SESSION, default=None)
    since: datetime | None = parameter(START, "Earliest occurred_at, time or date", default=None)
    until: datetime | None = parameter(END, "Latest; a date includes that day", default=None)
    include_superseded: bool = parameter(YES_OR_NO, "History too", default=False)
    max_chars: int = parameter(Integer(500, 100_000), "Budget for all content returned", default=8000)
    explain: bool = parameter(YES_OR_NO, "Add signals: why each result is here", default=False)


class ListMemories(Arguments):
    """Arguments of `list_memories`."""

    ids: list[str] = parameter(
        MEMORY_IDS,
        "Memories whole, in this order; filters are ignored",
        default=[],
    )
    related_to: str | None = parameter(MEMORY_ID, "Related to this id, and why", default=None)
    scope: Scope = parameter(SCOPE, default="all")
    tags: list[str] = parameter(TAGS, default=[])
    kind: Kind | None = parameter(KIND, default=None)
    session: str | None = parameter(SESSION, default=None)
    since: datetime | None = parameter(START, default=None)
    until: datetime | None = parameter(END, default=None)
    include_superseded: bool = parameter(YES_OR_NO, default=False)
    order: Order = parameter(ORDER, "By occurred_at", default="newest")
    limit: int = parameter(LIMIT, default=20)
    cursor: str | None = parameter(Text(1000, min_length=0), "next_cursor of the page before", default=None)


class DeleteMemory(Arguments):
    """Arguments of `delete_memory`."""

    ids: list[str] = parameter(SOME_MEMORY_IDS)
    permanent: bool = parameter(YES_OR_NO, "Erase the text for good; cannot be undone", default=False)


# --- parsing ------------------------------------------------------------------------------------


def unwrap_arguments(model: type[Arguments], arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments themselves where a model or a host has wrapped them once more.

    They may come as JSON text, and as a member of an object that is named after arguments, beside which
    stands nothing but the tool's name and what hosts add.

    Raises:
        BadArgument: there is text or a list in the place of arguments.
    """
    for _ in range(MAX_WRAPPINGS):
        of_host = find_host_names(arguments, model.parameters)
        (name, *others) = [key for key in arguments if key not in (*of_host, TOOL_NAME)] or [""]
        if others or name not in WRAPPERS or name in model.parameters:
            return arguments
        inner = parse_object(arguments[name])
        if is_nothing(inner) or inner == []:
            inner = {}
        if not isinstance(inner, dict) or not all(
            isinstance(key, str) for key in cast("dict[Any, Any]", inner)
        ):
            raise BadArgument(f"{name} must be a JSON object: use {', '.join(model.parameters)}.")
        arguments = {key: arguments[key] for key in of_host} | cast("dict[str, Any]", inner)
    return arguments


def parse_arguments(model: type[ArgumentsT], arguments: Mapping[str, Any]) -> ArgumentsT:
    """Validate a call's arguments.

    Null counts as "not given", and so do blank text and words for null where the argument is not required.
    What a host has added is left out.

    Raises:
        BadArgument: one sentence for each argument that is wrong.
    """
    of_host = find_host_names(arguments, model.parameters)
    present = {name: value for name, value in arguments.items() if name not in of_host and value is not None}
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, declared in model.parameters.items():
        value = present.pop(name, None)
        if value is None or (not declared.is_required and is_nothing(value)):
            faults += [((name,), MISSING)] if declared.is_required else []
            continue
        try:
            values[name] = declared.type.read(value)
        except WrongValue as error:
            faults += error.list_faults_within(name)
    unknown = [
        explain_unknown(name, format_value(name), model.parameters)
        for name, value in present.items()
        if not is_nothing(value)
    ]
    if faults or unknown:
        raise BadArgument(join_messages([*map(_describe_fault, faults), *unknown]))
    return model(**values)


def parse_value(name: str, value_type: ArgumentType[ValueT], value: object) -> ValueT:
    """Return one value as a call's argument of this type is read.

    Raises:
        BadArgument: a sentence for each thing that is wrong with it.
    """
    try:
        return value_type.read(value)
    except WrongValue as error:
        raise BadArgument(join_messages([*map(_describe_fault, error.list_faults_within(name))])) from None


def _describe_fault(fault: Fault) -> str:
    path, words = fault
    return f"{format_value('.'.join(path))} {words}."
