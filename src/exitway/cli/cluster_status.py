"""``exitway status`` of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exitway.names.words import printable

_SHOWN = 20


def sheet(found: Mapping[str, Any]) -> Iterator[str]:
    """The lines, from what ``cluster/report.py`` has found."""
    yield f"cluster    Kubernetes {found['kubernetes']}, {found['server']}, context {found['context']}"
    for part in found["parts"]:
        yield f"part       {part['namespace']}/{part['name']}, {part['ready']} of {part['wanted']} ready"
    if not found["parts"]:
        yield "part       none: Exitway is not running in this cluster, or may not be seen by you"
    yield f"rules      {found['rules']} at revision {found['revision']}"
    yield f"workloads  {len(found['workloads'])}"
    for one in found["workloads"]:
        yield f"  {one['namespace']}/{one['name']}  {one['placement']}" + f", node {one['node']}" * bool(one["node"])
    for title in ("notInForce", "problems"):
        word = {"notInForce": "rule", "problems": "problem"}[title]
        yield from (f"{word:<11}{printable(text)}" for text in found[title][:_SHOWN])
        if len(found[title]) > _SHOWN:
            yield f"{word:<11}and {len(found[title]) - _SHOWN} more"
