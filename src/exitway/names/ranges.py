"""IP ranges that a workload reaches directly, as Istio's ``--includeIPRanges`` and ``--excludeIPRanges`` say it.

https://istio.io/latest/docs/tasks/traffic-management/egress/egress-control/#direct-access-to-external-services
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import collapse_addresses, ip_network
from typing import Any

from exitway.names.guard import ALWAYS, NEVER, Network

_HOLES = tuple(map(ip_network, (*ALWAYS, *NEVER)))
"""No range, however wide, means these."""
_EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def direct_ranges(include: Sequence[Network] | None, exclude: Sequence[Network]) -> tuple[Network, ...]:
    """What goes past the proxy: the excluded ranges, and everything but the included ones (None: all are included)."""
    rest = [] if include is None else [part for network in _EVERYTHING for part in without(network, include)]
    parts = {part for network in (*rest, *exclude) for part in without(network, _HOLES)}
    return tuple(sorted(parts, key=lambda network: (network.version, network)))


def without(network: Network, holes: Iterable[Network]) -> list[Network]:
    """The parts of a network that are in none of the others."""
    parts = [network]
    for hole in holes:
        parts = [rest for part in parts for rest in _rest(part, hole)]
    return parts


def joined(networks: Iterable[Network], version: int) -> list[Network]:
    """Those of one IP version, as few as they can be and without overlaps, which an interval set of nftables does not take."""
    of_it: list[Any] = [network for network in networks if network.version == version]
    return list(collapse_addresses(of_it))


def _rest(network: Network, hole: Any) -> Iterable[Network]:
    if network.version != hole.version or not network.overlaps(hole):
        return (network,)
    return network.address_exclude(hole) if hole.subnet_of(network) else ()
