"""What one workload may reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from exitway.names.call import Sort, Verdict
from exitway.names.guard import Excepted, is_private
from exitway.names.host import Host
from exitway.policy.direct import Direct
from exitway.resources.intent import Network, Permissions


@dataclass(frozen=True)
class Policy:
    """Names, networks, what goes past the proxy, and until when this is true. The first two do not hold what is direct.

    ``audit``: the verdicts are recorded, and not carried out.

    ``hosts`` is flat: the permissions of a pattern already contain those of every wider pattern, so the most specific pattern that matches
    a name decides alone. That is how Envoy chooses a virtual host, too.
    """

    hosts: Mapping[Host, Permissions] = field(default_factory=dict)
    networks: Mapping[Network, Permissions] = field(default_factory=dict)
    direct: Direct = field(default_factory=Direct)
    valid_until: datetime | None = None
    audit: bool = False

    @cached_property
    def tcp_hosts(self) -> tuple[Host, ...]:
        """The names and patterns that a rule for TCP speaks of: the address that is dialled must say which name it is."""
        return tuple(
            host for host, permissions in self.hosts.items() if any(sort is Sort.TCP for _, sort in permissions)
        )

    @cached_property
    def suffix_lengths(self) -> tuple[int, ...]:
        """Of its patterns, the longest first: only these have to be looked for in a name, however long that is."""
        return tuple(sorted({len(host.suffix) for host in self.hosts if host.wildcard}, reverse=True))

    @cached_property
    def exceptions(self) -> frozenset[Excepted]:
        """Where names may lead although the address is private: where a rule for its network lets this workload go."""
        direct = {(network, port, True) for network, port in self.direct.networks if is_private(network)}
        denied = {(network, port, False) for network, port in self.direct.denied if is_private(network)}
        proxied = {
            (network, port, said[0].verdict is Verdict.ALLOW)
            for network, permissions in self.networks.items()
            if is_private(network)
            for (port, sort), said in permissions.items()
            if sort is Sort.TCP
        }
        allowed = {one for one in direct if not any(_within(one, other) for other in denied)}
        return frozenset(proxied | allowed | denied)


def _within(one: Excepted, other: Excepted) -> bool:
    (network, port, _), (wider, at, _) = one, other
    return port == at and network.version == wider.version and network.subnet_of(wider)  # type: ignore[arg-type]
