"""What a change of rules may do: open, close, or send something out in another way. The words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from exitway.names.call import Call, Decision, Sort
from exitway.names.host import Host
from exitway.names.workload import Workload
from exitway.resources.intent import Network


class Change(StrEnum):
    """What becomes of calls."""

    OPENS = "opens"
    CLOSES = "closes"
    DIFFERS = "differs"  # allowed before and after, and going out in another way


class Dialled(StrEnum):
    """What a program has dialled that makes a request. It matters only where a rule for TCP speaks of that."""

    ANYTHING = "anything"
    ITSELF = "itself"  # the destination, too
    ELSEWHERE = "elsewhere"  # anything that no rule for TCP speaks of
    FRONT = (
        "front"  # the destination is what was dialled; the request goes to another name that rules let requests go to
    )


@dataclass(frozen=True, slots=True)
class Methods:
    """Those named; or ``others``, all but those named. ``doubtful``: also where a header may ask for another one, or in lower case."""

    named: tuple[str, ...] = ()
    others: bool = True
    doubtful: bool = True


@dataclass(frozen=True, slots=True)
class Paths:
    """What the narrowest pattern that matches a path says: one of ``these`` (none: every path), or of ``but``.

    ``doubtful``: also paths that are not plain.
    """

    these: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    doubtful: bool = True


EVERY_METHOD, EVERY_PATH = Methods(), Paths()


@dataclass(frozen=True, slots=True)
class Destination:
    """Names or addresses, but for some of them, at a port. ``sort``: what is spoken; TCP: whatever that is. The rest is about requests."""

    sort: Sort
    port: int
    to: Host | Network
    but: tuple[Host | Network, ...] = ()
    dialled: Dialled = Dialled.ANYTHING
    methods: Methods = EVERY_METHOD
    paths: Paths = EVERY_PATH


@dataclass(frozen=True, slots=True)
class LabelLimit:
    """Workloads by one label: those with one of these values, or ``others``, all but those."""

    key: str
    values: tuple[str, ...]
    others: bool = False

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a workload with these labels is meant."""
        return (labels.get(self.key) in self.values) != self.others

    def __str__(self) -> str:
        if len(self.values) == 1:
            return f"{self.key}{'!=' if self.others else '='}{self.values[0]}"
        return f"{self.key} {'notin' if self.others else 'in'} ({','.join(self.values)})"


@dataclass(frozen=True, slots=True)
class Who:
    """Which workloads, and from when until when (None: now, for ever). ``others``: those of all namespaces but these."""

    namespaces: tuple[str, ...]
    others: bool = False
    labels: tuple[LabelLimit, ...] = ()
    begins: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What one side makes of a call. ``way``: how it goes out; empty: not at all."""

    decision: Decision
    way: str


@dataclass(frozen=True)
class Witness:
    """A call that shows it, at a moment, and what both sides make of it."""

    workload: Workload
    at: datetime
    call: Call
    before: Seen
    after: Seen


@dataclass(frozen=True)
class Difference:
    """One difference in meaning. ``before`` and ``after``: how such calls go out; empty: not at all."""

    change: Change
    who: Who
    destination: Destination
    before: str
    after: str
    witness: Witness
