"""Items of ``spec.to``: destinations that may be used alike stand together, and nothing stands with them that was not used so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from exitway.learn.terms import Term, Terms
from exitway.names.port import Port
from exitway.resources.egress_rule_form import MAX_PORTS


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """``destinations``: names and patterns, or networks, never both. Each of them at each of the ports, with each of the methods and paths."""

    destinations: tuple[str, ...]
    ports: tuple[Port, ...]
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    direct: bool = False

    @property
    def field(self) -> str:
        """``cidrs`` or ``hosts``."""
        return "cidrs" if "/" in self.destinations[0] else "hosts"

    @property
    def wire(self) -> dict[str, Any]:
        """As it is written, in the order in which it is written."""
        first = self.ports[0]
        fields = {
            self.field: list(self.destinations),
            "ports": [{"number": port.number, "protocol": str(port.protocol)} for port in self.ports],
            "methods": list(self.methods),
            "paths": list(self.paths),
            "originateTLS": first.originate_tls,
            "caFile": first.ca_file,
            "direct": self.direct,
        }
        return {name: value for name, value in fields.items() if value}


def entries(terms: Terms) -> list[Entry]:
    """In the order of their destinations, then of their ports."""
    alike: defaultdict[_Shape, list[str]] = defaultdict(list)
    for destination, of in terms.items():
        for shape in _shapes(destination, of):
            alike[shape].append(destination)
    made = [
        Entry(tuple(sorted(names, key=in_reverse)), shape.ports, shape.methods, shape.paths, shape.direct)
        for shape, names in alike.items()
    ]
    return sorted(made, key=lambda entry: (entry.field == "cidrs", [*map(in_reverse, entry.destinations)], entry))


def in_reverse(name: str) -> list[str]:
    """Names in the order of their parents."""
    return name.split(".")[::-1] if "/" not in name else [name]


@dataclass(frozen=True, slots=True)
class _Shape:
    cidrs: bool
    ports: tuple[Port, ...]
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    direct: bool


def _shapes(destination: str, terms: Iterable[Term]) -> Iterator[_Shape]:
    """What one destination needs: ports with all else alike, each number once."""
    alike: defaultdict[tuple[object, ...], list[Term]] = defaultdict(list)
    for term in sorted(terms):
        alike[term.methods, term.paths, term.direct, term.port.originate_tls, term.port.ca_file].append(term)
    for of in alike.values():
        for ports in _once([term.port for term in of]):
            yield _Shape("/" in destination, ports, of[0].methods, of[0].paths, of[0].direct)


def _once(ports: list[Port]) -> Iterator[tuple[Port, ...]]:
    """Ports in parts, in each of which no number is twice, nor are there more than a rule may name."""
    parts: list[dict[int, Port]] = []
    for port in ports:
        free = next((part for part in parts if port.number not in part and len(part) < MAX_PORTS), None)
        if free is None:
            parts.append(free := {})
        free[port.number] = port
    yield from (tuple(part.values()) for part in parts)
