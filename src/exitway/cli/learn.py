"""``exitway learn``: the least rules that let out what was recorded before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exitway.cli import lesson, options
from exitway.cli.client import Client
from exitway.cli.duration import since
from exitway.cli.flows import flow_db
from exitway.cli.lesson import Asked, Context, write_lesson
from exitway.names.host import as_label
from exitway.settings import Settings

if TYPE_CHECKING:
    from exitway.flows.flow import Flow
    from exitway.resources.registry import Registry


@click.command("learn")
@options.namespace
@click.option("--workload", metavar="NAME", help="Only what this workload did: NAME, or NAMESPACE/NAME.")
@options.labels
@since
@lesson.options(
    click.option("-w", "--write", "rules", metavar="FILE", type=lesson.FILE, help="Write the rules to a file.")
)
@options.server
@click.pass_context
def learn(
    ctx: click.Context,
    namespace: str | None,
    workload: str | None,
    labels: Mapping[str, str],
    since: str | None,
    asked: Asked,
    server: Path | None,
) -> None:
    """Write the least rules that let out what was recorded: what rules let out, and what audits let through.

    They name exact names, ports and protocols, and of plain HTTP methods and paths. The proof is part of it: all that was recorded is replayed, and
    calls near it are denied. What is not proven is said, and the exit code is 1.

    \b
    exitway learn --since 1h -n shop
    exitway learn --workload shop/pip-3fa2c1 --write rules.yml --tests tests.yml
    exitway learn -n shop -l app=checkout --wildcards
    """  # noqa: D301
    asked.check()
    flows = [flow for flow in _recorded(server, namespace, workload, since) if _has(flow, labels)]
    what = ", ".join(_what(namespace, workload, labels, since)) or "everything"
    context = Context(_name(workload, labels), [f"Learned from what was recorded: {what}."], lambda: _rules(server))
    if not write_lesson(flows, asked, context):
        ctx.exit(1)


def _recorded(server: Path | None, namespace: str | None, workload: str | None, since: str | None) -> list[Flow]:
    from exitway.flows.history import History

    with closing(History(flow_db(server), read_only=True)) as history:
        return history.select(namespace=namespace, workload=workload, since=since)


def _has(flow: Flow, labels: Mapping[str, str]) -> bool:
    return labels.items() <= flow.labels.items()


def _what(namespace: str | None, workload: str | None, labels: Mapping[str, str], since: str | None) -> Iterator[str]:
    if workload:
        yield f"workload {workload}"
    if namespace:
        yield f"namespace {namespace}"
    yield from (f"{key}={value}" for key, value in labels.items())
    if since:
        yield f"since {since}"


def _name(workload: str | None, labels: Mapping[str, str]) -> str:
    """Of the rules."""
    return as_label("-".join([(workload or "").rpartition("/")[2], *labels.values()])) or "learned"


def _rules(server: Path | None) -> Registry:
    from exitway.cli.rules import rules_in_force

    return rules_in_force(Client(Settings.from_environment(), server)).registry
