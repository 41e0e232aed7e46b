"""The destinations of rules, one by one, each with the place where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exitway.names.host import Host
from exitway.names.key import Key
from exitway.resources.fields import destination_field, port_field
from exitway.resources.intent import Action, Intent, Network, Target
from exitway.resources.resource import Resource


@dataclass(frozen=True, slots=True)
class Destination:
    """A name, a pattern or a network (``what``) that a rule speaks of. ``index``: of its target; ``at``: its own, in that."""

    resource: Resource
    intent: Intent
    target: Target
    index: int
    at: int
    what: Host | Network

    @property
    def key(self) -> Key:
        """The rule's."""
        return self.resource.key

    @property
    def allowed(self) -> bool:
        """Whether the rule lets out what goes there."""
        return self.intent.action is Action.ALLOW

    @property
    def field(self) -> str:
        """Where it stands."""
        return destination_field(self.resource, self.index, self.at)

    def port_field(self, number: int) -> str:
        """Where one of its ports stands."""
        return port_field(self.resource, self.index, number)


def destinations(resources: Iterable[Resource]) -> Iterator[Destination]:
    """Those of all rules, in the order of the rules."""
    for resource in resources:
        for intent in resource.intents:
            for index, target in enumerate(intent.to):
                for at, what in enumerate((*target.hosts, *target.cidrs)):
                    yield Destination(resource, intent, target, index, at, what)
