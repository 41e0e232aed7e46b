"""The whole answer about one call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from exitway.explain.caveats import caveats, inward_text, is_inward
from exitway.explain.least import rules_for
from exitway.explain.near import Near, nearest, target_of
from exitway.explain.scene import Scene, Way
from exitway.explain.target import Packet
from exitway.names.call import Call, Decision, Reason, Verdict
from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.request import is_plain
from exitway.names.workload import SYSTEM_NAMESPACE, lasting
from exitway.policy.decide import decide
from exitway.resources import kinds
from exitway.resources.conflicts import conflicts
from exitway.resources.intent import Action
from exitway.resources.resource import Resource


@dataclass(frozen=True, eq=False)
class Explanation:
    """``decision`` is of ``policy.decide``, ``way`` of ``envoy.simulate``. All else is worked out when it is asked for."""

    scene: Scene
    asked: Call | Packet
    decision: Decision
    way: Way = Way()  # noqa: RUF009 - frozen

    @property
    def allowed(self) -> bool:
        """Whether the call leaves: what the rules say, and the proxy does."""
        return self.decision.allowed and not self.fault

    @property
    def fault(self) -> str:
        """Says that the two are not of one opinion; empty: they are."""
        if (
            self._call is None
            or self.decision.verdict is self.way.verdict
            or (self.decision.allowed and self.way.nowhere)
        ):
            return ""
        verdicts = f"the rules say {self.decision.verdict}, and the proxy's configuration {self.way.verdict}"
        return f"{verdicts}: this is a fault of Exitway"

    @cached_property
    def near(self) -> tuple[Near, ...]:
        """For a denial, the nearest rules."""
        call = self._call
        return nearest(self.scene, call, self.decision.because) if call and not self.decision.allowed else ()

    @cached_property
    def target(self) -> int | None:
        """Which destination of the rule that decided speaks of the call (an index); None: that is not known."""
        rule, call = self.decision.because, self._call
        if rule is None or call is None:
            return None
        if self.decision.allowed:
            return target_of(self.scene, call, rule)
        return next((one.target for one in self.near if one.rule == rule), None)

    @cached_property
    def least(self) -> dict[str, Any] | None:
        """The wire form of the smallest rule with which the call would be allowed; None: it is allowed, or ``why_none``."""
        call = self._call
        return least_that_allows(self.scene, call) if call and not self.decision.allowed else None

    @cached_property
    def why_none(self) -> str:
        """Why there is no such rule; empty: there is, or the call is allowed."""
        if isinstance(self.asked, Packet):
            return f"{self.asked.protocol} is refused, whatever rules say: nothing but TCP leaves"
        return "" if self.decision.allowed or self.least else _why_none(self.scene, self.asked, self.decision)

    @cached_property
    def caveats(self) -> tuple[str, ...]:
        """What the verdict does not say, and the program will see all the same."""
        call = self._call
        found = tuple(caveats(self.scene, call, self.decision, self.way)) if call else ()
        everywhere = self.least and self.scene.workload.namespace == SYSTEM_NAMESPACE
        return (*found, _EVERYWHERE) if everywhere else found

    @cached_property
    def _call(self) -> Call | None:
        return self.scene.located(self.asked) if isinstance(self.asked, Call) else None


_EVERYWHERE = f"a rule of {SYSTEM_NAMESPACE} lets it out of every namespace"


def explain(scene: Scene, asked: Call | Packet) -> Explanation:
    """Why a call is allowed or denied, and what would change it."""
    if isinstance(asked, Packet):
        return Explanation(scene, asked, Decision(Verdict.DENY, Reason.NOT_CAPTURED))
    call = scene.located(asked)
    return Explanation(scene, asked, decide(scene.policy, call), scene.way(call))


def least_that_allows(scene: Scene, call: Call) -> dict[str, Any] | None:
    """The smallest rule with which the verdict becomes ALLOW, tried with those that there are; None: none does, or none should."""
    if not call.asked and is_inward(call.address):
        return None
    for rule in _candidates(scene, call):
        if not conflicts(scene.registry, rule):
            with_it = scene.with_rule(rule)
            if decide(with_it.policy, call).allowed and with_it.way(call).verdict is Verdict.ALLOW:
                return dict(rule.wire)
    return None


def _candidates(scene: Scene, call: Call) -> Iterator[Resource]:
    """Rules that speak of the call, the smallest first; then those that say of TLS what others say there already."""
    for tls in (None, *_said_of_tls(scene, call)):
        for wire in rules_for(call, scene.workload.namespace, labels=lasting(scene.workload.labels), tls=tls):
            name = _free_name(scene, wire["metadata"]["name"])
            yield kinds.read({**wire, "metadata": {**wire["metadata"], "name": name}})


def _said_of_tls(scene: Scene, call: Call) -> list[dict[str, Any]]:
    """What rules for this destination say of who speaks TLS with it, as it is written; the rule of another workload, too."""
    claims = [scene.registry.claims_in(name) for name in sorted({scene.workload.namespace, SYSTEM_NAMESPACE})]
    said = {
        one.ca_file
        for table in (table for claim in claims for table in (claim.clear_text, claim.vouchers))
        for host in table.of(Host(call.name))
        for one in table[host]
        if call.port in one.ports
    }
    over_tls = {"originateTLS": True}
    return [{} if file is None else over_tls | ({"caFile": file} if file else {}) for file in sorted(said, key=str)]


def _free_name(scene: Scene, name: str) -> str:
    """A name that no rule of the namespace has."""
    taken = {resource.key.name for resource in scene.registry.resources_in(scene.workload.namespace)}
    tries = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 2)))
    return next(one for one in tries if one not in taken)


def _why_none(scene: Scene, call: Call, decision: Decision) -> str:
    if not call.asked and is_inward(call.address):
        return inward_text(call.address)
    if decision.reason is Reason.DENIED:
        return f"{_short(decision.because)} denies it, and DENY wins over any ALLOW"
    if denying := [intent.key for intent in scene.intents if intent.action is Action.DENY and not intent.to]:
        return f"{_short(min(denying))} cannot be read, and stands for a DENY of everything"
    if decision.reason is Reason.PATH and not is_plain(call.path):
        return f"{_short(decision.because)} speaks of paths there, and then nothing leaves whose path servers do not read alike"
    if not call.path.startswith("/"):
        return f"{call.method} has no path, and is never allowed"
    if decision.reason is Reason.MISMATCH:
        return f"what is said ({call.name or 'no name'}) is not the name that was asked for"
    if problem := next(
        (problem for rule in _candidates(scene, call) for problem in conflicts(scene.registry, rule)), None
    ):
        return f"a rule for it would contradict another: {problem.message}"
    return f"no rule can name {call.name or call.asked or call.address}"


def _short(key: Key | None) -> str:
    return f"rule {key.namespace}/{key.name}" if key else "a rule"
