"""``exitway diff``: what a change of rules opens and closes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import click

from exitway.cli import options, render
from exitway.cli.input import read_all
from exitway.cli.revision import documents_of, is_revision
from exitway.cli.rules import Rules, rules_among, rules_in_files, rules_in_force
from exitway.cli.target import Target
from exitway.names.key import Key
from exitway.names.words import printable
from exitway.resources.problem import Problem, Problems

IN_FORCE = "in-force"
"""What stands for the rules in force, instead of a file."""


@click.command("diff")
@click.argument("sides", nargs=-1, metavar="[OLD NEW]")
@options.filenames
@options.namespace
@click.option(
    "-o",
    "--output",
    "--format",
    metavar="FORMAT",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    help="How to print: text, json, or markdown, for reviews.",
)
@click.option("--exit-code", is_flag=True, help="End with 1 if there are differences, as git does.")
@options.target
@click.pass_context
def diff(
    ctx: click.Context,
    sides: Sequence[str],
    filenames: Sequence[str],
    namespace: str | None,
    output: str,
    exit_code: bool,
    target: Target,
) -> None:
    """Say what a change of rules opens, what it closes, and what goes out otherwise: in meaning, not in text.

    OLD and NEW are each a file, a directory, - for stdin, REVISION:PATH of git, or `in-force`. With -f instead: what `apply -f` would
    change of what is in force. Each difference comes with a call that shows it. -n means only workloads of that namespace, which is also
    the namespace of rules that name none.

    \b
    exitway diff old/ new/
    exitway diff main:rules rules -o markdown
    exitway diff in-force rules/
    exitway diff -f rules/ --exit-code
    """  # noqa: D301
    from exitway.explain.differences import report
    from exitway.explain.differences.labels import MOST_CLASSES, TooManyClasses
    from exitway.explain.differences.merge import differences
    from exitway.explain.differences.wire import as_json

    before, after = _sides(sides, filenames, namespace, target)
    direct = not target.is_cluster  # there nothing goes past the proxies
    try:
        found = differences(before.registry, after.registry, datetime.now(UTC), namespace, direct=direct)
    except TooManyClasses:
        message = f"selectors of rules for one destination tell apart more than {MOST_CLASSES} classes of workloads"
        raise Problems([Problem("EXW1812", message, "compare fewer rules at once")]) from None
    locate = report.Locate(_places(before), _places(after))
    if output == "json":
        click.echo(render.json_text(as_json(found, locate)))
    else:
        for line in (report.markdown if output == "markdown" else report.text)(found, locate):
            click.echo(printable(line))
    if exit_code and found:
        ctx.exit(1)


def _sides(
    sides: Sequence[str], filenames: Sequence[str], namespace: str | None, target: Target
) -> tuple[Rules, Rules]:
    """The rules before and after. Raises Problems, of both."""
    if bool(sides) == bool(filenames) or len(sides) not in (0, 2):
        raise click.UsageError("give OLD and NEW; or -f FILE, for what applying it would change")
    api = target.connect() if filenames or IN_FORCE in sides else None
    own = namespace or (api.namespace if api else options.DEFAULT_NAMESPACE)
    if api and filenames:
        in_force = rules_in_force(api, namespace)
        return in_force, in_force.changed(rules_in_files(filenames, own))
    read: list[Rules] = []
    problems: list[Problem] = []
    for side in sides:
        try:
            read.append(rules_in_force(api, namespace) if api and side == IN_FORCE else _side(side, own))
        except Problems as bad:
            problems += bad.problems
    if problems:
        raise Problems(problems)
    return read[0], read[1]


def _side(name: str, namespace: str) -> Rules:
    """The rules of files or of a revision; a file with nothing in it has none."""
    documents, found = documents_of(name) if is_revision(name) else read_all([name], None)
    return rules_among(documents, namespace, [problem for problem in found if problem.code != "EXW0004"])


def _places(rules: Rules) -> Callable[[Key], str]:
    def place(key: Key) -> str:
        return str(rules.place(key) or "")

    return place
