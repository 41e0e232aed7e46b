"""Destinations that another one of the same rule covers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from exitway.analyze.catalogue import found
from exitway.analyze.destination import Destination, destinations
from exitway.analyze.finding import Finding
from exitway.analyze.overlap import wider_than
from exitway.names.host import Host
from exitway.resources.intent import Network
from exitway.resources.resource import Resource


def repeated(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Of two that are equal, the later one."""
    for resource in resources:
        known: dict[Host | Network, list[Destination]] = defaultdict(list)
        for destination in destinations([resource]):
            known[destination.what].append(destination)
        for destination in (one for equal in list(known.values()) for one in equal):
            others = (other for what in _wider(destination.what) for other in known.get(what, ()))
            wider = next((other for other in others if other is not destination and _covers(other, destination)), None)
            if wider is not None:
                message = f"{destination.what} is covered by {wider.what} in the same rule"
                yield found("EXW2007", destination.key, message, "take it away", destination.field)


def _wider(what: Host | Network) -> Iterator[Host | Network]:
    """All that hold it, itself included."""
    if isinstance(what, Host):
        return wider_than(what)
    return (what.supernet(new_prefix=length) for length in range(what.prefixlen + 1))


def _covers(wider: Destination, narrow: Destination) -> bool:
    """Whether it lets out, or denies, all that the other one does; of two that do the same, whether it comes first."""
    if not _says_all(wider, narrow):
        return False
    alike = wider.what == narrow.what and _says_all(narrow, wider)
    return not alike or (wider.index, wider.at) < (narrow.index, narrow.at)


def _says_all(wider: Destination, narrow: Destination) -> bool:
    """Whether it says of them what the other one says."""
    one, other = wider.target, narrow.target
    return (
        set(one.ports) >= set(other.ports)
        and one.direct == other.direct
        and (not one.methods or (bool(other.methods) and set(one.methods) >= set(other.methods)))
        and (not one.paths or (bool(other.paths) and set(one.paths) >= set(other.paths)))
    )
