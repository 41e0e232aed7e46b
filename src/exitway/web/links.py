"""The map: for each workload and port of a destination, what was seen between them. No I/O."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import nlargest
from itertools import zip_longest
from typing import Any

from exitway.flows.flow import Flow
from exitway.flows.history import Destination
from exitway.names.call import Reason, Verdict
from exitway.web.search import Search

Json = dict[str, Any]

MOST_LINKS = 600
MOST_DENIED_LINKS = 400

MOST_OF_WORKLOAD = 10_000
"""Of those that are known, with one verdict."""

_Ends = tuple[str, str, int, str]
"""Workload, name or address, port, protocol."""


@dataclass(slots=True)
class _Link:
    """``last``: when something was seen last."""

    ends: _Ends
    allowed: int = 0
    audited: int = 0
    denied: int = 0
    sent: int = 0
    received: int = 0
    last: str = ""
    reasons: tuple[Reason, ...] = ()
    rules: tuple[str, ...] = ()

    @property
    def uses(self) -> int:
        """What was let out."""
        return self.allowed + self.audited

    def json(self) -> Json:
        """As the page reads it."""
        workload, destination, port, protocol = self.ends
        ends = {"workload": workload, "destination": destination, "port": port, "protocol": protocol}
        counts = {"allowed": self.allowed, "audited": self.audited, "denied": self.denied}
        seen = {"sent": self.sent, "received": self.received, "last": self.last}
        return ends | counts | seen | {"reasons": sorted(self.reasons), "rules": sorted(self.rules)}


class Links:
    """Of what a search finds. ``whole``: whether there is no more than was added."""

    def __init__(self, search: Search) -> None:
        self.whole = True
        self._search = search
        self._links: dict[_Ends, _Link] = {}
        self._known = Counter[tuple[str, Verdict]]()
        self._beyond = Counter[str]()

    def add(self, one: Destination) -> None:
        """What the history says of a destination."""
        if not self._finds(one):
            return
        ends = (one.workload, one.name, one.port, one.protocol)
        link = self._links.get(ends)
        what = "allowed" if one.verdict is Verdict.ALLOW else "audited" if one.audit else "denied"
        if link is None:
            self._known[one.workload, one.verdict] += 1
            if self._known[one.workload, one.verdict] > MOST_OF_WORKLOAD:
                self.whole = False
                self._beyond[what] += one.count
                return
            link = self._links[ends] = _Link(ends)
        setattr(link, what, getattr(link, what) + one.count)
        link.sent += one.sent
        link.received += one.received
        link.last = max(link.last, one.last)
        if one.reason not in link.reasons:
            link.reasons += (one.reason,)
        if one.rule and one.rule not in link.rules:
            link.rules += (one.rule,)

    def add_flow(self, flow: Flow) -> None:
        """One flow that was not there before."""
        name, decision = flow.name or flow.address, flow.decision
        because, last = str(decision.because or ""), flow.last or flow.time
        decided = (decision.verdict, decision.reason, because, flow.audit)
        seen = (flow.count, flow.sent, flow.received, last)
        self.add(Destination(flow.workload, name, flow.port, flow.protocol, *decided, *seen))

    def section(self) -> Json:
        """Those for which there is room, ``leftOff`` how many more there are, and totals of all."""
        links = self._links.values()
        shown = _chosen(links)
        totals = {
            what: sum(getattr(link, what) for link in links) + self._beyond[what]
            for what in ("allowed", "audited", "denied")
        }
        ends = {"workloads": len({key[0] for key in self._links}), "destinations": len({key[1] for key in self._links})}
        return {
            "links": [link.json() for link in shown],
            "leftOff": len(links) - len(shown),
            "totals": totals | ends,
            "whole": self.whole,
        }

    def _finds(self, one: Destination) -> bool:
        if not self._search.words:
            return True
        parts = (one.workload, one.name, f":{one.port}", one.protocol, one.verdict, one.reason, one.rule)
        return self._search.finds(parts)


def _chosen(links: Iterable[_Link]) -> list[_Link]:
    """What was denied last, and of the others what was used most; of each workload its share."""
    denied: list[_Link] = []
    others: list[_Link] = []
    for link in links:
        (denied if link.denied else others).append(link)
    room = max(MOST_DENIED_LINKS, MOST_LINKS - len(others))
    shown = _first(denied, room, lambda link: (link.last, link.ends))
    return shown + _first(others, MOST_LINKS - len(shown), lambda link: (link.uses, link.last, link.ends))


def _first(links: Iterable[_Link], room: int, key: Callable[[_Link], Any]) -> list[_Link]:
    """The greatest, in turn one of each workload, so that a flood of one hides nothing of others; the greatest first."""
    of_each: defaultdict[str, list[_Link]] = defaultdict(list)
    for link in links:
        of_each[link.ends[0]].append(link)
    turns = zip_longest(*(nlargest(room, of, key=key) for of in of_each.values()))
    in_turn = [link for turn in turns for link in sorted(filter(None, turn), key=key, reverse=True)]
    return sorted(in_turn[:room], key=key, reverse=True)
