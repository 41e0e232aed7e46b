"""What DNS and the servers themselves say of the names that rules allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address

from exitway.analyze.catalogue import found
from exitway.analyze.destination import Destination, destinations
from exitway.analyze.facts import Facts, Lookup
from exitway.analyze.finding import Finding
from exitway.analyze.known import cdn_of
from exitway.analyze.overlap import meet
from exitway.analyze.patterns import fronted
from exitway.names.guard import permitted
from exitway.names.host import LOCAL_HOST, Host
from exitway.names.port import Protocol
from exitway.resources.intent import Network
from exitway.resources.resource import Resource


def resolvable(resources: Iterable[Resource]) -> list[str]:
    """The exact names that rules allow, sorted: those that can be asked for."""
    return sorted({destination.what.suffix for destination in destinations(resources) if _can_be_asked(destination)})  # type: ignore[union-attr]


def in_clear(resources: Iterable[Resource]) -> list[str]:
    """Those of them to which requests go in clear text, at port 80."""
    return sorted({destination.what.suffix for destination in destinations(resources) if _is_in_clear(destination)})  # type: ignore[union-attr]


def resolution(resources: Sequence[Resource], facts: Facts) -> Iterator[Finding]:
    """Nothing of names that nobody has asked for."""
    networks = [one for one in destinations(resources) if one.allowed and not isinstance(one.what, Host)]
    for destination in destinations(resources):
        if not isinstance(destination.what, Host) or not _can_be_asked(destination):
            continue
        name = destination.what.suffix
        if name in facts.lookups:
            yield from _of_lookup(destination, name, facts.lookups[name], networks)
        if facts.tls.get(name) and _is_in_clear(destination):
            message = f"requests to {name} go out in clear text, and it speaks TLS at port 443"
            hint = "port 443 with protocol: TLS, or with protocol: HTTP and originateTLS: true"
            yield found("EXW2044", destination.key, message, hint, destination.field)


def _of_lookup(
    destination: Destination, name: str, lookup: Lookup, networks: Sequence[Destination]
) -> Iterator[Finding]:
    key, field = destination.key, destination.field
    if not lookup.addresses:
        why = "has no address" if lookup.exists else "does not exist"
        message = f"DNS says that {name} {why}"
        hint = "mend the name; one that is only known elsewhere is well as it is"
        yield found("EXW2042", key, message, hint, field)
        return
    closed = [address for address in lookup.addresses if not _may_lead_to(destination, address, networks)]
    if len(closed) == len(lookup.addresses):
        message = f"{name} leads to {', '.join(closed[:3])} only, which no name may lead to"
        hint = "allow its network as well, in a rule of its own with the same port and protocol: TCP"
        yield found("EXW2043", key, message, hint, field)
    for alias in lookup.aliases:
        if (owner := cdn_of(alias)) and not cdn_of(name):
            yield from fronted(destination, f"{owner} answers for {name} (as {alias})")
            break


def _may_lead_to(destination: Destination, address: str, networks: Sequence[Destination]) -> bool:
    """As the proxy's resolver decides it, as far as rules tell: a workload may have labels that bring other rules."""
    excepted = [
        (one.what, port.number, True)
        for one in networks
        if isinstance(one.what, Network) and meet(one.intent, destination.intent)
        for port in one.target.ports
    ]
    return any(permitted(ip_address(address), port.number, excepted) for port in destination.target.ports)


def _can_be_asked(destination: Destination) -> bool:
    what = destination.what
    return (
        isinstance(what, Host)
        and destination.allowed
        and not what.wildcard
        and not what.is_address
        and what.suffix != LOCAL_HOST
    )


def _is_in_clear(destination: Destination) -> bool:
    return _can_be_asked(destination) and any(
        port.number == 80 and port.protocol is Protocol.HTTP and not port.originate_tls
        for port in destination.target.ports
    )
