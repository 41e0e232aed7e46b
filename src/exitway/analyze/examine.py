"""All findings, of all sorts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exitway.analyze.disagreement import contradictions, origination
from exitway.analyze.facts import Facts
from exitway.analyze.finding import Finding
from exitway.analyze.lifetime import lifetime
from exitway.analyze.lookalike import lookalikes
from exitway.analyze.networks import networks
from exitway.analyze.patterns import shared_names
from exitway.analyze.pods import unheld
from exitway.analyze.protocols import protocols
from exitway.analyze.redundancy import redundant
from exitway.analyze.repetition import repeated
from exitway.analyze.resolution import resolution
from exitway.analyze.silence import silenced
from exitway.resources.intent import Intent
from exitway.resources.resource import Resource


def examine(resources: Sequence[Resource], facts: Facts) -> list[Finding]:
    """What is to be said of the rules, in their order: of two that say the same, the later one is superfluous. Each key is there once."""
    return list(silenced(_examine(resources, facts), resources))


def _examine(resources: Sequence[Resource], facts: Facts) -> Iterator[Finding]:
    yield from contradictions(resources)
    yield from lifetime(resources, facts)
    yield from unheld(facts.namespaces, facts.pods)
    in_force = [resource for resource in resources if not all(_is_over(intent, facts) for intent in resource.intents)]
    yield from origination(in_force)
    yield from redundant(in_force, facts.now)
    yield from repeated(in_force)
    yield from shared_names(in_force)
    yield from networks(in_force)
    yield from protocols(in_force)
    yield from lookalikes(in_force)
    yield from resolution(in_force, facts)


def _is_over(intent: Intent, facts: Facts) -> bool:
    return intent.expires is not None and intent.expires <= facts.now
