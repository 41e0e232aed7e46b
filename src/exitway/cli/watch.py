"""``exitway get --watch``: what is there, then every change, until it is interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, NoReturn

import click

from exitway.cli import render
from exitway.cli.client import Client, Refusal
from exitway.cli.get import frameless
from exitway.resources.problem import Problem, Problems

_INTERRUPTED = 130


def watch_lists(
    client: Client, lists: Mapping[str, Any], wires: Sequence[Any], names: Sequence[str], output: str
) -> NoReturn:
    """Print the resources, then what happens to them after the revisions of their lists, which are given by path.

    Ends by an interrupt, or raises Problems.
    """
    columns = render.WIDE if output == "wide" else render.SHORT
    table = render.table(columns, wires, render.now())
    if output in ("short", "wide"):
        click.echo(f"{'EVENT':<11}{table.line(columns)}")

    def show(event: Any) -> None:
        if output in ("short", "wide"):
            click.echo(f"{event['type']:<11}{table.line(render.row(columns, event['object'], render.now()))}")
        else:
            click.echo(render.json_line(event) if output == "json" else frameless(event["object"], output))

    try:
        for wire in wires:
            show({"type": "ADDED", "object": wire})
        for event in _events(client, lists):
            if not names or event["object"]["metadata"]["name"] in names:
                show(event)
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    raise Problems(
        [Problem("EXW0903", f"the server at {client.socket} ended the watch", "`exitway status` shows whether it runs")]
    )


def _events(client: Client, lists: Mapping[str, Any]) -> Iterator[Any]:
    """The events of all lists as they come, until one of them ends."""
    queue: SimpleQueue[Any] = SimpleQueue()

    def follow(path: str) -> None:
        try:
            for event in client.stream(path):
                queue.put(event)
            queue.put(None)
        except (Problems, OSError, ValueError) as error:
            queue.put(error)

    for path, listed in lists.items():
        revision = listed["metadata"]["resourceVersion"]
        Thread(target=follow, args=(f"{path}?watch=true&resourceVersion={revision}",), daemon=True).start()
    while (event := queue.get()) is not None:
        if isinstance(event, Problems):
            raise event
        if isinstance(event, Exception):
            return
        if event["type"] == "ERROR":
            raise Refusal(event["object"])
        yield event
