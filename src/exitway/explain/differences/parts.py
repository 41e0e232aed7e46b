"""All calls, cut into parts within which no rule of a set makes a difference; and for each part a call that is in it.

A rule speaks of names by patterns, of addresses by networks, of paths by prefixes. Two of a kind are nested or have nothing in common, so a part
is what one of them matches and no narrower one does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from exitway.names.address import SYNTHETIC
from exitway.names.example import method_beside, name_in, path_in
from exitway.names.host import Host
from exitway.names.request import decoded
from exitway.resources.intent import Network

_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_OUTSIDE = (ip_network("198.51.100.0/24"), ip_network("2001:db8::/32"), *_EVERYWHERE)


def wider_hosts(host: Host) -> Iterator[Host]:
    """The pattern, and all that match whatever it matches, the narrowest first."""
    yield host
    yield from (Host(host.suffix[at:], wildcard=True) for at in range(1, len(host.suffix) + 1))


def address_in(network: Network, known: Iterable[Network]) -> str | None:
    """An address of the network, and of no narrower one of those known; None: they leave none.

    Where some are left, the first of the network is one, or one that follows the last of a narrower one. Addresses behind which names stand
    are never looked up.
    """
    narrower = [one for one in (*known, *SYNTHETIC) if one != network and _within(one, network)]
    starts = [int(network.network_address)]
    afters = [int(one.broadcast_address) + 1 for one in narrower]
    for number in [starts[0] + 1, *starts, *sorted(afters)]:
        if number <= int(network.broadcast_address):
            address = type(network.network_address)(number)
            if not any(address in one for one in (*narrower, *(s for s in SYNTHETIC if _within(network, s)))):
                return str(address)
    return None


def address_outside(known: Collection[Network]) -> str | None:
    """An address that none of the networks holds; None: there is none."""
    candidates = (address_in(network, known) for network in _OUTSIDE if network not in known)
    return next((one for one in candidates if one and not any(ip_address(one) in network for network in known)), None)


def name_outside(known: Collection[Host]) -> str | None:
    """A name that none of the patterns matches; None: there is none."""
    everything = Host("", wildcard=True)
    return None if everything in known else name_in(everything, known)


def wider_networks(network: Network) -> Iterator[Network]:
    """The network, and all that hold it, the narrowest first."""
    yield network
    yield from (network.supernet(new_prefix=length) for length in range(network.prefixlen - 1, -1, -1))


def _within(one: Network, other: Network) -> bool:
    return one.version == other.version and one.prefixlen >= other.prefixlen and one.network_address in other


@dataclass(frozen=True, slots=True)
class Method:
    """A part of the methods: one that rules name, or (no name) all others. ``doubtful``: those that a header may change, or in lower case.

    ``said`` and ``overridden``: a request of it.
    """

    name: str
    doubtful: bool
    said: str
    overridden: bool = False


def methods_of(named: Collection[str]) -> list[Method]:
    """The parts of all methods that these leave. Without any, all are one."""
    other = method_beside(named)
    if not named:
        return [Method("", doubtful=False, said=other)]
    clear = [Method(name, doubtful=False, said=name) for name in sorted(named)] + [
        Method("", doubtful=False, said=other)
    ]
    overridden = [Method(one.name, doubtful=True, said=one.said, overridden=True) for one in clear]
    return [*clear, *overridden, Method("", doubtful=True, said="get")]


@dataclass(frozen=True, slots=True)
class Path:
    """A part of the paths: what a pattern matches (no pattern: everything) and no narrower one does. ``plain`` ones, or all that are not.

    ``said``: a path of it.
    """

    pattern: str
    said: str
    plain: bool = True


def narrowest_first(pattern: str) -> tuple[bool, int, str]:
    """Sorts patterns of paths: exact ones, then the longest prefix."""
    return pattern.endswith("*"), -len(decoded(pattern)), pattern


def paths_of(known: Iterable[str]) -> list[Path]:
    """The parts of all paths that these patterns leave. Without any, all are one."""
    spelled = {decoded(pattern): pattern for pattern in sorted(known, reverse=True)}
    if not spelled:
        return [Path("", "/")]
    ordered = sorted(spelled.values(), key=narrowest_first)
    parts = [Path(pattern, path_in(pattern, spelled.keys())) for pattern in ordered]
    rest = [] if "/*" in spelled else [Path("", path_in("/*", spelled.keys()))]
    return [*parts, *rest, Path("", "//", plain=False)]
