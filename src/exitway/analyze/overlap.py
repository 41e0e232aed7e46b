"""Which rules could have a say in the same call: without it, every question about two rules would be asked of all pairs."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeVar

from exitway.names.host import Host, patterns
from exitway.names.key import Key
from exitway.names.port import Protocol
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.intent import Action, Intent, Network

_T = TypeVar("_T", str, tuple[int, int, int])
_Span = tuple[int, int, int]
"""IP version, first address and length of the prefix: a network, so that those within another lie together."""


class Overlaps:
    """An index of intents that grows and shrinks. One with the same key as the one that is asked about is never among the answers."""

    def __init__(self, intents: Iterable[Intent] = ()) -> None:
        self._intents: dict[Key, Intent] = {}
        self._hosts: dict[Host, set[Key]] = defaultdict(set)
        self._backwards: list[str] = []
        self._networks: dict[_Span, set[Key]] = defaultdict(set)
        self._spans: list[_Span] = []
        self._http: dict[int, set[Key]] = defaultdict(set)
        for intent in intents:
            self.add(intent)

    def add(self, intent: Intent) -> None:
        """Know one more."""
        self._intents[intent.key] = intent
        for host in _hosts(intent):
            if host not in self._hosts:
                insort(self._backwards, host.suffix[::-1])
            self._hosts[host].add(intent.key)
        for span in map(_span, _networks(intent)):
            if span not in self._networks:
                insort(self._spans, span)
            self._networks[span].add(intent.key)
        for port in _http_ports(intent):
            self._http[port].add(intent.key)

    def remove(self, key: Key) -> None:
        """Know it no more."""
        intent = self._intents.pop(key)
        for host in _hosts(intent):
            self._hosts[host].discard(key)
        for span in map(_span, _networks(intent)):
            self._networks[span].discard(key)
        for port in _http_ports(intent):
            self._http[port].discard(key)

    def of(self, intent: Intent) -> list[Intent]:
        """Those that could have a say where this one has, for some workload; in the order of their keys."""
        keys: set[Key] = set()
        for host in _hosts(intent):
            keys |= self._with_name_of(host)
        for network in _networks(intent):
            keys |= self._with_address_of(network)
        if _denies_connections(intent):  # whatever name a request in such a connection has
            keys = keys.union(*(self._http[port] for port in _ports(intent)))
        keys.discard(intent.key)
        others = (self._intents[key] for key in sorted(keys))
        return [other for other in others if meet(intent, other) and _ports(intent) & _ports(other)]

    def _with_name_of(self, host: Host) -> set[Key]:
        # The patterns that hold all of its names, and those all of whose names it holds: no others share one with it.
        keys = set[Key]().union(*(self._hosts[one] for one in wider_than(host) if one in self._hosts))
        if host.wildcard:
            stem = host.suffix[::-1]
            for text in _from(self._backwards, stem):
                if not text.startswith(stem):
                    break
                suffix = text[::-1]
                for one in (Host(suffix), Host(suffix, wildcard=True)):
                    if one in self._hosts and host.covers(one):
                        keys |= self._hosts[one]
        return keys

    def _with_address_of(self, network: Network) -> set[Key]:
        keys = set[Key]()
        for length in range(network.prefixlen + 1):
            keys |= self._networks.get(_span(network.supernet(new_prefix=length)), set())
        last = int(network.broadcast_address)
        for span in _from(self._spans, _span(network)):
            if span[0] != network.version or span[1] > last:
                break
            if span[2] >= network.prefixlen:
                keys |= self._networks[span]
        return keys


def meet(one: Intent, other: Intent) -> bool:
    """Whether there could be a workload that both speak of."""
    here = {one.key.namespace, other.key.namespace} - {SYSTEM_NAMESPACE}
    return len(here) <= 1 and one.selector.meets(other.selector)


def wider_than(host: Host) -> Iterator[Host]:
    """All patterns that hold all of its names, itself included."""
    if not host.wildcard:
        return patterns(host.suffix)
    return (Host(host.suffix[start:], wildcard=True) for start in range(len(host.suffix) + 1))


def _from(ordered: list[_T], first: _T) -> Iterator[_T]:
    return (ordered[at] for at in range(bisect_left(ordered, first), len(ordered)))


def _span(network: Network) -> _Span:
    return network.version, int(network.network_address), network.prefixlen


def _hosts(intent: Intent) -> set[Host]:
    return {host for target in intent.to for host in target.hosts}


def _networks(intent: Intent) -> set[Network]:
    return {network for target in intent.to for network in target.cidrs}


def _ports(intent: Intent) -> set[int]:
    return {port.number for target in intent.to for port in target.ports}


def _http_ports(intent: Intent) -> set[int]:
    allows = intent.action is Action.ALLOW
    return {port.number for target in intent.to for port in target.ports if allows and port.protocol.is_http}


def _denies_connections(intent: Intent) -> bool:
    return intent.action is Action.DENY and any(
        port.protocol is Protocol.TCP for target in intent.to for port in target.ports
    )
