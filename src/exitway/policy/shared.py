"""What rules mean where the proxy is not the workload's own machine's: in a cluster, whose rules are not all of its administrator."""

from __future__ import annotations

from collections.abc import Iterable

from exitway.names.call import Sort
from exitway.names.guard import ALWAYS_NETWORKS
from exitway.names.key import Key
from exitway.names.port import Port, Protocol
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.intent import Action, Intent, Target

HELD = Key("egress-rule", SYSTEM_NAMESPACE, "never-from-a-pod", "exitway.dev")
"""A rule that nobody has made. It denies what rules for networks would let out to the node's loopback, to its link, or to metadata."""


def shared(intents: Iterable[Intent]) -> tuple[Intent, ...]:
    """What the intents mean there: nothing goes past the proxy, and no network, however wide or narrow, holds :data:`ALWAYS`."""
    proxied = tuple(intent.proxied for intent in intents)
    numbers = {number for intent in proxied if intent.action is Action.ALLOW for number in _opened(intent)}
    if not numbers:
        return proxied
    held = Target((), ALWAYS_NETWORKS, tuple(Port(number, Protocol.TCP) for number in sorted(numbers)))
    return (*proxied, Intent(HELD, (held,), action=Action.DENY))


def _opened(intent: Intent) -> Iterable[int]:
    """The ports at which it speaks of such an address."""
    for target in intent.to:
        if any(
            one.version == other.version and one.overlaps(other) for one in target.cidrs for other in ALWAYS_NETWORKS
        ):
            yield from (port.number for port in target.ports if port.sort is Sort.TCP)
