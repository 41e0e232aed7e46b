"""One connection or request that was seen, with its decision."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from exitway.names.call import Decision, Verdict

AUDIT = "audit"
"""The verdict that people are shown on what rules deny, and an audit lets through."""


def shown_verdict(verdict: Verdict, *, audit: bool) -> str:
    """``allow``, ``deny`` or ``audit``."""
    return AUDIT if audit and verdict is Verdict.DENY else verdict.value


def stamp(moment: datetime) -> str:
    """A time as flows have it: RFC 3339 in UTC, to the millisecond, so that times are in the order of their texts."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


def is_stamp(text: object) -> bool:
    """Whether it is such a time."""
    if not isinstance(text, str) or not _STAMP.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:  # the 30th of February
        return False
    return True


@dataclass(frozen=True, slots=True)
class Flow:
    """``time`` is RFC 3339 in UTC; ``name`` is what was called (empty where nothing named it), ``address`` what was dialled.

    ``asked``: the name behind that address, which is what the program asked for.

    Of a request: ``method``, ``path`` without its query, ``status``. ``sent`` and ``received``: bytes, as the workload sees it, on the wire.
    ``duration`` in milliseconds. ``upstream``: ``address:port`` outside. ``process``: ``pid/comm``. What is not known is empty or 0.

    ``audit``: the decision is what it would have been; it was let through.

    ``count``: how often this was seen, ``last`` when it was seen the last time, if more than once; bytes are those of all. 0: this only ends the flow
    of the same id, which was told when it began. ``id``: its place in the history; 0: it is in none. ``at``: in a cluster, whose history or log,
    ``node/NAME`` or ``pod/NAMESPACE/NAME``.
    """

    time: str
    workload: str
    name: str
    address: str
    port: int
    protocol: str
    decision: Decision
    detail: str = ""
    audit: bool = False
    asked: str = ""
    method: str = ""
    path: str = ""
    sni: str = ""
    status: int = 0
    sent: int = 0
    received: int = 0
    duration: int = 0
    upstream: str = ""
    process: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    count: int = 1
    last: str = ""
    id: int = 0
    at: str = ""

    @property
    def namespace(self) -> str:
        """That of the workload."""
        return self.workload.partition("/")[0]

    def wire(self) -> dict[str, Any]:
        """As JSON: what is always there, and of the rest what is known."""
        rest = {name: getattr(self, name) for name in _AS_KNOWN}
        rest |= {"labels": dict(self.labels), "count": self.count if self.count > 1 else 0}
        rest |= {"direct": self.decision.direct, "audit": self.audit}
        always = {
            "id": self.id or None,
            "time": self.time,
            "workload": self.workload,
            "name": self.name,
            "address": self.address,
            "port": self.port,
            "protocol": self.protocol,
            "verdict": self.decision.verdict,
            "reason": self.decision.reason,
            "rule": str(self.decision.because) if self.decision.because else None,
        }
        return always | {name: value for name, value in rest.items() if value}

    def line(self) -> str:
        """One JSON line, without its end. Non-ASCII and control characters are escaped, so a client cannot forge lines or colours."""
        return json.dumps(self.wire())


_ALWAYS = ("time", "workload", "name", "address", "port", "protocol", "decision", "audit", "labels", "count", "id")
_AS_KNOWN = tuple(one.name for one in fields(Flow) if one.name not in _ALWAYS)


@dataclass(frozen=True, slots=True)
class Repeats:
    """What is to be counted onto the flow of this id, which is told of already. ``last``: the time of the newest."""

    id: int
    count: int
    sent: int
    received: int
    last: str
