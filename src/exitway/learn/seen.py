"""What was seen of a call, taken together: how often, when, by whom, how much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exitway.flows.access_log import CROWD
from exitway.flows.flow import Flow


@dataclass(frozen=True, slots=True)
class Seen:
    """``first`` and ``last``: RFC 3339. ``processes``: ``pid/comm``. ``sent``, ``received``: bytes, as the workload sees it.

    ``protocols``: such as ``HTTP/2``. ``failures``: why it came to nothing, where it did.
    """

    count: int = 0
    first: str = ""
    last: str = ""
    sent: int = 0
    received: int = 0
    workloads: frozenset[str] = frozenset()
    processes: frozenset[str] = frozenset()
    protocols: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    failures: frozenset[str] = frozenset()

    @classmethod
    def of(cls, flow: Flow) -> Seen:
        """What one record says."""
        failed = flow.detail.removesuffix(CROWD).strip()
        return cls(
            flow.count,
            flow.time,
            flow.last or flow.time,
            flow.sent,
            flow.received,
            frozenset({flow.workload}),
            *(frozenset(filter(None, {said})) for said in (flow.process, flow.protocol, flow.method, failed)),
        )


def together(seen: Iterable[Seen]) -> Seen:
    """All of it."""
    every = list(seen)
    if not every:
        return Seen()
    return Seen(
        sum(one.count for one in every),
        min(one.first for one in every),
        max(one.last for one in every),
        sum(one.sent for one in every),
        sum(one.received for one in every),
        *(
            frozenset().union(*(getattr(one, name) for one in every))
            for name in ("workloads", "processes", "protocols", "methods", "failures")
        ),
    )


NOTHING = Seen()
