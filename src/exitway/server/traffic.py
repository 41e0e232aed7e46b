"""What passes and what does not, in numbers: requests, connections and bytes by namespace, rule and verdict. No I/O.

Labels are of what the machine's owner has named, never of what a program says: no host, no path. And their number is bounded, whatever comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from exitway.flows.flow import Flow, Repeats, shown_verdict
from exitway.names.call import Reason, Verdict

OTHER = "_other"
"""What is counted together, because there is too much of it. No namespace and no rule can be called so."""
MOST_NAMESPACES = 200
MOST_RULES = 1000
"""Pairs of a namespace and a rule. With every verdict and reason there are some 13 series for each at most; but a rule has few of them."""

MOST_USES = 20_000
"""Flows of which repeats are counted without a look into the history."""


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
    """Of one namespace, rule, verdict and reason. ``sent`` and ``received``: bytes, as the workloads see them."""

    requests: int = 0
    connections: int = 0
    sent: int = 0
    received: int = 0


Labels = tuple[str, str, str, str]
"""Namespace, rule (as in a flow; empty: none had a part in it), verdict (``allow``, ``deny``, ``audit``) and reason."""


class Traffic:
    """The totals since we started. ``written``: so many flows were."""

    def __init__(
        self,
        find: Callable[[int], Flow | None] = lambda _: None,
        *,
        namespaces: int = MOST_NAMESPACES,
        rules: int = MOST_RULES,
        uses: int = MOST_USES,
    ) -> None:
        """``find``: a flow by its id; asked for what was told of before we started, or long ago."""
        self._find, self._most_uses = find, uses
        self._namespace, self._rule = Bounded(namespaces), Bounded(rules)
        self._totals: dict[Labels, Total] = {}
        self._uses: dict[int, tuple[Total, bool]] = {}
        self.written = 0

    def wrote(self, flows: Sequence[Flow], repeats: Iterable[Repeats]) -> None:
        """These flows are in the history now, and repeats of others are counted there."""
        for flow in flows:
            _count(self._use(flow), flow)
        for one in repeats:
            _count(self._uses.get(one.id) or self._use(self._find(one.id)), one)
        self.written += len(flows)

    def totals(self) -> Iterator[tuple[Labels, Total]]:
        """In the order of their labels."""
        yield from sorted(self._totals.items(), key=lambda one: one[0])

    def _use(self, flow: Flow | None) -> tuple[Total, bool]:
        """Where it is counted, and whether it is a request."""
        if flow is None:  # the history has given it up
            return self._total((OTHER, OTHER, Verdict.ALLOW.value, Reason.RULE.value)), False
        use = self._total(self._labels(flow)), flow.protocol.startswith("HTTP")
        self._uses[flow.id] = use
        if len(self._uses) > self._most_uses:
            del self._uses[next(iter(self._uses))]
        return use

    def _labels(self, flow: Flow) -> Labels:
        decision, namespace = flow.decision, self._namespace(flow.namespace)
        rule = str(decision.because or "")
        if rule and self._rule(f"{namespace} {rule}") is OTHER:
            rule = OTHER
        return namespace, rule, shown_verdict(decision.verdict, audit=flow.audit), decision.reason.value

    def _total(self, labels: Labels) -> Total:
        if labels not in self._totals:
            self._totals[labels] = Total()
        return self._totals[labels]


def _count(use: tuple[Total, bool], seen: Flow | Repeats) -> None:
    total, is_request = use
    if is_request:
        total.requests += seen.count
    else:
        total.connections += seen.count
    total.sent += seen.sent
    total.received += seen.received
