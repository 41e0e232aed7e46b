"""What goes out through the kernel, past the proxy: what rules call direct, and the IP ranges that a workload was started with.

What is said there is not looked at. So a DENY for an address or a name, at a port, ends direct there, whatever protocol it speaks of.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from exitway.names.address import SYNTHETIC
from exitway.names.call import Call, Decision, Reason, Verdict
from exitway.names.host import Host
from exitway.names.key import Key
from exitway.resources.intent import Action, Intent, Network

At = TypeVar("At")


@dataclass(frozen=True)
class Direct:
    """``names`` and ``networks``: with a port, and the rule that says so. ``ranges``: at all ports. ``denied`` is excepted from both."""

    names: Mapping[tuple[str, int], Key] = field(default_factory=dict)
    networks: Mapping[tuple[Network, int], Key] = field(default_factory=dict)
    ranges: tuple[Network, ...] = ()
    denied: frozenset[tuple[Network, int]] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.names or self.networks or self.ranges)


def compile_direct(intents: Iterable[Intent], ranges: tuple[Network, ...]) -> Direct:
    """What these intents, all of which are in force, let out directly. Their order does not matter."""
    names: dict[tuple[str, int], Key] = {}
    networks: dict[tuple[Network, int], Key] = {}
    denied_names: set[tuple[Host, int]] = set()
    denied: set[tuple[Network, int]] = set()
    for intent in intents:
        for target in intent.to:
            ports = [port.number for port in target.ports]
            if intent.action is Action.DENY:
                denied_names |= {(host, port) for host in target.hosts for port in ports}
                denied |= {(network, port) for network in target.cidrs for port in ports}
            elif target.direct:
                _add(names, ((host.suffix, port) for host in target.hosts for port in ports), intent.key)
                _add(networks, ((network, port) for network in target.cidrs for port in ports), intent.key)
    for name, port in list(names):
        if any(port == at and host.matches(name) for host, at in denied_names):
            del names[name, port]
    return Direct(names, networks, ranges, frozenset(denied) if networks or ranges else frozenset())


def decide_direct(direct: Direct, call: Call) -> Decision | None:
    """The verdict where a call does not come to the proxy; None: it does. ``call.asked`` (or else its name) is what stands behind its address."""
    address = _address(call.address)
    if address is None or any(address in network for network in SYNTHETIC):
        rule = direct.names.get((call.name if call.asked is None else call.asked, call.port))
        return Decision(Verdict.ALLOW, Reason.RULE, rule, direct=True) if rule else None
    if any(port == call.port and address in network for network, port in direct.denied):
        return None
    rules = [rule for (network, port), rule in direct.networks.items() if port == call.port and address in network]
    if rules:
        return Decision(Verdict.ALLOW, Reason.RULE, min(rules), direct=True)
    if any(address in network for network in direct.ranges):
        return Decision(Verdict.ALLOW, Reason.RANGE, direct=True)
    return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _add(known: dict[At, Key], more: Iterable[At], rule: Key) -> None:
    for at in more:
        known[at] = min(known.get(at, rule), rule)
