"""What rules, of before and after, say of one port: who speaks of which names and networks there, and what of that has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_network
from typing import NamedTuple

from exitway.explain.differences.parts import wider_hosts, wider_networks
from exitway.names.call import Sort
from exitway.names.host import LOCAL_HOST, Host
from exitway.resources.intent import Intent, Network, Target


class Saying(NamedTuple):
    """What one rule says of one destination at the port."""

    intent: Intent
    target: Target
    sort: Sort

    @property
    def is_of_dialled(self) -> bool:
        """Whether it decides by what was dialled, whatever is spoken."""
        return self.sort is Sort.TCP or self.target.direct


@dataclass
class Port:
    """``whole``: rules that deny everything everywhere. ``touched``: what changed rules speak of; ``all_touched``: everything."""

    number: int
    hosts: dict[Host, list[Saying]] = field(default_factory=dict)
    networks: dict[Network, list[Saying]] = field(default_factory=dict)
    whole: list[Intent] = field(default_factory=list)
    touched: set[Host | Network] = field(default_factory=set)
    all_touched: bool = False

    def of_host(self, host: Host) -> list[Saying]:
        """What is said of all names of a pattern; where they are an address, also what is said of that."""
        said = [saying for wider in wider_hosts(host) for saying in self.hosts.get(wider, ())]
        return said + self.of_network(ip_network(host.suffix)) if host.is_address else said

    def of_network(self, network: Network) -> list[Saying]:
        """What is said of all addresses of a network."""
        return [saying for wider in wider_networks(network) for saying in self.networks.get(wider, ())]

    @cached_property
    def fronts(self) -> list[tuple[Host, list[Saying]]]:
        """Patterns at which rules speak of requests, and what is said of them. Of those of which the same rules do so, two stand for all."""
        alike: dict[object, list[tuple[Host, list[Saying]]]] = {}
        for host in self.hosts:
            said = self.of_host(host)
            if rules := frozenset((id(one.intent), id(one.target)) for one in said if one.sort is Sort.HTTP):
                alike.setdefault((rules, host.suffix == LOCAL_HOST), []).append((host, said))
        return [front for those in alike.values() for front in those[:2]]

    def touched_hosts(self) -> Iterator[Host]:
        """The patterns of which a changed rule speaks."""
        for host in self.hosts:
            networks = wider_networks(ip_network(host.suffix)) if host.is_address else ()
            if self.all_touched or any(wider in self.touched for wider in (*wider_hosts(host), *networks)):
                yield host

    def touched_networks(self) -> Iterator[Network]:
        """The networks of which a changed rule speaks."""
        for network in self.networks:
            if self.all_touched or any(wider in self.touched for wider in wider_networks(network)):
                yield network

    def intents(self, sayings: Iterable[Saying]) -> list[Intent]:
        """The rules that decide where these are all that is said."""
        return [*self.whole, *(saying.intent for saying in sayings)]


def changed_ports(before: Sequence[Intent], after: Sequence[Intent]) -> list[Port]:
    """The ports of which changed rules speak. A rule with another name, and the same meaning, has not changed."""
    changed = _changed(before, after)
    if not changed:
        return []
    ports: dict[int, Port] = {}
    everything = dict.fromkeys((*before, *after))
    all_touched = any(not intent.to for intent in changed)
    speaking = everything if all_touched else changed
    for number in sorted({port.number for intent in speaking for target in intent.to for port in target.ports}):
        ports[number] = Port(number, whole=[one for one in everything if not one.to], all_touched=all_touched)
    for intent in everything:
        touched = intent in changed
        for target in intent.to:
            for port in target.ports:
                if port.number in ports:
                    _add(ports[port.number], Saying(intent, target, port.sort), touched=touched)
    for one in ports.values():
        local = Host(LOCAL_HOST)
        if local not in one.hosts and one.of_host(local):
            one.hosts[local] = []  # no pattern means this machine
    return list(ports.values())


def _add(port: Port, saying: Saying, *, touched: bool) -> None:
    for host in saying.target.hosts:
        port.hosts.setdefault(host, []).append(saying)
    for network in saying.target.cidrs:
        port.networks.setdefault(network, []).append(saying)
    if touched:
        port.touched.update(saying.target.hosts, saying.target.cidrs)


def _changed(before: Sequence[Intent], after: Sequence[Intent]) -> set[Intent]:
    counts = Counter(map(_meaning, before))
    counts.subtract(Counter(map(_meaning, after)))
    return {intent for intent in (*before, *after) if counts[_meaning(intent)]}


def _meaning(intent: Intent) -> tuple[object, ...]:
    return intent.to, intent.selector, intent.action, intent.expires
