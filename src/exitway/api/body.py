"""What a client sends, as JSON values: bounded, strict, and never trusted. Everything that is wrong with it is a refusal."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from exitway.api.status import Cause, Refusal, bad_request
from exitway.resources.document import read_documents
from exitway.resources.problem import Problems

MAX_BYTES = 16 * 1024 * 1024
"""Enough for 10,000 rules in one request."""
MAX_DEPTH = 64


async def read_json(request: Request) -> Any:
    """The body as JSON; None if it is empty."""
    content = await read_bytes(request)
    return parse_json(content) if content.strip() else None


async def read_object(request: Request) -> dict[str, Any]:
    """The body as one object, JSON or (if the content type says so) YAML."""
    content = await read_bytes(request)
    if "yaml" in request.headers.get("content-type", "") and not content.lstrip().startswith(b"{"):
        return _parse_yaml(content)
    value = parse_json(content)
    if not isinstance(value, dict):
        raise bad_request("the body is not a JSON object")
    return value


async def read_bytes(request: Request, most: int = MAX_BYTES, so_far: Callable[[int], None] | None = None) -> bytes:
    """The body. At most so much of it is ever held. ``so_far``: is told how much there is, as it comes."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise Refusal(413, "RequestEntityTooLarge", f"the body is larger than {most} bytes")
        if so_far:
            so_far(len(content))
    return bytes(content)


def parse_json(content: bytes, most: int = sys.maxsize) -> Any:
    """Strict JSON (RFC 8259): UTF-8, no duplicate names, only finite numbers, only whole characters, at most :data:`MAX_DEPTH` levels.

    ``most``: how many values there may be in it, as what is made of them takes far more room than their text.
    """
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
        if b"\\u" in content:
            json.dumps(value, ensure_ascii=False).encode()  # raises on half a surrogate pair
    except RecursionError:
        raise bad_request("the body is not acceptable JSON: it is nested too deeply") from None
    except ValueError as error:  # also UnicodeError and JSONDecodeError
        raise bad_request(f"the body is not acceptable JSON: {_plain(error)}") from None
    levels, values = _extent(value)
    if levels > MAX_DEPTH:
        raise bad_request("the body is not acceptable JSON: it is nested too deeply")
    if values > most:
        raise Refusal(413, "RequestEntityTooLarge", f"the body has more than {most} values")
    return value


def _parse_yaml(content: bytes) -> dict[str, Any]:
    try:
        documents = read_documents(content, "body")
    except Problems as problems:
        raise bad_request(
            f"the body is not acceptable YAML: {problems}", [Cause(problem) for problem in problems.problems]
        ) from None
    if len(documents) != 1:
        raise bad_request("the body has more than one document")
    return documents[0].wire


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice = sorted(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"duplicate key {', '.join(map(repr, twice[:5]))}")
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is out of range")
    return value


def _extent(value: Any) -> tuple[int, int]:
    """How many levels of lists and objects are in it, and how many values on all of them: level by level rather than by recursion."""
    levels, values, layer = -1, 0, [value]
    while layer:
        nested = [item for item in layer if isinstance(item, dict | list)]
        levels, values = levels + bool(nested), values + len(layer)
        layer = [child for item in nested for child in (item.values() if isinstance(item, dict) else item)]
    return levels, values


def _plain(error: ValueError) -> str:
    return (
        f"it is not UTF-8 text ({error.reason})"
        if isinstance(error, UnicodeError) and hasattr(error, "reason")
        else str(error)
    )
