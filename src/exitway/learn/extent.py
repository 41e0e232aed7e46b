"""What is to be let out, said without any rule: what was recorded, and what was asked for beyond it. And the calls just outside of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from exitway.learn.rule import Learned
from exitway.learn.terms import destination
from exitway.names.call import Call, Sort
from exitway.names.request import decoded

NOBODY = "never-asked-for"
FOURTH_HOST = f"{NOBODY}.example"
"""A name of nobody (RFC 2606)."""
MAX_LABEL, MAX_NAME = 63, 253
USUAL_PORTS = (22, 80, 443, 8080)
MOST_OF_ONE = 200
"""Calls to one destination and port near which others are tried: where there are thousands of paths, more of them show nothing new."""
METHODS = ("GET", "POST", "DELETE")


@dataclass(frozen=True)
class Extent:
    """Of one kind of workload. ``hosts_only``: requests of any method and path."""

    learned: Learned
    hosts_only: bool

    def holds(self, call: Call) -> bool:
        """Whether the call is to be let out."""
        dialled = call.asked or (str(ip_network(call.address)) if call.address else "")
        if any(sort is Sort.TCP for sort, _ in self._at(dialled, call.port)):
            return True
        if call.sort is Sort.TCP or (call.sort is Sort.TLS and call.asked not in (None, call.name)):
            return False
        request = (call.method, decoded(call.path)) if call.sort is Sort.HTTP and not self.hosts_only else ("", "")
        return (call.sort, request) in self._at(call.name, call.port) and (
            call.sort is Sort.TLS or call.path.startswith("/")
        )

    def _at(self, name: str, port: int) -> set[_Spoken]:
        """What was spoken to a destination at a port, or to those that a pattern was made of."""
        found = self._spoken.get((name, port), set())
        for parent in _parents(name) if self._has_patterns else ():
            found = found | self._spoken.get((f"*.{parent}", port), set())
        return found

    @cached_property
    def _spoken(self) -> Mapping[tuple[str, int], set[_Spoken]]:
        spoken: defaultdict[tuple[str, int], set[_Spoken]] = defaultdict(set)
        for where, uses in self.learned.by_destination.items():
            for call in (use.call for use in uses):
                sort = Sort.TCP if "/" in where else call.sort
                whole = sort is not Sort.HTTP or self.hosts_only
                spoken[where, call.port].add((sort, ("", "") if whole else (call.method, decoded(call.path))))
        return spoken

    @cached_property
    def _has_patterns(self) -> bool:
        return any(name.startswith("*.") for name in self.learned.by_destination)


_Spoken = tuple[Sort, tuple[str, str]]
"""What the proxy sees, and of a request method and path; both empty where all are meant."""


def _parents(name: str) -> Iterator[str]:
    while name:
        name = name.partition(".")[2]
        yield name


@dataclass(frozen=True, slots=True)
class Near:
    """A call that is not to be let out, and in what it differs from one that is."""

    call: Call
    of: Call
    difference: str


def outside(extent: Extent) -> Iterator[Near]:
    """Calls near those that were recorded, none of which is to be let out, each once."""
    told, seen = set(), Counter[tuple[str, int]]()
    for use in extent.learned.uses:
        at = destination(use), use.call.port
        seen[at] += 1
        if seen[at] > MOST_OF_ONE:
            continue
        for difference, call in _near(use.call):
            if call not in told and not extent.holds(call):
                told.add(call)
                yield Near(call, use.call, difference)


def _near(call: Call) -> Iterator[tuple[str, Call]]:
    for port in (call.port + 1, call.port - 1, *USUAL_PORTS):
        if 1 <= port <= 65535:
            yield "another port", replace(call, port=port)
    yield from (("another protocol", other) for other in _otherwise_spoken(call))
    if call.sort is Sort.HTTP:
        yield from (("another method", replace(call, method=method)) for method in METHODS)
        yield from (("another path", replace(call, path=path)) for path in _paths(call.path))
    if name := call.name or call.asked:
        yield from (("another name", _to(call, other)) for other in _names(name))
    if call.sort is Sort.TLS:
        yield "dialled by an address", replace(call, asked="", address="198.51.100.1")
        yield "dialled by another name", replace(call, asked=FOURTH_HOST)
    if call.address and not call.asked:
        yield "another address", replace(call, address=str(_neighbour(call.address)))


def _names(name: str) -> Iterator[str]:
    """Names beside, below and above it, one that ends like it, and somebody else's."""
    first, _, parent = name.partition(".")
    beside = f"{NOBODY}.{parent}" if parent else NOBODY
    for other in (beside, f"{NOBODY}.{name}", parent, f"x{name}"[-MAX_NAME:], FOURTH_HOST):
        if other and len(other) <= MAX_NAME and len(first) < MAX_LABEL:
            yield other


def _neighbour(address: str) -> IPv4Address | IPv6Address:
    one = ip_address(address)
    return type(one)(int(one) ^ 1)


def _to(call: Call, name: str) -> Call:
    return replace(call, name=call.name and name, asked=call.asked and name)


def _otherwise_spoken(call: Call) -> Iterator[Call]:
    """Every protocol, to the same destination and port."""
    name = call.name or call.asked or ""
    yield Call(Sort.TLS, call.port, name, call.address, call.asked)
    yield Call(Sort.HTTP, call.port, name or call.address, call.address, call.asked)
    yield Call(Sort.TCP, call.port, "", call.address, call.asked)


def _paths(path: str) -> Iterator[str]:
    yield f"{path.removesuffix('/')}/{NOBODY}"
    yield f"{path}x"
    yield path.rpartition("/")[0] or "/"
    yield "/"
