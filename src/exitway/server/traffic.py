"""What passes and what does not, in numbers: requests, connections and bytes by namespace, rule and verdict. No I/O.

Labels are of what the machine's owner has named, never of what a program says: no host, no path. And their number is bounded, whatever comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exitway.flows.flow import Flow
from exitway.names.call import Verdict

OTHER = "_other"
"""What is counted together, because there is too much of it. No namespace and no rule can be called so."""
MOST_NAMESPACES = 200
MOST_RULES = 1000
"""Pairs of a namespace and a rule. With every verdict and reason there are some 13 series for each at most; but a rule has few of them."""

AUDIT = "audit"
"""The verdict on what rules deny, and an audit lets through."""


class Bounded:
    """The first so many words are themselves, all that come later are :data:`OTHER`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, word: str) -> str:
        """The word, or what stands for it."""
        if word in self._known:
            return word
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(word)
        return word


@dataclass(slots=True)
class Total:
    """Of one namespace, rule, verdict and reason."""

    requests: int = 0
    connections: int = 0
    sent: int = 0
    received: int = 0


Labels = tuple[str, str, str, str]
"""Namespace, rule, verdict (``allow``, ``deny``, ``audit``) and reason. A rule is ``namespace/name``; empty: none had a part in it."""


class Traffic:
    """The totals since we started."""

    def __init__(self, namespaces: int = MOST_NAMESPACES, rules: int = MOST_RULES) -> None:
        self._namespace, self._rule = Bounded(namespaces), Bounded(rules)
        self._totals: dict[Labels, Total] = {}

    def counted(self, flow: Flow, count: int = 1, sent: int = 0, received: int = 0) -> None:
        """So many uses like this one, and what they carried together, in bytes as the workload sees them."""
        total = self._total(flow)
        if flow.protocol.startswith("HTTP"):
            total.requests += count
        else:
            total.connections += count
        total.sent += sent
        total.received += received

    def totals(self) -> Iterator[tuple[Labels, Total]]:
        """In the order of their labels."""
        yield from sorted(self._totals.items(), key=lambda one: one[0])

    def _total(self, flow: Flow) -> Total:
        decision = flow.decision
        namespace = self._namespace(flow.workload.partition("/")[0])
        rule = f"{decision.because.namespace}/{decision.because.name}" if decision.because else ""
        if rule and self._rule(f"{namespace} {rule}") is OTHER:
            rule = OTHER
        verdict = AUDIT if flow.audit and decision.verdict is Verdict.DENY else decision.verdict.value
        labels = namespace, rule, verdict, decision.reason.value
        if labels not in self._totals:
            self._totals[labels] = Total()
        return self._totals[labels]
