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


def exceptions(policy: Policy) -> set[Excepted]:
    """Where names may lead although the address is private: where a rule for its network lets this workload go."""
    direct = policy.direct.networks.keys() - policy.direct.denied
    return {(network, port, True) for network, port in direct if is_private(network)} | {
        (network, port, said[0].verdict is Verdict.ALLOW)
        for network, permissions in policy.networks.items()
        if is_private(network)
        for (port, sort), said in permissions.items()
        if sort is Sort.TCP
    }
