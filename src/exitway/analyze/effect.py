"""What a rule changes: a call that is decided otherwise without it, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from exitway.analyze.samples import calls, workloads
from exitway.names.call import Call, Decision, Reason, Sort, Verdict
from exitway.names.guard import permitted
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import by_name, decide
from exitway.policy.policy import Policy
from exitway.resources.intent import Intent


@dataclass(frozen=True, slots=True)
class Sample:
    """A call of a workload at some time, and what it comes to without a rule that has a say in it."""

    workload: Workload
    call: Call
    time: datetime
    without: Decision


def effect(intent: Intent, others: Sequence[Intent], now: datetime) -> tuple[Sample | None, list[Sample]]:
    """A sample that the intent changes, if there is one, and those that it has a say in but does not change.

    ``others``: all that could have a say where it has (:meth:`~exitway.analyze.overlap.Overlaps.of`).
    """
    unchanged: list[Sample] = []
    for time in _times(intent, others, now):
        for workload in workloads(intent, others):
            before, after, alone = (
                compile_policy(these, workload, time) for these in ((intent, *others), others, (intent,))
            )
            for call in calls(intent, others):
                with_it, without = decide(before, call), decide(after, call)
                sample = Sample(workload, call, time, without)
                if _outcome(before, call, with_it) != _outcome(after, call, without):
                    return sample, unchanged
                if speaks(decide(alone, call)):
                    unchanged.append(sample)
    return None, unchanged


def speaks(decision: Decision) -> bool:
    """Whether a rule caused it, rather than that there is none."""
    return decision.allowed or decision.reason is Reason.DENIED


def _times(intent: Intent, others: Sequence[Intent], now: datetime) -> list[datetime]:
    """Now, and whenever one of the others ends, for as long as the intent holds."""
    ends = {other.expires for other in others if other.expires}
    return [now, *sorted(end for end in ends if end > now and (intent.expires is None or end < intent.expires))]


def _outcome(policy: Policy, call: Call, decision: Decision) -> tuple[object, ...]:
    """All of a decision that can be told from outside: not which rule caused it."""
    open_to_names = bool(call.address) and permitted(ip_address(call.address), call.port, policy.exceptions)
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
