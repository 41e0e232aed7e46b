"""Which way a workload's packets go, as far as that depends on rules: the content of sets in its ruleset. Pure.

    TCP to an address and port                      goes
    that a rule calls direct, or in an IP range     out, past the proxy (``loading.py``)
    that a TCP rule allows                          to the proxy's listener that waits for nothing to be said
    else                                            to its listener that looks for names

Between the two listeners the sets protect nothing: both deny what they do not know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, collapse_addresses, ip_address, ip_network
from typing import Any

from exitway.names.address import LINK_IPV4, LINK_IPV6, SYNTHETIC, Pinned
from exitway.names.call import Sort, Verdict
from exitway.names.ranges import without
from exitway.policy.decide import by_name
from exitway.policy.policy import Policy
from exitway.resources.intent import Network

Destination = tuple[Network, int]
"""A network and a port on all its addresses."""

Lead = tuple[IPv4Address | IPv6Address, int, IPv4Address | IPv6Address | None]
"""A name's synthetic address, a port, and the address of the same family that it stands for; None: the name has none."""

_INSIDE = (
    *SYNTHETIC,
    ip_network("127.0.0.0/8"),
    ip_network("::1/128"),
    ip_network(f"{LINK_IPV4}/16"),
    ip_network(f"{LINK_IPV6}/64"),
)
"""What means something inside only, or between a workload and the machine."""


@dataclass(frozen=True, slots=True)
class Steering:
    """``tcp``: destinations where no protocol is looked for, so that servers may speak first.

    Past the proxy: ``direct`` destinations, ``ranges`` at all ports, both without what is ``denied``; and the ports of ``names``.
    Within each of them, no two networks overlap.
    """

    tcp: frozenset[Destination] = frozenset()
    direct: frozenset[Destination] = frozenset()
    ranges: frozenset[Network] = frozenset()
    denied: frozenset[Destination] = frozenset()
    names: frozenset[Lead] = frozenset()

    @property
    def goes_direct(self) -> bool:
        """Whether anything goes past the proxy."""
        return bool(self.direct or self.ranges or self.names)

    def leads(self, address: str, port: int) -> bool:
        """Whether what is sent to this address and port goes past the proxy."""
        sought = ip_address(address)
        if any((sought, port) == (synthetic, at) for synthetic, at, _ in self.names):
            return True
        if any(port == at and sought in network for network, at in self.denied):
            return False
        return any(port == at and sought in network for network, at in self.direct) or any(
            sought in network for network in self.ranges
        )


def steering(policy: Policy, pinned: Pinned, leads: Iterable[Lead] = ()) -> Steering:
    """What a policy means for the ruleset of a workload with these names. ``leads``: of the names that it calls direct."""
    tcp = (
        (network, port)
        for network, permissions in policy.networks.items()
        for (port, sort), said in permissions.items()
        if sort is Sort.TCP and said[0].verdict is Verdict.ALLOW
    )
    named = {
        (ip_network(address), port)
        for name, addresses in pinned.items()
        for port, sort in by_name(policy, name)
        if sort is Sort.TCP
        for address in addresses
    }
    direct = policy.direct
    return Steering(
        tcp=frozenset(_collapsed(tcp)) | named,
        direct=frozenset(_collapsed(direct.networks)),
        ranges=frozenset(network for network, _ in _collapsed((network, 0) for network in direct.ranges)),
        denied=frozenset(_collapsed(direct.denied)),
        names=frozenset(leads),
    )


def set_contents(steering: Steering) -> Mapping[str, list[str]]:
    """The elements of every set and map of the ruleset, by its name (``ruleset.py``, ``loading.py``)."""
    contents: dict[str, list[str]] = {}
    for version in (4, 6):
        for name, destinations in (("tcp", steering.tcp), ("direct", steering.direct), ("denied", steering.denied)):
            contents[f"{name}{version}"] = sorted(
                f"{network} . {port}" for network, port in destinations if network.version == version
            )
        contents[f"ranges{version}"] = sorted(str(network) for network in steering.ranges if network.version == version)
        leads = [(f"{one} . {port}", lead) for one, port, lead in steering.names if one.version == version]
        contents[f"named{version}"] = sorted(at for at, _ in leads)
        contents[f"absent{version}"] = sorted(at for at, lead in leads if lead is None)
        contents[f"leads{version}"] = sorted(f"{at} : {lead}" for at, lead in leads if lead is not None)
    return contents


def _collapsed(destinations: Iterable[Destination]) -> Iterator[Destination]:
    """The same without overlaps, which the kernel refuses, and without addresses that mean something inside only."""
    by_port: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
    for network, port in destinations:
        by_port[network.version, port] += without(network, _INSIDE)
    for (_, port), networks in by_port.items():
        yield from ((network, port) for network in collapse_addresses(networks))
