"""``exitway explain``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from exitway.cli import options, render
from exitway.cli.asker import Asker, anybody, running
from exitway.cli.client import Client
from exitway.cli.problems import printable
from exitway.cli.target import Target

if TYPE_CHECKING:
    from exitway.cli.rules import Rules
    from exitway.explain.explanation import Explanation
    from exitway.explain.sheet import PlaceOf
    from exitway.names.key import Key
    from exitway.server.trial import Trial


@click.command("explain", epilog="Exit codes: 0 it is allowed, 1 it is denied, or there is a problem.")
@click.argument("call", metavar="URL|HOST:PORT")
@options.namespace
@options.labels
@click.option("--workload", metavar="NAME", help="A workload that runs, with its labels and the rules it has brought.")
@click.option("--method", metavar="METHOD", default="", help="The method of an HTTP request; by default GET.")
@click.option(
    "--proto",
    metavar="PROTOCOL",
    default="",
    help="What is spoken: HTTP, HTTP2, GRPC, TLS, TCP, UDP, ...; by default by URL or port.",
)
@options.filenames
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
    call: str,
    namespace: str | None,
    labels: dict[str, str],
    workload: str | None,
    method: str,
    proto: str,
    filenames: tuple[str, ...],
    output: str,
    target: Target,
) -> None:
    """Say whether a call may leave, why, which way it takes, and what would let it out.

    \b
    exitway explain -n shop http://httpbin.org/headers
    exitway explain -n shop -l app=checkout --method POST https://api.example/v1
    exitway explain -f rules/ db.example:5432
    exitway explain --context prod -n shop -l app=checkout https://api.example/

    Without -f, the rules in force are asked; with it, only those of the files, and no server.
    """  # noqa: D301
    from exitway.explain.explanation import explain as explained
    from exitway.explain.target import read_target

    logging.getLogger("exitway").addHandler(logging.NullHandler())  # what matters is said below
    asked = read_target(call, method=method, protocol=proto)
    rules, scene = scene_of(filenames, namespace, labels, workload, target)
    explanation = explained(scene, asked)
    _print(explanation, scene, place_of(rules), output)
    ctx.exit(0 if explanation.allowed else 1)


def scene_of(
    filenames: Sequence[str], namespace: str | None, labels: dict[str, str], workload: str | None, target: Target
) -> tuple[Rules, Trial]:
    """The rules that are asked, and the scene of whoever asks. Raises Problems."""
    from exitway.cli.input import read_all
    from exitway.cli.rules import rules_of, rules_to_ask

    if filenames:
        if workload:
            raise click.UsageError("--workload is one that runs; with -f say -n and -l")
        namespace = namespace or options.DEFAULT_NAMESPACE
        documents, found = read_all(filenames, None)
        rules = rules_of(documents, namespace, found)
        return rules, _trial(rules, anybody(namespace, labels), direct=True)
    api = target.connect()
    asker = running(api, workload, namespace) if workload else anybody(namespace or api.namespace, labels, api)
    rules = rules_to_ask(api, asker.workload.namespace)
    return rules, _trial(rules, asker, direct=isinstance(api, Client))


def place_of(rules: Rules) -> PlaceOf:
    """Where a rule, or one of its destinations, stands in the files that were read."""

    def place(rule: Key, target: int | None) -> str:
        field = f"spec.to[{target}]" if rule.group == "exitway.dev" and target is not None else "spec"
        return str(rules.place(rule, field) or "")

    return place


def _trial(rules: Rules, asker: Asker, *, direct: bool) -> Trial:
    from exitway.server.trial import Trial

    return Trial(
        rules.registry, asker.workload, render.now(), asker.intents, asker.ranges, direct=direct, audit=asker.audit
    )


def _print(explanation: Explanation, scene: Trial, place: PlaceOf, output: str) -> None:
    from exitway.explain.sheet import as_json, lines

    if output == "json":
        click.echo(render.json_text(as_json(explanation, scene.workload, place)))
        return
    if output == "text":
        for line in lines(explanation, scene.workload, place):
            click.echo(printable(line))
    if explanation.least:
        if output == "text":
            click.echo("\nThe smallest rule that would allow it, for `exitway create -f -`:\n")
        click.echo(render.yaml_text(explanation.least), nl=False)
