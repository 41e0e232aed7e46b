"""``exitway explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from exitway.cli import options, render
from exitway.cli.problems import show
from exitway.cli.subject import Subject, of_flow, of_options
from exitway.cli.target import Target
from exitway.names.words import printable
from exitway.resources.problem import Problem, Problems

if TYPE_CHECKING:
    from exitway.cli.verify import Verified
    from exitway.explain.explanation import Explanation
    from exitway.flows.flow import Flow


@click.command("explain", epilog="Exit codes: 0 it is allowed, 1 it is denied, or there is a problem.")
@click.argument("call", metavar="URL|HOST:PORT", required=False)
@options.namespace
@options.labels
@click.option(
    "--workload",
    metavar="NAME",
    help="A workload that runs: NAME, or NAMESPACE/NAME; with its labels and the rules that it brought.",
)
@click.option("--method", metavar="METHOD", default="", help="The method of an HTTP request; by default GET.")
@click.option(
    "--proto",
    metavar="PROTOCOL",
    default="",
    help="What is spoken: HTTP, HTTP2, GRPC, TLS, TCP, UDP, ...; by default by URL or port.",
)
@click.option(
    "--flow",
    "flow_id",
    metavar="ID",
    type=click.IntRange(1),
    help="Something that happened, by its id in `exitway flows`.",
)
@options.filenames
@click.option(
    "--verify",
    "verifying",
    is_flag=True,
    help="Also make the call, in a sealed workload like that, and compare what the proxy does.",
)
@click.option(
    "-o",
    "--output",
    metavar="FORMAT",
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    help="How to print: text, json, or yaml for only the rule that would allow it.",
)
@options.target
@click.pass_context
def explain(
    ctx: click.Context,
    call: str | None,
    namespace: str | None,
    labels: dict[str, str],
    workload: str | None,
    method: str,
    proto: str,
    flow_id: int | None,
    filenames: tuple[str, ...],
    verifying: bool,
    output: str,
    target: Target,
) -> None:
    """Say whether a call may leave, why, which way it takes, and what would let it out.

    \b
    exitway explain -n shop http://httpbin.org/headers
    exitway explain -n shop -l app=checkout --method POST https://api.example/v1
    exitway explain -f rules/ db.example:5432
    exitway explain --context prod -n shop -l app=checkout https://api.example/
    exitway explain --flow 42

    Without -f, the rules in force are asked; with it, only those of the files, and no server. --verify really makes the call: what the rules
    let out arrives where it goes.
    """  # noqa: D301
    from exitway.explain.explanation import explain as explained
    from exitway.explain.recorded import asked_by, then
    from exitway.explain.target import read_target

    if (call is None) == (flow_id is None):
        raise click.UsageError("give either URL|HOST:PORT or --flow ID")
    if flow_id is not None and (namespace or labels or workload or method or proto):
        raise click.UsageError("--flow knows who asked, and what: leave -n, -l, --workload, --method and --proto out")
    flow = None if flow_id is None else _flow(flow_id, target)
    if flow and output == "text":  # whether there is a server now or not
        click.echo("\n".join(map(printable, then(flow))))
        click.echo(f"\nBy the rules {'of the files' if filenames else 'as they are now'}:\n")
    asked = asked_by(flow) if flow else read_target(call or "", method=method, protocol=proto)
    subject = of_flow(flow, filenames, target) if flow else of_options(filenames, namespace, labels, workload, target)
    subject.check(asked)
    explanation = explained(subject.scene, asked)
    verified = subject.verified(explanation) if verifying else None
    _print(explanation, subject, output, flow, verified)
    ctx.exit(0 if explanation.allowed and (verified is None or _agrees(explanation, verified)) else 1)


def _flow(identity: int, target: Target) -> Flow:
    from contextlib import closing

    from exitway.cli.flows import flow_db
    from exitway.flows.history import History

    with closing(History(flow_db(target.server), read_only=True)) as history:
        flow = history.get(identity)
    if flow is None:
        raise Problems([Problem("EXW1711", f"there is no flow {identity}", "`exitway flows` shows their ids")])
    return flow


def _agrees(explanation: Explanation, verified: Verified) -> bool:
    """Whether the proxy allowed it, too; shows a disagreement."""
    from exitway.cli.verify import disagreement

    if problem := disagreement(explanation, verified):
        show([problem])
    return verified.decision.allowed and not problem


def _print(
    explanation: Explanation, subject: Subject, output: str, flow: Flow | None, verified: Verified | None
) -> None:
    from exitway.explain.sheet import as_json, lines
    from exitway.resources.text import yaml_text

    workload = subject.asker.workload
    place = subject.rules.place_of
    if output == "json":
        found: dict[str, Any] = as_json(explanation, workload, place)
        found |= {"flow": flow.wire()} if flow else {}
        click.echo(render.json_text(found | ({"verified": verified.wire()} if verified else {})))
        return
    if output == "text":
        for line in lines(explanation, workload, place):
            click.echo(printable(line))
        if verified:
            click.echo(f"\n{printable(verified.text)}")
    if explanation.least:
        if output == "text":
            click.echo("\nThe smallest rule that would allow it, for `exitway create -f -`:\n")
        click.echo(yaml_text(explanation.least), nl=False)
