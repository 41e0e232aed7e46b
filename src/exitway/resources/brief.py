"""Resources in the little room of a table cell: the same for our own tables and for those that kubectl shows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from exitway.resources.resource import Resource

_SHOWN = 3


def age(created: str, now: datetime) -> str:
    """A time such as ``45s``, ``12m``, ``7h`` or ``30d``, one unit, rounded down."""
    seconds = max(int((now - datetime.fromisoformat(created)).total_seconds()), 0)
    for unit, length, most in (("s", 1, 120), ("m", 60, 120 * 60), ("h", 3600, 48 * 3600)):
        if seconds < most:
            return f"{seconds // length}{unit}"
    return f"{seconds // 86400}d"


def few(values: Iterable[str]) -> str:
    """The first few of the values, each once, and how many more there are."""
    different = list(dict.fromkeys(values))
    more = f",... ({len(different) - _SHOWN} more)" if len(different) > _SHOWN else ""
    return ",".join(different[:_SHOWN]) + more


def destinations(resource: Resource) -> str:
    """The first few names and address ranges that the rule is about."""
    targets = (target for intent in resource.intents for target in intent.to)
    return few(str(host) for target in targets for host in (*target.hosts, *target.cidrs))


def ports(resource: Resource) -> str:
    """The first few ports, each with its protocol."""
    targets = (target for intent in resource.intents for target in intent.to)
    return few(str(port) for port in sorted({port for target in targets for port in target.ports}))
