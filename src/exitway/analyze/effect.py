"""What a rule changes: a call that is decided otherwise without it, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from exitway.analyze.trial import address_of, calls, is_address, workloads
from exitway.names.call import Call, Decision, Reason, Sort, Verdict
from exitway.names.guard import permitted
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import by_name, decide
from exitway.policy.policy import Policy
from exitway.resources.intent import Intent


@dataclass(frozen=True, slots=True)
class Trial:
    """What a call of a workload comes to at some time, with a rule and without it; ``alone``: with nothing but that rule."""

    workload: Workload
    call: Call
    time: datetime
    with_it: Decision
    without: Decision
    alone: Decision


def effect(intent: Intent, others: Sequence[Intent], now: datetime) -> tuple[Trial | None, list[Trial]]:
    """A trial that the intent changes, if there is one, and those that it has a say in but does not change.

    ``others``: all that could have a say where it has (:meth:`~exitway.analyze.overlap.Overlaps.of`).
    """
    unchanged: list[Trial] = []
    for trial, changed in _trials(intent, others, now):
        if changed:
            return trial, unchanged
        if trial.alone.allowed or trial.alone.reason is Reason.DENIED:
            unchanged.append(trial)
    return None, unchanged


def _trials(intent: Intent, others: Sequence[Intent], now: datetime) -> Iterator[tuple[Trial, bool]]:
    """Each with whether it comes to something else without the intent."""
    for time in _times(intent, others, now):
        for workload in workloads(intent, others):
            before, after = compile_policy((intent, *others), workload, time), compile_policy(others, workload, time)
            alone = compile_policy((intent,), workload, time)
            for call in calls(intent, others):
                decisions = (decide(policy, call) for policy in (before, after, alone))
                changed = _outcome(before, call) != _outcome(after, call)
                yield Trial(workload, call, time, *decisions), changed


def _times(intent: Intent, others: Sequence[Intent], now: datetime) -> list[datetime]:
    """Now, and whenever one of the others ends, for as long as the intent holds."""
    ends = {other.expires for other in others if other.expires}
    return [now, *sorted(end for end in ends if end > now and (intent.expires is None or end < intent.expires))]


def _outcome(policy: Policy, call: Call) -> tuple[object, ...]:
    """All of a decision that can be told from outside: not which rule caused it."""
    decision = decide(policy, call)
    open_to_names = is_address(call) and permitted(address_of(call), call.port, policy.exceptions)
    return decision.verdict, decision.direct, open_to_names, _beyond(policy, call, decision)


def _beyond(policy: Policy, call: Call, decision: Decision) -> tuple[bool, str] | None:
    """Whether the proxy speaks TLS for the request, and by whose certificates."""
    if call.sort is not Sort.HTTP or not decision.allowed or decision.direct:
        return None
    said = by_name(policy, call.name).get((call.port, call.sort), ())
    return next(
        (
            (one.port.originate_tls, one.port.ca_file)
            for one in said
            if one.verdict is Verdict.ALLOW and one.speaks_of(call.method, call.path)
        ),
        None,
    )
