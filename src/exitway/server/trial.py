"""One workload tried under given rules, nothing served: the same program works out the same snapshot as for a workload that runs.

What the kernel decides before the proxy sees a packet (its listener, or past it) is worked out from what the ruleset would be told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from ipaddress import ip_address

from exitway.capture.steering import Lead, Steering, steering
from exitway.dns.synthetic import SyntheticAddresses
from exitway.envoy.listener import Proxy
from exitway.envoy.simulate import simulate
from exitway.envoy.snapshot import Snapshot
from exitway.explain.scene import Way
from exitway.names.address import Pinned
from exitway.names.call import Call
from exitway.names.guard import Network
from exitway.names.workload import Workload
from exitway.policy.policy import Policy
from exitway.policy.shared import shared
from exitway.resources.intent import Intent
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource
from exitway.server.program import Member, Program

logging.getLogger("exitway").addHandler(logging.NullHandler())
"""Where nobody listens, what serving would log is not shown: who asks is told it as part of the answer."""

_ID = "trial"
_PROXY = Proxy("127.0.0.1:53", 0, "/dev/null")


@dataclass(frozen=True)
class Trial:
    """A scene (:class:`exitway.explain.scene.Scene`). ``brought``: of the workload's own rules; ``ranges``: what it reaches directly.

    ``direct``: whether anything may go past the proxy. ``audit``: what is denied is only recorded; the way is still that of what is enforced.
    """

    registry: Registry
    workload: Workload
    now: datetime
    brought: tuple[Intent, ...] = ()
    ranges: tuple[Network, ...] = ()
    direct: bool = True
    audit: bool = False
    _before: Program | None = field(default=None, repr=False, compare=False)
    _addresses: SyntheticAddresses = field(default_factory=SyntheticAddresses, repr=False, compare=False)

    @cached_property
    def intents(self) -> tuple[Intent, ...]:
        """All that is said, to whomever, and what the workload brought."""
        said = tuple(intent for resource in self.registry for intent in resource.intents) + self.brought
        return said if self.direct else shared(said)

    @property
    def policy(self) -> Policy:
        """What the rules mean for the workload."""
        return self._program.policies[_ID]

    def located(self, call: Call) -> Call:
        """The call with the name's own address where none is given."""
        if call.address or not call.asked:
            return call
        return replace(call, address=self._addresses.address_of(call.asked).ipv4)

    def way(self, call: Call) -> Way:
        """Which way a located call takes."""
        pinned = self._pinned(call.asked)
        known = self._ways.get(tuple(pinned))
        if known is None:
            known = steering(self.policy, pinned, self._leads(pinned)), self._program.snapshot({_ID: pinned})
            self._ways[tuple(pinned)] = known
        steered, snapshot = known
        if steered.leads(call.address, call.port):
            return Way()
        listener = f"{_listener(steered, call)}/{_ID}"
        return Way(listener.partition("/")[0], simulate(snapshot, listener, call))

    def with_rule(self, rule: Resource) -> Trial:
        """The same with one more rule, or with another one in its place."""
        registry = self.registry.changed([rule], revision=self.registry.revision + 1)
        return replace(self, registry=registry, _before=self._program)

    @cached_property
    def _program(self) -> Program:
        program = self._before.fork() if self._before else Program(_PROXY, direct=self.direct)
        member = Member(_ID, self.workload, f"/run/netns/{_ID}", self.brought, ranges=self.ranges)
        program.compile(self.registry, [member], self.now)
        return program

    @cached_property
    def _ways(self) -> dict[tuple[str, ...], tuple[Steering, Snapshot]]:
        """By the names that are pinned."""
        return {}

    def _pinned(self, asked: str | None) -> Pinned:
        """The names that are enforced by their addresses, as the engine pins them: those of patterns when they are asked for."""
        exact = {str(host) for host in self.policy.tcp_hosts if not host.wildcard}
        exact |= {name for name, _ in self.policy.direct.names}
        if asked and any(host.matches(asked) for host in self.policy.tcp_hosts if host.wildcard):
            exact.add(asked)
        return {name: self._addresses.address_of(name) for name in sorted(exact)}

    def _leads(self, pinned: Pinned) -> Iterable[Lead]:
        """What is direct by name. Where it leads is nobody's question here."""
        for name, port in self.policy.direct.names:
            yield from ((ip_address(address), port, None) for address in pinned[name])


def _listener(steered: Steering, call: Call) -> str:
    dialled = ip_address(call.address)
    waits_for_nothing = any(
        port == call.port and dialled.version == network.version and dialled in network for network, port in steered.tcp
    )
    return "tcp" if waits_for_nothing else "out"
