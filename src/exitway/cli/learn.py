"""``exitway learn``: the least rules that let out what was recorded before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from exitway.cli import lesson, options
from exitway.cli.duration import since
from exitway.cli.flows import flow_db
from exitway.cli.lesson import Asked, Context, write_lesson
from exitway.cli.problems import show
from exitway.cli.target import Target
from exitway.names.host import as_label

if TYPE_CHECKING:
    from exitway.flows.choice import Choice
    from exitway.flows.flow import Flow
    from exitway.resources.problem import Problem
    from exitway.resources.registry import Registry


@click.command("learn")
@options.namespace
@click.option("--workload", metavar="NAME", help="Only what this workload did: NAME, or NAMESPACE/NAME.")
@options.labels
@since
@lesson.options(
    click.option("-w", "--write", "rules", metavar="FILE", type=lesson.FILE, help="Write the rules to a file.")
)
@options.target
@click.pass_context
def learn(
    ctx: click.Context,
    namespace: str | None,
    workload: str | None,
    labels: Mapping[str, str],
    since: str | None,
    asked: Asked,
    target: Target,
) -> None:
    """Write the least rules that let out what was recorded: what rules let out, and what audits let through.

    They name exact names, ports and protocols, and of plain HTTP methods and paths. The proof is part of it: all that was recorded is replayed, and
    calls near it are denied. What is not proven is said, and the exit code is 1.

    \b
    exitway learn --since 1h -n shop
    exitway learn --workload shop/pip-3fa2c1 --write rules.yml --tests tests.yml
    exitway learn -n shop -l app=checkout --wildcards
    exitway learn --context prod -n shop --since 1d
    """  # noqa: D301
    from exitway.flows.choice import Choice

    asked.check()
    choice = Choice(namespace, workload, since=since)
    recorded, problems = _of_cluster(target, choice) if target.is_cluster else (_of_machine(target, choice), [])
    flows = [flow for flow in recorded if _has(flow, labels)]
    show(problems)
    what = ", ".join(_what(namespace, workload, labels, since)) or "everything"
    heading = [f"Learned from what was recorded: {what}."]
    context = Context(_name(workload, labels), heading, lambda: _rules(target, namespace))
    if not write_lesson(flows, asked, context) or problems:
        ctx.exit(1)


def _of_machine(target: Target, choice: Choice) -> Sequence[Flow]:
    from exitway.flows.history import History

    with closing(History(flow_db(target.server), read_only=True)) as history:
        return history.select(**asdict(choice))


def _of_cluster(target: Target, choice: Choice) -> tuple[Sequence[Flow], list[Problem]]:
    """Also what some did not say."""
    from exitway.cli.fleet import recorded

    return recorded(target.cluster(), choice)


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


def _rules(target: Target, namespace: str | None) -> Registry:
    from exitway.cli.rules import rules_in_force, rules_to_ask

    api = target.connect()
    return (rules_to_ask(api, namespace) if namespace else rules_in_force(api)).registry
