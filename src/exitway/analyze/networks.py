"""Networks that let out more than they look, and what they do to names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from itertools import chain

from exitway.analyze.catalogue import found
from exitway.analyze.destination import Destination, destinations
from exitway.analyze.finding import Finding, Severity
from exitway.analyze.known import RESOLVER_ADDRESSES
from exitway.analyze.overlap import meet
from exitway.analyze.patterns import DNS_PORTS, resolver
from exitway.names.guard import ALWAYS_NETWORKS, PRIVATE, is_private
from exitway.names.host import Host
from exitway.names.public_suffix import shared_by
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.intent import Network
from exitway.resources.resource import Resource

_WIDE = {4: 12, 6: 28}
"""Shorter prefixes are wide. A million addresses of IPv4; of IPv6 more than registries give to a provider, /32 to /29."""
_TELLING = 16
"""What a network with a shorter prefix holds is not told one by one."""
_SHOWN = 3
_PRIVATE = tuple(map(ip_network, PRIVATE))
_METADATA = ip_address("169.254.169.254")


def networks(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Of what rules allow."""
    named = _public_names(resources)
    for destination in destinations(resources):
        if destination.allowed and not isinstance(destination.what, Host):
            width = list(_width(destination, destination.what))
            yield from width
            yield from _resolvers(destination, destination.what)
            if not any(finding.severity is Severity.ERROR for finding in width):
                yield from _open_to_names(destination, destination.what, named)


def _width(destination: Destination, network: Network) -> Iterator[Finding]:
    key, field, hint = destination.key, destination.field, "name the networks that are meant, or allow names"
    if network.prefixlen == 0:
        yield found("EXW2016", key, f"{network} is every address there is", hint, field)
    elif local := _local(network):
        message = f"{network} holds {local}: what answers there trusts the machine that asks"
        yield found("EXW2018", key, message, "leave these addresses out", field)
    elif network.prefixlen < _WIDE[network.version] and not any(_within(network, one) for one in _PRIVATE):
        message = f"{network} is 2^{network.max_prefixlen - network.prefixlen} addresses of many owners"
        yield found("EXW2017", key, message, hint, field)


def _local(network: Network) -> str:
    """What of the machine's own the network holds."""
    if _METADATA in network:
        return f"{_METADATA}, where clouds give out a machine's credentials"
    held = next((one for one in ALWAYS_NETWORKS if one.version == network.version and one.overlaps(network)), None)
    if held is None:
        return ""
    return "the machine's own loopback" if held.is_loopback else f"link-local or metadata addresses ({held})"


def _resolvers(destination: Destination, network: Network) -> Iterator[Finding]:
    if network.prefixlen < _TELLING or not any(port.number in DNS_PORTS for port in destination.target.ports):
        return
    address = next((one for one in RESOLVER_ADDRESSES if one in network), None)
    if address is not None:
        what = f"{network} is" if network.num_addresses == 1 else f"{network} holds {address},"
        yield resolver(destination, what, RESOLVER_ADDRESSES[address])


_Named = Mapping[tuple[str, int], Sequence[Destination]]
"""Allowed names that somebody else may own, by the rule's namespace and the port."""


def _public_names(resources: Sequence[Resource]) -> _Named:
    named: dict[tuple[str, int], list[Destination]] = defaultdict(list)
    for destination in destinations(resources):
        if (
            isinstance(destination.what, Host)
            and destination.allowed
            and shared_by(destination.what.suffix.lstrip(".-"))
        ):
            for port in destination.target.ports:
                named[destination.key.namespace, port.number].append(destination)
    return named


def _open_to_names(destination: Destination, network: Network, named: _Named) -> Iterator[Finding]:
    """A rule for a private network is an exception to the guard over where names may lead (:mod:`exitway.names.guard`)."""
    if not is_private(network):
        return
    own = destination.key.namespace
    spaces = sorted({space for space, _ in named}) if own == SYSTEM_NAMESPACE else sorted({own, SYSTEM_NAMESPACE})
    for port in sorted({port.number for port in destination.target.ports}):
        there = chain.from_iterable(named.get((space, port), ()) for space in spaces)
        names = dict.fromkeys(str(other.what) for other in there if meet(destination.intent, other.intent))
        if names:
            shown = ", ".join(list(names)[:_SHOWN]) + (
                f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            )
            message = (
                f"as {network} is allowed at port {port}, {shown} may lead there: who owns a name can point it inside"
            )
            hint = "if no name shall, give the network's rule a selector of its own, or other ports"
            yield found("EXW2019", destination.key, message, hint, destination.field)
            return


def _within(network: Network, wider: Network) -> bool:
    return network.version == wider.version and network.subnet_of(wider)  # type: ignore[arg-type]
