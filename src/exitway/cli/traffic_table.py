"""Destinations as lines of a table, the busiest first: what was seen in all, and how fast it grows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click

from exitway.cli.flow_table import COLOURS, destination
from exitway.cli.render import Table
from exitway.flows.flow import shown_verdict
from exitway.flows.history import Destination
from exitway.names.amount import size

_COLUMNS = (
    "VERDICT",
    "WORKLOAD",
    "DESTINATION",
    "PROTOCOL",
    "NOW",
    "SENT",
    "RECEIVED",
    "COUNT",
    "SENT",
    "RECEIVED",
    "WHY",
)
_FLOORS = (7, 12, 24, 8, 7, 9, 9, 7, 7, 8, 3)

_Grown = tuple[float, float, float]


def lines(now: Sequence[Destination], before: Sequence[Destination], seconds: float) -> list[str]:
    """Two looks, so many seconds apart."""
    was = {_key(one): one for one in before}
    grown = {_key(one): _grown(one, was.get(_key(one)), seconds) for one in now}
    ordered = sorted(now, key=lambda one: (grown[_key(one)], one.last), reverse=True)
    table = Table(_COLUMNS, [_cells(one, grown[_key(one)]) for one in ordered], _FLOORS)
    rows = [_coloured(one, table.line(_cells(one, grown[_key(one)]))) for one in ordered]
    return [_summary(now, grown.values()), "", table.line(_COLUMNS), *rows]


def _key(one: Destination) -> tuple[object, ...]:
    return one.workload, one.name, one.port, one.protocol, one.verdict, one.reason, one.rule, one.audit


def _grown(now: Destination, before: Destination | None, seconds: float) -> _Grown:
    """Uses, and bytes sent and received, each second. One that was not there has begun since."""
    was = (before.count, before.sent, before.received) if before else (0, 0, 0)
    count, sent, received = (
        max(0, one - other) / seconds for one, other in zip((now.count, now.sent, now.received), was, strict=True)
    )
    return count, sent, received


def _cells(one: Destination, grown: _Grown) -> tuple[str, ...]:
    count, sent, received = grown
    rates = (f"{count:.1f}/s", f"{size(sent)}/s", f"{size(received)}/s")
    totals = (str(one.count), size(one.sent), size(one.received))
    why = one.rule if one.verdict == "allow" and one.rule else one.reason
    return _verdict(one), one.workload, destination(one.name, one.port), one.protocol, *rates, *totals, why


def _summary(now: Sequence[Destination], grown: Iterable[_Grown]) -> str:
    rates = [sum(column) for column in zip(*grown, strict=True)] if now else [0.0, 0.0, 0.0]
    denied = sum(one.count for one in now if _verdict(one) == "deny")
    clock = datetime.now(UTC).astimezone().strftime("%H:%M:%S")
    busy = f"{rates[0]:.1f}/s, {size(rates[1])}/s out, {size(rates[2])}/s in"
    return f"{clock}   {len(now)} destinations   {busy}   {denied} denied"


def _verdict(one: Destination) -> str:
    return shown_verdict(one.verdict, audit=one.audit)


def _coloured(one: Destination, line: str) -> str:
    colour = COLOURS.get(_verdict(one))
    return click.style(line, fg=colour) if colour else line
