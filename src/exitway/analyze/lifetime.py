"""Rules that have had their day, and rules that nobody is there for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from exitway.analyze.catalogue import found
from exitway.analyze.facts import Facts
from exitway.analyze.finding import Finding
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.policy.compile import concerns
from exitway.resources.intent import Action, Intent
from exitway.resources.resource import Resource


def lifetime(resources: Sequence[Resource], facts: Facts) -> Iterator[Finding]:
    """One finding for a rule: whether it is used matters no more when it has expired."""
    for resource in resources:
        for intent in resource.intents:
            if intent.expires is not None and intent.expires <= facts.now:
                yield _expired(intent, intent.expires)
                continue
            if intent.expires is not None and intent.expires - facts.now <= facts.expires_within:
                yield _expiring(intent, intent.expires, facts.now)
            yield from _unused(intent, facts)
            yield from _nobody(intent, facts)
            yield from _everybody(intent)


def _expired(intent: Intent, expires: datetime) -> Finding:
    ended = "denies nothing" if intent.action is Action.DENY else "allows nothing"
    message = f"it expired at {_text(expires)}, and {ended} since"
    return found("EXW2030", intent.key, message, "take it away, or give it a later time", "spec.expires")


def _expiring(intent: Intent, expires: datetime, now: datetime) -> Finding:
    then = "no longer denied" if intent.action is Action.DENY else "denied"
    message = f"it expires in {_span(expires - now)}, at {_text(expires)}: what it speaks of is {then} from then on"
    return found("EXW2031", intent.key, message, "give it a later time, or let it go", "spec.expires")


def _unused(intent: Intent, facts: Facts) -> Iterator[Finding]:
    """A DENY that nobody has met does what it is for. What is younger than the time asked about cannot be called unused."""
    if facts.use is None or intent.action is Action.DENY:
        return
    before = facts.now - facts.unused_for
    if facts.use.since > before or facts.created.get(intent.key, before) > before:
        return
    last = facts.use.last.get(str(intent.key))
    if last is None or last <= before:
        ever = f"last at {_text(last)}" if last else f"nor since {_text(facts.use.since)}, when the records begin"
        message = f"nothing has used it for {_span(facts.unused_for)}, {ever}"
        yield found("EXW2032", intent.key, message, "take it away, if nobody will need it", "metadata.name")


def _nobody(intent: Intent, facts: Facts) -> Iterator[Finding]:
    """Only where the namespace has workloads at all: without them, no rule has any."""
    if facts.running is None or not intent.selector.match_labels:
        return
    here = [one for one in facts.running if intent.key.namespace in (one.namespace, SYSTEM_NAMESPACE)]
    if here and not any(concerns(intent, one) for one in here):
        labels = " and ".join(f"{name}={value}" for name, value in intent.selector.match_labels)
        message = f"none of the {len(here)} running workloads that it could be for has the labels {labels}"
        hint = "mend the selector, or the labels; a rule for what runs now and then is well as it is"
        yield found("EXW2033", intent.key, message, hint, "spec.workloadSelector.matchLabels")


def _everybody(intent: Intent) -> Iterator[Finding]:
    if intent.key.namespace == SYSTEM_NAMESPACE and intent.action is Action.ALLOW and not intent.selector.match_labels:
        message = f"in namespace {SYSTEM_NAMESPACE}, it allows what it says to every workload of every namespace"
        hint = "put it into the namespaces that need it, or give it a workloadSelector"
        yield found("EXW2020", intent.key, message, hint, "metadata.namespace")


def _text(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _span(span: timedelta) -> str:
    """Rounded down, as ``30 days`` or ``5 hours``."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        number = int(span.total_seconds()) // length
        if number:
            return f"{number} {unit}{'s' * (number > 1)}"
    return "less than a minute"
