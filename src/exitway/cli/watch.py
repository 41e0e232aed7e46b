"""``exitway get --watch``: what is there, then every change, until it is interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any

import click

from exitway.cli import render
from exitway.cli.client import Refusal
from exitway.cli.get import frameless
from exitway.cli.problems import INTERRUPTED
from exitway.cli.target import Api
from exitway.resources.problem import Problems


def watch_lists(api: Api, lists: Mapping[str, Any], wires: Sequence[Any], names: Sequence[str], output: str) -> None:
    """Print the resources, then what happens to them after the revisions of their lists, which are given by path.

    Goes on until it is interrupted, or raises Problems.
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
        for event in _events(api, lists):
            if not names or event["object"]["metadata"]["name"] in names:
                show(event)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _events(api: Api, lists: Mapping[str, Any]) -> Iterator[Any]:
    """The events after the lists, as they come. The server ends a watch now and then; it is then taken up where it ended."""
    queue: SimpleQueue[Any] = SimpleQueue()

    def follow(path: str, revision: str) -> None:
        try:
            while True:
                query = f"watch=true&allowWatchBookmarks=true&resourceVersion={revision}"
                for event in api.stream(f"{path}?{query}"):
                    if event["type"] == "ERROR":
                        raise Refusal(event["object"])
                    revision = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        queue.put(event)
        except Problems as problems:
            queue.put(problems)

    for path, listed in lists.items():
        Thread(target=follow, args=(path, listed["metadata"]["resourceVersion"]), daemon=True).start()
    while True:
        event = queue.get()
        if isinstance(event, Problems):
            raise event
        yield event
