"""What each destination is to be let out for: the least that holds what was seen of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from exitway.learn.use import Use
from exitway.names.call import Sort
from exitway.names.port import Port, Protocol


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """A port, and of requests those with these methods and paths (none: all). ``direct``: past the proxy."""

    port: Port
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    direct: bool = False


Terms = Mapping[str, frozenset[Term]]
"""By destination: a name, ``*.`` and a name, or a network."""


def terms(uses: Iterable[Use], *, hosts_only: bool) -> Terms:
    """Exactly what was used. TCP at a port is whatever is spoken there, so of such a port nothing else is said."""
    by_destination: defaultdict[str, list[Use]] = defaultdict(list)
    for use in uses:
        for name in destinations(use):
            by_destination[name].append(use)
    return {name: frozenset(_terms(name, of, hosts_only=hosts_only)) for name, of in sorted(by_destination.items())}


def destination(use: Use) -> str:
    """The name that a rule is to name, or the network of one address."""
    call = use.call
    return call.name or call.asked or str(ip_network(call.address))


def destinations(use: Use) -> list[str]:
    """The same, with the networks of the private addresses that the name led to."""
    return [destination(use), *(str(ip_network(address)) for address in sorted(use.addresses))]


def _terms(name: str, uses: Iterable[Use], *, hosts_only: bool) -> Iterable[Term]:
    by_port: defaultdict[int, list[Use]] = defaultdict(list)
    for use in uses:
        by_port[use.call.port].append(use)
    for port, of in by_port.items():
        sorts = {use.call.sort for use in of}
        if Sort.TCP in sorts or "/" in name:
            yield Term(Port(port, Protocol.TCP), direct=any(use.direct for use in of))
            continue
        if Sort.TLS in sorts:
            yield Term(Port(port, Protocol.TLS))
        if Sort.HTTP in sorts:
            yield from _of_requests(port, [use for use in of if use.call.sort is Sort.HTTP], hosts_only=hosts_only)


def _of_requests(number: int, uses: list[Use], *, hosts_only: bool) -> Iterable[Term]:
    port = _http(number, uses)
    if hosts_only:
        yield Term(port)
        return
    methods: defaultdict[str, set[str]] = defaultdict(set)
    for use in uses:
        methods[use.call.path].add(use.call.method)
    paths: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, of in methods.items():
        paths[tuple(sorted(of))].append(path)
    for together, under in paths.items():
        yield Term(port, together, tuple(sorted(under)))


def _http(number: int, uses: Iterable[Use]) -> Port:
    """To a rule HTTP2 is HTTP; a reader is told what was spoken."""
    only_http2 = all(use.seen.protocols == {"HTTP/2"} for use in uses)
    vouchers = {use.vouchers for use in uses} - {None}
    protocol = Protocol.HTTP2 if only_http2 else Protocol.HTTP
    return Port(number, protocol, originate_tls=bool(vouchers), ca_file=max(filter(None, vouchers), default=""))
