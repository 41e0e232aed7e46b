"""Which requests of a destination are meant: the part of a route's match that looks at methods and paths.

The path is matched without its query, by the route; in the headers of a match, ``:path`` has it
(https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/route/v3/route_components.proto#config-route-v3-routematch).
"""

from __future__ import annotations

from collections.abc import Iterator

from exitway.envoy.api import Json
from exitway.names.request import METHOD_OVERRIDES, PLAIN, UPPER_CASE, path_expression

UNDOUBTED_METHOD: list[Json] = [
    {"name": ":method", "string_match": {"safe_regex": {"regex": UPPER_CASE}}},
    *({"name": name, "present_match": True, "invert_match": True} for name in METHOD_OVERRIDES),
]
"""Headers of a request that does not ask for another method than its own."""

OF_DOUBTFUL_PATH: Json = {
    "prefix": "/",
    "headers": [{"name": ":path", "string_match": {"safe_regex": {"regex": PLAIN}}, "invert_match": True}],
}
"""Requests whose path is not plain."""


def matches(methods: tuple[str, ...], paths: tuple[str, ...], headers: list[Json] | None = None) -> Iterator[Json]:
    """One match for each path: requests with one of the methods and with these headers; no methods, or no paths: any."""
    wanted = [*([_method(methods)] if methods else []), *(headers or [])]
    for path in paths or ("/*",):
        yield _path(path) | ({"headers": wanted} if wanted else {})


def _method(methods: tuple[str, ...]) -> Json:
    return {"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(methods)}}}


def _path(pattern: str) -> Json:
    if expression := path_expression(pattern):
        return {"safe_regex": {"regex": expression}}
    return {"prefix": pattern[:-1]} if pattern.endswith("*") else {"path": pattern}
