"""Every difference between two sets of rules, in meaning.

Only what a changed rule speaks of can differ. That is cut into parts within which no rule makes a difference (:mod:`.parts`), and
``policy.decide`` is asked about one call of each, on both sides, for each class of workloads and each stretch of time that the rules which
speak of it tell apart. So nothing is missed, and each difference has a call that shows it.

Three things decide a call: what was dialled (rules for TCP, direct), the name that is said, and the request. Where no rule for TCP speaks of
what was dialled, the name alone decides; so a name is tried as it is dialled itself, and once more from elsewhere where that is another matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from exitway.explain.differences.difference import Change, Destination, Dialled, Difference, Who, Witness
from exitway.explain.differences.grid import Cell, Grid
from exitway.explain.differences.labels import classes, of_class, values_of
from exitway.explain.differences.parts import address_in, address_outside, name_outside
from exitway.explain.differences.port import Port, Saying, changed_ports
from exitway.explain.differences.side import Side, change
from exitway.explain.differences.told import Axes, Found, told
from exitway.names.call import Call, Reason, Sort
from exitway.names.example import name_in
from exitway.names.host import Host
from exitway.names.workload import Workload
from exitway.resources.intent import Action, Intent, Network


@dataclass
class Finder:
    """Looks for what differs for the workloads of one namespace."""

    before: Side
    after: Side
    namespace: str
    now: datetime

    def found(self) -> Iterator[tuple[Port, list[Difference]]]:
        """By port, what differs: part by part."""
        sides = [self._in_force(side) for side in (self.before, self.after)]
        for port in changed_ports(*sides):
            yield port, [*self._hosts(port), *self._networks(port)]

    def _in_force(self, side: Side) -> list[Intent]:
        return [
            intent for intent in side.intents(self.namespace) if intent.expires is None or intent.expires > self.now
        ]

    def _networks(self, port: Port) -> Iterator[Difference]:
        for network in port.touched_networks():
            address = address_in(network, port.networks)
            if address:
                said = port.of_network(network)
                dialled = Call(Sort.TCP, port.number, address=address, asked="")
                yield from self._compared(
                    Destination(Sort.TCP, port.number, network), port.intents(said), [(None, dialled)]
                )
                yield from self._fronted(port, network, said, dialled)

    def _hosts(self, port: Port) -> Iterator[Difference]:
        for host in port.touched_hosts():
            name = name_in(host, port.hosts)
            said = port.of_host(host)
            intents = port.intents(said)
            address, asked = (name, "") if host.is_address else ("", name)
            dialled = Call(Sort.TCP, port.number, address=address, asked=asked)
            yield from self._compared(Destination(Sort.TCP, port.number, host), intents, [(None, dialled)])
            if any(saying.sort is Sort.TLS for saying in said):
                tls = replace(dialled, sort=Sort.TLS, name=name)
                yield from self._compared(Destination(Sort.TLS, port.number, host), intents, [(None, tls)], dialled)
            if any(saying.sort is Sort.HTTP for saying in said):
                yield from self._requests(port, host, said, replace(dialled, sort=Sort.HTTP, name=name))
            yield from self._fronted(port, host, said, dialled)

    def _requests(self, port: Port, host: Host, said: Sequence[Saying], call: Call) -> Iterator[Difference]:
        """What differs for requests to a name that were dialled as one does, and where it matters for those that were not."""
        grid, intents = _grid(said), port.intents(said)
        itself = replace(call, sort=Sort.TCP, name="")
        destination = Destination(Sort.HTTP, port.number, host)
        natural = list(self._compared(destination, intents, grid.calls(call), itself, grid))
        if not any(saying.is_of_dialled for saying in said):
            yield from natural
            return
        foreign = [
            one
            for where, others in _elsewhere(port, host, call)
            for one in self._compared(
                destination, [*intents, *others], grid.calls(where), replace(where, sort=Sort.TCP, name=""), grid
            )
        ]
        terms = [_terms(one) for one in foreign]
        yield from (one if _terms(one) in terms else _dialled(one, Dialled.ITSELF) for one in natural)
        terms = [_terms(one) for one in natural]
        yield from (_dialled(one, Dialled.ELSEWHERE) for one in foreign if _terms(one) not in terms)

    def _fronted(self, port: Port, to: Host | Network, said: Sequence[Saying], dialled: Call) -> Iterator[Difference]:
        """Where a rule that denied what was dialled, whatever is spoken, comes or goes: requests to other names that are dialled so."""
        if not any(one.is_of_dialled and one.intent.action is Action.DENY for one in said) and not port.whole:
            return
        destination = Destination(Sort.HTTP, port.number, to, dialled=Dialled.FRONT)
        for other, of_other in port.fronts:
            if other != to:
                name = name_in(other, port.hosts)
                calls = _grid(of_other).calls(replace(dialled, sort=Sort.HTTP, name=name))
                intents = port.intents([*said, *of_other])
                yield from self._compared(destination, intents, [(None, call) for _, call in calls], dialled)

    def _compared(
        self,
        destination: Destination,
        intents: Iterable[Intent],
        calls: Sequence[tuple[Cell | None, Call]],
        covering: Call | None = None,
        grid: Grid | None = None,
    ) -> Iterator[Difference]:
        """What differs for these calls. ``intents``: all that decide them; ``covering``: where this one differs alike, that says it all."""
        concerned = list(intents)
        values = values_of(intent.selector for intent in concerned)
        moments = sorted({self.now, *(intent.expires for intent in concerned if intent.expires)})
        found: Found = {}
        for labels in classes(values):
            workload = Workload(self.namespace, "any", of_class(labels, values))
            for stretch, at in enumerate(moments):
                of_dialled = self._seen(workload, at, covering) if covering else None
                for cell, call in calls:
                    what, witness = self._seen(workload, at, call)
                    if what and not (of_dialled and _says_it(*of_dialled, what, destination.dialled)):
                        key = what, witness.before.way, witness.after.way
                        found.setdefault(key, {}).setdefault((labels, stretch), {}).setdefault(cell, witness)
        yield from told(found, Who((self.namespace,)), destination, grid, Axes(values, moments))

    def _seen(self, workload: Workload, at: datetime, call: Call) -> tuple[Change | None, Witness]:
        before, after = (side.seen(workload, at, call) for side in (self.before, self.after))
        return change(before, after), Witness(workload, at, call, before, after)


def _says_it(of_dialled: Change | None, dialled: Witness, what: Change, how: Dialled) -> bool:
    """Whether what becomes of all that is dialled alike, whatever is spoken, says already what becomes of a request."""
    if how is not Dialled.FRONT:
        return what is of_dialled
    # here only that matters which was denied, whatever was spoken, and is decided by its name now; or the other way round
    denied = [seen.decision.reason is Reason.DENIED for seen in (dialled.before, dialled.after)]
    return what in (of_dialled, Change.DIFFERS) or denied[0] == denied[1]


def _grid(said: Iterable[Saying]) -> Grid:
    return Grid.of(saying.target for saying in said if saying.sort is Sort.HTTP)


def _elsewhere(port: Port, host: Host, call: Call) -> Iterator[tuple[Call, list[Intent]]]:
    """Where else a request may be dialled: where no rule for TCP speaks of it; or, where they speak of everything, anywhere.

    Each with the rules that decide there as well.
    """
    if address := address_outside(port.networks):
        yield replace(call, address=address, asked=""), []
        return
    if name := name_outside(port.hosts):
        yield replace(call, address="", asked=name), []
        return
    for network in port.networks:
        if address := address_in(network, port.networks):
            yield replace(call, address=address, asked=""), [saying.intent for saying in port.of_network(network)]
    for other in port.hosts:
        if other != host:
            where = replace(call, address="", asked=name_in(other, port.hosts))
            yield where, [saying.intent for saying in port.of_host(other)]


def _terms(one: Difference) -> tuple[object, ...]:
    """All but the witness."""
    return one.change, one.who, one.destination, one.before, one.after


def _dialled(one: Difference, dialled: Dialled) -> Difference:
    return replace(one, destination=replace(one.destination, dialled=dialled))
