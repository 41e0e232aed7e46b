"""Expectations of rules, and whether they hold: calls that must be allowed, and calls that must be denied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from exitway.explain.target import Packet, call_text
from exitway.names.call import Call, Decision, Reason, Verdict
from exitway.names.key import Key
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy, concerns
from exitway.policy.decide import decide
from exitway.policy.policy import Policy
from exitway.resources.intent import Intent
from exitway.resources.problem import Place
from exitway.resources.registry import Registry


@dataclass(frozen=True)
class Case:
    """One expectation: this call of this workload gets this verdict, with this reason and by this rule where they are given.

    ``rule``: as the user names it: ``stripe``, ``shop/stripe`` or ``egress-rule/shop/stripe``. ``at``: the moment; None: now.
    ``group`` and ``because`` are the user's words.
    """

    expected: Verdict
    target: Call | Packet
    workload: Workload
    place: Place
    at: datetime | None = None
    reason: Reason | None = None
    rule: str = ""
    group: str = ""
    because: str = ""

    def __str__(self) -> str:
        return f"{self.expected} {target_text(self.target)}"

    @property
    def who(self) -> str:
        """``shop, app=checkout``."""
        return ", ".join([self.workload.namespace, *(f"{key}={value}" for key, value in self.workload.labels.items())])


@dataclass(frozen=True)
class Outcome:
    """What was decided of a case, and in which of verdict, reason and rule it is not what was expected."""

    case: Case
    decision: Decision
    differs: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it is what was expected."""
        return not self.differs


class Trial:
    """Rules that cases are tried on. ``now``: the moment of those that name none."""

    def __init__(self, registry: Registry, now: datetime) -> None:
        self.registry = registry
        self._now = now
        self._policies: dict[tuple[str, tuple[tuple[str, str], ...], datetime], Policy] = {}

    def outcome(self, case: Case) -> Outcome:
        """What comes of a case."""
        decision = self._decision(case)
        differs = {
            "verdict": decision.verdict is not case.expected,
            "reason": case.reason not in (None, decision.reason),
            "rule": bool(case.rule) and not (decision.because and names(case.rule, decision.because)),
        }
        return Outcome(case, decision, tuple(what for what, other in differs.items() if other))

    def policy(self, case: Case) -> Policy:
        """What the rules mean for the workload of the case."""
        workload, at = case.workload, case.at or self._now
        key = workload.namespace, tuple(sorted(workload.labels.items())), at
        if key not in self._policies:
            self._policies[key] = compile_policy(self.registry.intents_for(workload.namespace), workload, at)
        return self._policies[key]

    def unused(self, outcomes: Sequence[Outcome]) -> list[Key]:
        """The rules that speak of no call of these: what they say could change, and no case would tell."""
        used = {outcome.decision.because for outcome in outcomes if outcome.decision.reason in _BY_RULE}
        cases = [outcome.case for outcome in outcomes]
        return [
            resource.key
            for resource in self.registry
            if resource.key not in used and not any(self._speaks_of(resource.intents, case) for case in cases)
        ]

    def _decision(self, case: Case) -> Decision:
        if isinstance(case.target, Packet):
            return Decision(Verdict.DENY, Reason.NOT_CAPTURED)
        return decide(self.policy(case), case.target)

    def _speaks_of(self, intents: Iterable[Intent], case: Case) -> bool:
        """Whether these alone would decide the call."""
        if isinstance(case.target, Packet):
            return False
        own = [intent for intent in intents if concerns(intent, case.workload)]
        return (
            bool(own)
            and decide(compile_policy(own, case.workload, case.at or self._now), case.target).reason in _BY_RULE
        )


def names(word: str, key: Key) -> bool:
    """Whether a user's word for a rule means this one: its name, with its namespace, or with its type as well."""
    parts = word.split("/")
    return parts == [key.type, key.namespace, key.name][-len(parts) :]


def chosen(cases: Iterable[Case], keyword: str) -> Iterator[Case]:
    """The cases in whose words, call or file the keyword stands, in upper or lower case."""
    wanted = keyword.lower()
    for case in cases:
        said = (case.place.file, case.group, case.because, str(case), case.who)
        if any(wanted in text.lower() for text in said):
            yield case


def target_text(target: Call | Packet) -> str:
    """A call as people write it."""
    if isinstance(target, Call):
        return call_text(target)
    return f"{target.protocol} {target.name or target.address}:{target.port}"


_BY_RULE = (Reason.RULE, Reason.DENIED)

Places = Mapping[Key, Place]
"""Where rules stand."""
