"""The time zone that a client says its user is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any, cast

from sediment_mcp.config import find_zone

ZONE_NAMES = ("timezone", "timeZone", "time_zone")


def find_client_zone(meta: Mapping[str, Any] | None) -> tzinfo | None:
    """Return the time zone that the ``_meta`` of a request names.

    None if it names none that is known. The specification of MCP has no field for it. ``timezone`` is taken
    with or without a client's prefix, and inside an object, such as OpenAI's ``openai/userLocation``.
    """
    names = (name for name in _list_zone_names(meta or {}) if isinstance(name, str))
    return next(filter(None, (find_zone(name.strip()) for name in names)), None)


def _list_zone_names(meta: Mapping[str, Any]) -> Iterator[object]:
    for key, value in meta.items():
        if key.rpartition("/")[2] in ZONE_NAMES:
            yield value
        elif isinstance(value, Mapping):
            inner = cast("Mapping[str, Any]", value)
            yield from (inner.get(name) for name in ZONE_NAMES)
