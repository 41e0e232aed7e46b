"""Flows as lines of a table. What a program has written stands in them with everything invisible escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from exitway.cli.render import Table
from exitway.flows.flow import AUDIT, Flow, shown_verdict
from exitway.names.address import bracketed
from exitway.names.amount import duration, size

SHORT = ("ID", "TIME", "WORKLOAD", "VERDICT", "DESTINATION", "REQUEST", "WHY", "COUNT", "SENT", "RECEIVED")
WIDE = (*SHORT, "PROTOCOL", "ADDRESS", "UPSTREAM", "PROCESS", "TOOK", "LAST", "DETAIL")
_FLOORS = {"ID": 3, "TIME": 19, "WORKLOAD": 12, "DESTINATION": 20, "REQUEST": 12, "WHY": 12, "COUNT": 5, "SENT": 7}
_LONGEST, _LONGEST_NAME = 60, 90
COLOURS = {"deny": "red", AUDIT: "yellow"}


class FlowTable:
    """Columns as wide as the first flows need; later ones mostly fit."""

    def __init__(self, columns: Sequence[str], flows: Sequence[Flow]) -> None:
        self._columns = columns
        floors = [_FLOORS.get(column, len(column)) for column in columns]
        self._table = Table(columns, [_cells(flow, columns) for flow in flows], floors)

    @property
    def header(self) -> str:
        """The first line."""
        return self._table.line(self._columns)

    def line(self, flow: Flow) -> str:
        """One flow; what is denied is red on a terminal."""
        line = self._table.line(_cells(flow, self._columns))
        colour = COLOURS.get(_verdict(flow))
        return click.style(line, fg=colour) if colour else line


def destination(name: str, port: int) -> str:
    """``name:port``, ``[address]:port``, or what has no port. Of a long name its two ends: what it belongs to stands at the last."""
    shown = bracketed(name)
    if len(shown) > _LONGEST_NAME:
        shown = f"{shown[: _LONGEST_NAME // 3]}...{shown[3 - _LONGEST_NAME * 2 // 3 :]}"
    return f"{shown}:{port}" if port else shown


def _cells(flow: Flow, columns: Sequence[str]) -> list[str]:
    cells = {
        "ID": _id(flow),
        "TIME": _local(flow.time),
        "WORKLOAD": flow.workload,
        "VERDICT": _verdict(flow),
        "DESTINATION": destination(flow.name or flow.address, flow.port),
        "REQUEST": _request(flow),
        "WHY": _why(flow),
        "COUNT": str(flow.count),
        "SENT": size(flow.sent),
        "RECEIVED": size(flow.received),
    }
    if columns == WIDE:
        cells |= {
            "PROTOCOL": flow.protocol,
            "ADDRESS": flow.address,
            "UPSTREAM": flow.upstream or "-",
            "PROCESS": flow.process or "-",
            "TOOK": duration(flow.duration),
            "LAST": _local(flow.last or flow.time),
            "DETAIL": flow.detail or "-",
        }
    return [cells[column] for column in columns]


def _id(flow: Flow) -> str:
    """In a cluster with the node whose history has it; what is in none has no id."""
    return "-" if not flow.id else f"{flow.at.removeprefix('node/')}/{flow.id}" if flow.at else str(flow.id)


def _verdict(flow: Flow) -> str:
    return shown_verdict(flow.decision.verdict, audit=flow.audit)


def _local(time: str) -> str:
    """In the time zone of whoever looks."""
    return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _request(flow: Flow) -> str:
    """``GET /path 200``, or the protocol of what is no request."""
    if not flow.method:
        return flow.protocol
    path = flow.path if len(flow.path) <= _LONGEST else f"{flow.path[: _LONGEST - 3]}..."
    return " ".join(filter(None, (flow.method, path, str(flow.status or ""))))


def _why(flow: Flow) -> str:
    """The rule, or the reason; of a denial both, since the rule is only the nearest one."""
    rule = str(flow.decision.because or "")
    if flow.decision.allowed:
        return (rule or flow.decision.reason.value) + (" (direct)" if flow.decision.direct else "")
    return f"{flow.decision.reason.value} ({rule})" if rule else flow.decision.reason.value
