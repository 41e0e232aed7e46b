"""What makes one JSON object into another, as JSON Patch (RFC 6902)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def patch(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[dict[str, Any]]:
    """The operations, one after another. Lists are replaced as they are."""
    for key in before.keys() - after.keys():
        yield {"op": "remove", "path": f"{path}/{_escaped(key)}"}
    for key, value in after.items():
        at = f"{path}/{_escaped(key)}"
        if key not in before:
            yield {"op": "add", "path": at, "value": value}
        elif isinstance(value, Mapping) and isinstance(before[key], Mapping):
            yield from patch(before[key], value, at)
        elif before[key] != value:
            yield {"op": "replace", "path": at, "value": value}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
