"""Resources as text: tables, YAML, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from exitway.cli.kind import full_kind
from exitway.names.words import printable
from exitway.resources.brief import age, few

Json = Mapping[str, Any]

_GAP = 3


class Table:
    """Columns as wide as the first rows need, and at least as the floors: later rows, in a watch, then mostly fit."""

    def __init__(self, header: Sequence[str], rows: Iterable[Sequence[str]], floors: Sequence[int]) -> None:
        self.lines = [tuple(map(printable, row)) for row in (header, *rows)]
        self.widths = [
            max(floor, *map(len, column)) for floor, column in zip(floors, zip(*self.lines, strict=True), strict=True)
        ]

    def line(self, row: Sequence[str]) -> str:
        """One row."""
        cells = (printable(cell).ljust(width) for cell, width in zip(row, self.widths, strict=True))
        return (" " * _GAP).join(cells).rstrip()

    def __str__(self) -> str:
        return "\n".join(map(self.line, self.lines))


SHORT = ("NAME", "KIND", "NAMESPACE")
WIDE = (*SHORT, "ACTION", "DESTINATIONS", "PORTS", "AGE")
_FLOORS = {"NAME": 10, "KIND": 39, "NAMESPACE": 10, "ACTION": 6, "DESTINATIONS": 20, "PORTS": 8, "AGE": 3}


def table(columns: Sequence[str], wires: Iterable[Json], now: datetime) -> Table:
    """A table of resources."""
    return Table(columns, [row(columns, wire, now) for wire in wires], [_FLOORS[column] for column in columns])


def row(columns: Sequence[str], wire: Json, now: datetime) -> tuple[str, ...]:
    """The cells of one resource."""
    metadata = wire["metadata"]
    cells = [metadata["name"], full_kind(wire), metadata["namespace"]]
    if columns == WIDE:
        from exitway.resources.summary import summary

        said = summary(wire)
        destinations = few(name for way in said.ways for name in way.destinations)
        ports = few(port for way in said.ways for port in way.ports)
        cells += [said.action, destinations, ports, age(metadata["creationTimestamp"], now)]
    return tuple(cells)


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def json_text(value: object) -> str:
    """Indented JSON."""
    return json.dumps(value, indent=2)


def json_line(value: object) -> str:
    """JSON on one line, for streams."""
    return json.dumps(value, separators=(",", ":"))
