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
from exitway.analyze.redundancy import redundant, repeated
from exitway.analyze.resolution import resolution
from exitway.analyze.silence import silenced
from exitway.resources.resource import Resource


def examine(resources: Sequence[Resource], facts: Facts) -> list[Finding]:
    """What is to be said of the rules, in their order: of two that say the same, the later one is superfluous. Each key is there once."""
    return list(silenced(_examine(resources, facts), resources))


def _examine(resources: Sequence[Resource], facts: Facts) -> Iterator[Finding]:
    yield from contradictions(resources)
    yield from origination(resources)
    yield from redundant(resources, facts.now)
    yield from repeated(resources)
    yield from shared_names(resources)
    yield from networks(resources)
    yield from protocols(resources)
    yield from lookalikes(resources)
    yield from lifetime(resources, facts)
    yield from resolution(resources, facts)
    yield from unheld(facts.namespaces, facts.pods)
