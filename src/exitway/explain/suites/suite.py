"""Expectations of rules, and whether they hold: calls that must be allowed, and calls that must be denied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from exitway.explain.explanation import Explanation, explain
from exitway.explain.scene import Scene
from exitway.explain.sheet import PlaceOf
from exitway.explain.target import Packet
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

    ``said``: the call as the user wrote it.
    ``rule``: as the user names it: ``stripe``, ``shop/stripe`` or ``egress-rule/shop/stripe``. ``at``: the moment; None: now.
    ``group`` and ``because`` are the user's words.
    """

    expected: Verdict
    said: str
    target: Call | Packet
    workload: Workload
    place: Place
    at: datetime | None = None
    reason: Reason | None = None
    rule: str = ""
    group: str = ""
    because: str = ""

    def __str__(self) -> str:
        return f"{self.expected} {self.said}"

    @property
    def who(self) -> str:
        """``shop, app=checkout``."""
        return ", ".join([self.workload.namespace, *(f"{key}={value}" for key, value in self.workload.labels.items())])


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a case, and in which of verdict, reason and rule it is not what was expected.

    ``place_of``: where its rules stand. Where the rules and the proxy's configuration disagree (a ``fault``), no test passes.
    """

    case: Case
    explanation: Explanation
    place_of: PlaceOf
    differs: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it is what was expected."""
        return not self.differs

    @property
    def decision(self) -> Decision:
        """What was decided."""
        return self.explanation.decision


class Stage:
    """Rules that cases are tried on.

    ``scene_of``: a workload under these rules, at a moment; ``place_of``: where they stand; ``now``: the moment of cases that name none.
    """

    def __init__(
        self, registry: Registry, scene_of: Callable[[Workload, datetime], Scene], place_of: PlaceOf, now: datetime
    ) -> None:
        self.registry = registry
        self.place_of = place_of
        self._scene_of = scene_of
        self._now = now
        self._scenes: dict[tuple[str, tuple[tuple[str, str], ...], datetime], Scene] = {}
        self._tried: list[Outcome] = []

    def outcome(self, case: Case) -> Outcome:
        """What comes of a case."""
        explanation = explain(self._scene(case), case.target)
        decision = explanation.decision
        differs = {
            "verdict": decision.verdict is not case.expected,
            "reason": case.reason not in (None, decision.reason),
            "rule": bool(case.rule) and not (decision.because and names(case.rule, decision.because)),
            "fault": bool(explanation.fault),
        }
        differing = tuple(what for what, other in differs.items() if other)
        self._tried.append(Outcome(case, explanation, self.place_of, differing))
        return self._tried[-1]

    def unused(self) -> list[Key]:
        """The rules that speak of no call that was tried: what they say could change, and no case would tell."""
        used = {outcome.decision.because for outcome in self._tried if outcome.decision.reason in _BY_RULE}
        cases: dict[int, list[tuple[Case, Call]]] = {}
        for case in (outcome.case for outcome in self._tried):
            if isinstance(case.target, Call):
                cases.setdefault(case.target.port, []).append((case, case.target))
        return [
            resource.key
            for resource in self.registry
            if resource.key not in used and not any(self._speaks(intent, cases) for intent in resource.intents)
        ]

    def _scene(self, case: Case) -> Scene:
        workload, at = case.workload, case.at or self._now
        key = workload.namespace, tuple(sorted(workload.labels.items())), at
        if key not in self._scenes:
            self._scenes[key] = self._scene_of(workload, at)
        return self._scenes[key]

    def _speaks(self, intent: Intent, cases: Mapping[int, Sequence[tuple[Case, Call]]]) -> bool:
        """Whether it alone would decide one of the calls. ``cases``: by port."""
        policies: dict[datetime, Policy] = {}
        for number in {port.number for target in intent.to for port in target.ports}:
            for case, call in cases.get(number, ()):
                if concerns(intent, case.workload):
                    at = case.at or self._now
                    policies[at] = policies.get(at) or compile_policy([intent], case.workload, at)
                    if decide(policies[at], call).reason in _BY_RULE:
                        return True
        return False


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


_BY_RULE = (Reason.RULE, Reason.DENIED)
