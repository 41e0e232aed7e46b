"""What may stand in ``methods`` and ``paths`` of ``exitway.dev/v1``: what can be compared with a request, and nothing that never holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exitway.names.port import Protocol
from exitway.names.request import is_plain, is_upper_case
from exitway.resources.form import mappings, strings
from exitway.resources.problem import Problem, quoted

LONGEST_PATH = 2000


def request_faults(to: Mapping[str, Any], field: str) -> Iterator[Problem]:
    """What is wrong with the methods and paths of an entry of ``spec.to``."""
    for name in ("methods", "paths"):
        if to.get(name) == []:
            hint = "leave the field out where all are meant"
            yield Problem("EXW0302", f"{field}.{name} is empty", hint, f"{field}.{name}")
    for index, method in strings(to.get("methods")):
        if not is_upper_case(method):
            hint = "such as GET: upper case, one method in each item"
            yield Problem("EXW0320", f"{quoted(method)} is not a method", hint, f"{field}.methods[{index}]")
    for index, path in strings(to.get("paths")):
        if hint := _path_hint(path):
            yield Problem("EXW0321", f"{quoted(path)} is not a path of a rule", hint, f"{field}.paths[{index}]")
    given = " and ".join(name for name in ("methods", "paths") if to.get(name))
    for index, port in mappings(to.get("ports") if given else ()):
        protocol = port.get("protocol")
        if protocol in (Protocol.TLS, Protocol.TCP):
            message = f"{given} cannot be seen in {protocol}"
            hint = "they need HTTP, HTTP2 or GRPC (with originateTLS: true, TLS beyond the proxy); give other ports an entry of their own"
            yield Problem("EXW0322", message, hint, f"{field}.ports[{index}].protocol")


def _path_hint(path: str) -> str:
    """What to do about a path that no request can be compared with; empty if it is right."""
    stem = path.removesuffix("*")
    if "?" in path:
        return "only the path: the query is not part of it, and is not looked at"
    if "*" in stem:
        return 'a "*" can only be the end, as in "/v1/*"'
    if not stem.startswith("/"):
        return 'it begins with "/", and is exact or a prefix that ends in "*", as in "/v1/*"'
    if len(path) > LONGEST_PATH:
        return f"at most {LONGEST_PATH} characters"
    # a prefix may end within a segment, but not within a character, nor be one that a plain path never has
    if not is_plain(f"{stem}x" if path.endswith("*") else stem) or "%2A" in path:
        return 'as in a URL, in its plain form: no "//", "/./", "/../", ";", and percent-encoded (upper case) only what must be'
    return ""
