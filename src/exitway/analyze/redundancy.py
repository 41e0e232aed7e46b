"""Rules that change nothing. Without all those that are reported, every call is decided as before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from exitway.analyze.catalogue import found
from exitway.analyze.effect import Trial, effect
from exitway.analyze.finding import Finding
from exitway.analyze.overlap import Overlaps
from exitway.names.call import Reason
from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.fields import destination_field
from exitway.resources.intent import Action, Intent, Target
from exitway.resources.resource import Resource

_SHOWN = 3
_DEAD = "EXW2004"


def redundant(resources: Sequence[Resource], now: datetime) -> Iterator[Finding]:
    """Of rules that say the same, the first one stays."""
    in_force = [
        intent
        for resource in resources
        for intent in resource.intents
        if intent.expires is None or intent.expires > now
    ]
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


def _finding(intent: Intent, others: Sequence[Intent], trials: Sequence[Trial]) -> Finding | None:
    key = intent.key
    if same := next((other for other in others if _terms(other) == _terms(intent)), None):
        return found("EXW2003", key, f"it says the same as {same.key}", "take one of the two away", "metadata.name")
    denied = [trial for trial in trials if trial.without.reason is Reason.DENIED]
    if intent.action is Action.DENY and len(denied) < len(trials):
        if key.namespace == SYSTEM_NAMESPACE:
            return None  # a guard against the rules of all namespaces
        hint = "what no rule allows is denied anyway: take it away, or keep it as a guard and ignore this"
        return found("EXW2005", key, "nothing allows what it denies", hint, "spec.action")
    by = _listed(trial.without.because for trial in trials)
    if intent.action is Action.ALLOW and len(denied) == len(trials):
        hint = "take one of them away: a DENY wins over any ALLOW"
        return found(_DEAD, key, f"all that it allows is denied by {by}", hint, "metadata.name")
    hint = "take it away: nothing is decided otherwise without it"
    return found("EXW2002", key, f"{by} says all of it already", hint, "metadata.name")


def repeated(resources: Iterable[Resource]) -> Iterator[Finding]:
    """Destinations that another one of the same rule covers."""
    for resource in resources:
        for intent in resource.intents:
            targets = intent.to
            for index, target in enumerate(targets):
                for at, host in enumerate(target.hosts):
                    wider = _covering(targets, index, at, host)
                    if wider is not None:
                        field = destination_field(resource, index, at)
                        message = f"{host} is covered by {wider} in the same rule"
                        yield found("EXW2007", resource.key, message, "take it away", field)


def _covering(targets: Sequence[Target], index: int, at: int, host: Host) -> Host | None:
    """Another destination of the rule that lets out, or denies, all that this one does; of two that are equal, the first."""
    for other_index, other in enumerate(targets):
        if not _says_all(other, targets[index]):
            continue
        for other_at, wider in enumerate(other.hosts):
            first = (other_index, other_at) < (index, at)
            equal = wider == host and (first or not _says_all(targets[index], other))
            if (equal and (other_index, other_at) != (index, at)) or (wider != host and wider.covers(host)):
                return wider
    return None


def _says_all(wider: Target, target: Target) -> bool:
    return (
        set(wider.ports) >= set(target.ports)
        and wider.direct == target.direct
        and (not wider.methods or (bool(target.methods) and set(wider.methods) >= set(target.methods)))
        and (not wider.paths or (bool(target.paths) and set(wider.paths) >= set(target.paths)))
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


def _listed(keys: Iterable[Key | None]) -> str:
    """The first few of them."""
    known = sorted({key for key in keys if key})
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(map(str, known[:_SHOWN])) + more
