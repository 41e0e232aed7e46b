"""``exitway flows``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exitway.cli import options
from exitway.cli.duration import since
from exitway.cli.problems import INTERRUPTED
from exitway.cli.target import Target
from exitway.settings import Settings

if TYPE_CHECKING:
    from exitway.flows.choice import Choice
    from exitway.flows.flow import Flow
    from exitway.flows.history import History

FORMATS = ("short", "wide", "json")
USUAL_LIMIT = 50
_INTERVAL_SECONDS = 0.25
_BATCH = 1000


@click.command("flows")
@options.namespace
@click.option("--workload", metavar="NAME", help="Only of this workload: NAME, or NAMESPACE/NAME.")
@click.option("--verdict", type=click.Choice(["allow", "deny"]), help="Only what was allowed, or denied.")
@click.option("--host", metavar="NAME|ADDRESS", help="Only to there; `*` stands for anything, as in '*.example.com'.")
@since
@click.option("--limit", metavar="NUMBER", type=click.IntRange(0), help="At most so many, the newest; 0: all.")
@click.option("-f", "--follow", is_flag=True, help="Go on, and print what is seen from now on.")
@click.option(
    "-o",
    "--output",
    metavar="FORMAT",
    type=click.Choice(FORMATS),
    default="short",
    help=f"How to print: {', '.join(FORMATS)} (a line for each flow).",
)
@options.target
def flows(
    namespace: str | None,
    workload: str | None,
    verdict: str | None,
    host: str | None,
    since: str | None,
    limit: int | None,
    follow: bool,
    output: str,
    target: Target,
) -> None:
    """Show what programs have called, and what became of it.

    One line for each denial, and for each day's use of a destination; repeats are counted. Without --limit and --since the last 50. It needs no
    server to run. With --context or --kubeconfig: of a whole cluster, the agents of its nodes and the proxies in its pods.

    \b
    exitway flows -n shop --verdict deny
    exitway flows --host '*.stripe.com' --since 1h -o wide
    exitway flows -f -o json | jq .name
    exitway flows --context prod -n shop --since 1h
    """  # noqa: D301
    from exitway.flows.choice import Choice

    choice = Choice(namespace, workload, verdict, host, since)
    if limit is None and since is None:
        limit = USUAL_LIMIT
    try:
        if target.is_cluster:
            from exitway.cli.fleet import show_flows

            show_flows(target, choice, limit or None, output, follow=follow)
        else:
            _show(target, choice, limit or None, output, follow=follow)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _show(target: Target, choice: Choice, limit: int | None, output: str, *, follow: bool) -> None:
    """Those of this machine."""
    from exitway.flows.history import History

    chosen = asdict(choice)
    with closing(History(flow_db(target.server), read_only=True)) as history:
        before = history.next_id - 1
        found = history.select(**chosen, limit=limit)
        _print(history, found, output, chosen, max([before, *(flow.id for flow in found)]) if follow else None)


def flow_db(server: Path | None) -> Path:
    """Where they are: a server at another socket says so itself."""
    from exitway.cli.client import Client

    settings = Settings.from_environment()
    return Path(Client(settings, server).request("GET", "/exitway/v1/status")["flows"]) if server else settings.flow_db


def print_flows(found: Sequence[Flow], output: str, *, follow: bool = False) -> Callable[[Flow], None]:
    """Print flows; what prints one more, alike."""
    from exitway.cli.flow_table import SHORT, WIDE, FlowTable

    table = FlowTable(WIDE if output == "wide" else SHORT, found)

    def show(flow: Flow) -> None:
        click.echo(flow.line() if output == "json" else table.line(flow))

    if output != "json" and (found or follow):
        click.echo(table.header)
    elif not found:
        click.echo("No flows found.", err=True)
    for flow in found:
        show(flow)
    return show


def _print(history: History, found: list[Flow], output: str, chosen: dict[str, Any], after: int | None) -> None:
    """``after``: go on with what comes after the flow of this id."""
    show = print_flows(found, output, follow=after is not None)
    while after is not None:
        if len(found) < _BATCH:
            time.sleep(_INTERVAL_SECONDS)
        found = history.select(**chosen, after=after, limit=_BATCH)
        after = max([after, *(flow.id for flow in found)])
        for flow in found:
            show(flow)
