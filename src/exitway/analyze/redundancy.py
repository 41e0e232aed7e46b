"""Rules that change nothing. Without all those that are reported, every call is decided as before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from exitway.analyze.catalogue import found
from exitway.analyze.effect import Sample, effect
from exitway.analyze.finding import Finding
from exitway.analyze.overlap import Overlaps
from exitway.names.call import Reason
from exitway.names.words import listed
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.intent import Action, Intent
from exitway.resources.resource import Resource

_DEAD = "EXW2004"


def redundant(resources: Sequence[Resource], now: datetime) -> Iterator[Finding]:
    """Of rules that are in force. Of those that say the same, the first one stays."""
    in_force = [intent for resource in resources for intent in resource.intents]
    overlaps = Overlaps(in_force)
    for intent in reversed(in_force):
        others = overlaps.of(intent)
        if not others and intent.action is Action.ALLOW:
            continue
        changed, unchanged = effect(intent, others, now)
        if changed is None and unchanged and (finding := _finding(intent, others, unchanged)):
            yield finding
            if finding.code != _DEAD:  # what is dead shows what a DENY is for
                overlaps.remove(intent.key)


def _finding(intent: Intent, others: Sequence[Intent], samples: Sequence[Sample]) -> Finding | None:
    key = intent.key
    if same := next((other for other in others if _terms(other) == _terms(intent)), None):
        return found("EXW2003", key, f"it says the same as {same.key}", "take one of the two away", "metadata.name")
    denied = [sample for sample in samples if sample.without.reason is Reason.DENIED]
    if intent.action is Action.DENY and len(denied) < len(samples):
        if key.namespace == SYSTEM_NAMESPACE:
            return None  # a guard against the rules of all namespaces
        hint = "what no rule allows is denied anyway: take it away, or keep it as a guard and ignore this"
        return found("EXW2005", key, "nothing allows what it denies", hint, "spec.action")
    by = sorted({str(sample.without.because) for sample in samples if sample.without.because})
    if intent.action is Action.ALLOW and len(denied) == len(samples):
        hint = "take one of them away: a DENY wins over any ALLOW"
        return found(_DEAD, key, f"all that it allows is denied by {listed(by)}", hint, "metadata.name")
    hint = "take it away: nothing is decided otherwise without it"
    return found(
        "EXW2002", key, f"{listed(by)} {'says' if len(by) == 1 else 'say'} all of it already", hint, "metadata.name"
    )


def _terms(intent: Intent) -> object:
    """All that the intent says, whatever its order."""
    said = frozenset(
        (what, port, target.methods, target.paths, target.direct)
        for target in intent.to
        for what in (*target.hosts, *target.cidrs)
        for port in target.ports
    )
    return intent.key.namespace, intent.action, intent.selector, intent.expires, said
