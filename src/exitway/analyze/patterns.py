"""Names and patterns that let out more than they look: strangers have names below them, or share them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exitway.analyze.catalogue import found
from exitway.analyze.destination import Destination, destinations
from exitway.analyze.finding import Finding
from exitway.analyze.known import RESOLVERS, cdn_of, told_by_path
from exitway.names.host import Host
from exitway.names.port import Protocol
from exitway.names.public_suffix import is_of_a_registry, is_public, public_below
from exitway.resources.resource import Resource

DNS_PORTS = frozenset({53, 443, 853, 5053, 8443})
"""At which public resolvers listen: DNS, over HTTPS, over TLS; Quad9 and AdGuard have others beside."""
SEPARATE = "leave it out: Exitway answers names itself"


def shared_names(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Of what rules allow; a DENY cannot be too wide."""
    for destination in destinations(resources):
        host = destination.what
        if not isinstance(host, Host) or not destination.allowed:
            continue
        if host.wildcard:
            yield from _wide(destination, host)
        else:
            yield from _told_by_path(destination, host)
            yield from _of_a_cdn(destination, host)
        yield from _resolver(destination, host)


def _wide(destination: Destination, host: Host) -> Iterator[Finding]:
    key, field, zone = destination.key, destination.field, _zone(host)
    if not host.suffix:
        yield found(
            "EXW2010", key, "it allows every name there is", "name the hosts, or the part that they share", field
        )
    elif _is_anybodys(host):
        message = f"{host} holds names that anybody can register, such as evil{host.suffix}"
        yield found("EXW2011", key, message, "name the hosts, or the domain that is meant", field)
    elif is_public(zone):
        message = f"{host} holds names of strangers: those below {zone} are given to whoever asks"
        yield found("EXW2012", key, message, f"name the hosts that are meant, as in my-own.{zone}", field)
    elif below := public_below(zone):
        message = f"{host} holds names of strangers: those below {below} are given to whoever asks"
        yield found("EXW2012", key, message, "name the hosts that are meant", field)


def _zone(host: Host) -> str:
    """The labels that a pattern fixes: ``b.example`` of ``*.b.example``, and of ``*-a.b.example``, whose first label can be made up."""
    return host.suffix.partition(".")[2]


def _is_anybodys(host: Host) -> bool:
    return not _zone(host) or is_of_a_registry(_zone(host))


def _told_by_path(destination: Destination, host: Host) -> Iterator[Finding]:
    told = told_by_path(host.suffix)
    if told is None or destination.target.paths:
        return
    what, instead = told
    hint = f"name it as {instead}; or " if instead else ""
    hint += "have programs speak HTTP, with originateTLS: true and the paths that are meant"
    message = f"at {host} the path says {what} is meant, and every path is allowed"
    yield found("EXW2013", destination.key, message, hint, destination.field)


def _of_a_cdn(destination: Destination, host: Host) -> Iterator[Finding]:
    if owner := cdn_of(host.suffix):
        yield from fronted(destination, f"{owner} answers for {host}")


def fronted(destination: Destination, why: str) -> Iterator[Finding]:
    """What is asked for inside TLS is not seen, and an edge of a CDN may take it for another of its customers."""
    if any(port.protocol in (Protocol.TLS, Protocol.TCP) for port in destination.target.ports):
        message = f"{why} and many others: inside TLS, which is not looked into, a program may ask it for one of those"
        hint = "where programs can speak HTTP to it, originateTLS: true holds them to this name"
        yield found("EXW2014", destination.key, message, hint, destination.field)


def _resolver(destination: Destination, host: Host) -> Iterator[Finding]:
    if host.wildcard and _is_anybodys(host):
        return  # what else it holds matters no more
    name = next((name for name in RESOLVERS if host.matches(name)), "")
    if name and any(port.number in DNS_PORTS for port in destination.target.ports):
        what = f"{host} holds {name}," if host.wildcard else f"{host} is"
        yield resolver(destination, what, RESOLVERS[name])


def resolver(destination: Destination, what: str, owner: str) -> Finding:
    """``what``: the beginning of the sentence."""
    message = f"{what} a public resolver of names ({owner}): by queries a program can tell anybody anything"
    return found("EXW2015", destination.key, message, SEPARATE, destination.field)
