"""Types of arguments that hold others: lists, pairs and JSON objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Generic, cast

from sediment_mcp.operations.argument_types import (
    MISSING,
    NO_OBJECT,
    NO_TEXT,
    ArgumentType,
    Fault,
    JsonSchema,
    Prepare,
    ValueT,
    WrongValue,
    leave,
    refuse,
)


class ListOf(Generic[ValueT]):
    """A list of values of one type; ``max_items`` None sets no limit."""

    def __init__(
        self,
        item: ArgumentType[ValueT],
        max_items: int | None = None,
        *,
        min_items: int = 0,
        prepare: Prepare = leave,
    ) -> None:
        self.item = item
        self.max_items = max_items
        self.min_items = min_items
        self.prepare = prepare

    def read(self, value: object) -> list[ValueT]:
        """Return the list.

        Raises:
            WrongValue: it is no list, too short or long, or items of it are wrong.
        """
        items = _take_list(self.prepare(value))
        if self.max_items is not None and len(items) > self.max_items:
            raise refuse(f"has too many items: there must be at most {self.max_items}")
        values = _read_items(_number(items), self.item)
        if len(values) < self.min_items:
            raise refuse("is empty: give at least one item")
        return values

    def build_schema(self) -> JsonSchema:
        """Return the JSON schema of the list."""
        limits = {"minItems": self.min_items, "maxItems": self.max_items}
        told = {name: limit for name, limit in limits.items() if limit}
        return {"type": "array", "items": self.item.build_schema(), **told}


class Pair(Generic[ValueT]):
    """Two values of one type, as a list."""

    def __init__(self, item: ArgumentType[ValueT]) -> None:
        self.item = item

    def read(self, value: object) -> tuple[ValueT, ValueT]:
        """Return the two.

        Raises:
            WrongValue: it is no list of two, or one of them is wrong.
        """
        items = _take_list(value)
        if len(items) > 2:
            raise refuse("has too many items: there must be at most 2")
        if len(items) < 2:
            raise WrongValue(*(((str(index),), MISSING) for index in range(len(items), 2)))
        first, second = _read_items(_number(items), self.item)
        return first, second

    def build_schema(self) -> JsonSchema:
        """Return the JSON schema of the pair."""
        return {"type": "array", "items": self.item.build_schema(), "minItems": 2, "maxItems": 2}


class Object:
    """A JSON object of plain values; ``max_bytes`` is its size as JSON."""

    def __init__(self, max_bytes: int, *, prepare: Prepare = leave) -> None:
        self.max_bytes = max_bytes
        self.prepare = prepare

    def read(self, value: object) -> dict[str, Any]:
        """Return the object.

        Raises:
            WrongValue: it is no object, cannot be written as JSON, or is too large.
        """
        fields = _take_fields(self.prepare(value))
        self._check_size(fields)
        return fields

    def _check_size(self, fields: dict[str, Any]) -> None:
        try:
            size = len(json.dumps(fields, ensure_ascii=False, allow_nan=False).encode())
        except (TypeError, ValueError, RecursionError):
            raise refuse("must be plain JSON: no NaN, no broken Unicode, no deep nesting") from None
        if size > self.max_bytes:
            raise refuse(f"must be at most {self.max_bytes} bytes of JSON, is {size}")

    def build_schema(self) -> JsonSchema:
        """Return the JSON schema of an object."""
        return {"type": "object"}


class ObjectOf(Generic[ValueT]):
    """A JSON object whose values are all of one type."""

    def __init__(self, item: ArgumentType[ValueT]) -> None:
        self.item = item

    def read(self, value: object) -> dict[str, ValueT]:
        """Return the object.

        Raises:
            WrongValue: it is no object, or values of it are wrong.
        """
        fields = _take_fields(value)
        return dict(zip(fields, _read_items(fields, self.item), strict=True))

    def build_schema(self) -> JsonSchema:
        """Return the JSON schema of the object."""
        return {"type": "object", "additionalProperties": self.item.build_schema()}


def _take_list(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise refuse("must be a valid list")
    return cast("Sequence[object]", value)


def _number(items: Sequence[object]) -> dict[str, object]:
    return {str(index): item for index, item in enumerate(items)}


def _take_fields(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise refuse(NO_OBJECT)
    fields = dict(cast("Mapping[Any, Any]", value))
    if wrong := [name for name in fields if not isinstance(name, str)]:
        raise WrongValue(*(((str(name), "[key]"), NO_TEXT) for name in wrong))
    return fields


def _read_items(items: Mapping[str, object], item: ArgumentType[ValueT]) -> list[ValueT]:
    """Read each value; ``items`` maps its place, an index or a name, to it."""
    values: list[ValueT] = []
    faults: list[Fault] = []
    for place, value in items.items():
        try:
            values.append(item.read(value))
        except WrongValue as error:
            faults += error.list_faults_within(place)
    if faults:
        raise WrongValue(*faults)
    return values
