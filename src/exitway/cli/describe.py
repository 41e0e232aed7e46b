"""``exitway describe``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import click

from exitway.cli import complete, options, render
from exitway.cli.get import check_found, fetch, in_order
from exitway.cli.kind import full_kind, kinds_and_names
from exitway.cli.target import Target
from exitway.names.words import printable
from exitway.resources.brief import age
from exitway.resources.summary import Way, summary

_INDENT = 14


@click.command("describe")
@click.argument("arguments", nargs=-1, metavar="TYPE [NAME]...", shell_complete=complete.resources)
@options.namespace
@options.target
def describe(arguments: tuple[str, ...], namespace: str | None, target: Target) -> None:
    """Say in words what a rule lets out, for whom, and how it stands.

    \b
    exitway describe egressrule httpbin-egress-rule -n shop
    """  # noqa: D301
    kinds, names = kinds_and_names(arguments, "describe")
    api = target.connect()
    wires = in_order(fetch(api, kinds, namespace, names))
    if not wires:
        click.echo("No resources found.")
    for number, wire in enumerate(wires):
        lines = sheet(wire, render.now(), api.standing(wire))
        click.echo(
            "\n" * bool(number)
            + "\n".join(f"{f'{name}:' if name else '':<{_INDENT}}{printable(text)}" for name, text in lines)
        )
    check_found(kinds, names, wires, namespace)


def sheet(wire: Mapping[str, Any], now: datetime, standing: list[str]) -> Iterator[tuple[str, str]]:
    """The lines of the sheet: a name (empty: the line before goes on), and what there is to say."""
    metadata = wire["metadata"]
    said = summary(wire)
    yield "Name", metadata["name"]
    yield "Namespace", metadata["namespace"]
    yield "Kind", full_kind(wire)
    yield from _block("Labels", [f"{name}={value}" for name, value in (metadata.get("labels") or {}).items()])
    yield "Age", f"{age(metadata['creationTimestamp'], now)} (since {metadata['creationTimestamp']})"
    yield "Revision", str(metadata["resourceVersion"])
    yield "Action", "DENY: it wins over every rule that allows" if said.action == "DENY" else "ALLOW"
    yield "For", said.workloads
    yield from _block("To", [line for way in said.ways for line in _way(way)])
    over = bool(said.expires) and datetime.fromisoformat(said.expires) <= now
    if said.expires:
        yield "Expires", f"{said.expires}{', so it has expired and is as if absent' if over else ''}"
    yield from _block("Status", [] if over else standing)


def _block(name: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    yield from ((name if number == 0 else "", line) for number, line in enumerate(lines))


def _way(way: Way) -> Iterator[str]:
    yield f"{', '.join(way.destinations)} on port{'s' * (len(way.ports) > 1)} {', '.join(way.ports)}"
    yield from (f"  {note}" for note in way.notes)
