"""``exitway test``: whether rules do what files say they do."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from exitway.cli import options
from exitway.cli.asker import check
from exitway.cli.input import read_all
from exitway.cli.staging import Staging
from exitway.cli.target import Target
from exitway.explain.suites import report
from exitway.explain.suites.file import Suite, read_suite
from exitway.explain.suites.suite import Outcome
from exitway.names.words import printable
from exitway.resources.document import Document
from exitway.resources.problem import Place, Problem, Problems

_MOST_UNUSED = 10
"""Unused rules that are listed without -v."""


@click.command("test")
@click.argument("files", nargs=-1, required=True, metavar="FILE|DIR...", type=click.Path(allow_dash=True))
@options.filenames
@options.namespace
@options.labels
@click.option("--in-force", is_flag=True, help="Test the rules in force, whatever the files name.")
@click.option("-k", "keyword", metavar="TEXT", default="", help="Only calls in whose words or file this text stands.")
@click.option("-v", "--verbose", is_flag=True, help="A line for each call, and all unused rules.")
@click.option("-q", "--quiet", is_flag=True, help="Only what failed, and the summary.")
@click.option(
    "--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML as well, for CI servers."
)
@click.option("--fail-unused", is_flag=True, help="Fail where a rule is used by no call of the files.")
@options.target
@click.pass_context
def test(
    ctx: click.Context,
    files: Sequence[str],
    filenames: Sequence[str],
    namespace: str | None,
    labels: Mapping[str, str],
    in_force: bool,
    keyword: str,
    verbose: bool,
    quiet: bool,
    junit: Path | None,
    fail_unused: bool,
    target: Target,
) -> None:
    """Try the calls of files on rules, offline, and say which are not decided as expected.

    A file names its rules, who calls, and what must be allowed and denied. Rules of -f come instead of those it names; without any, those in
    force are meant. The exit code is 1 where a call is decided otherwise, or something cannot be read.

    \b
    exitway test tests.yml
    exitway test tests/ -f rules/ --junit report.xml
    exitway test tests.yml --in-force
    """  # noqa: D301
    began = datetime.now(UTC), time.monotonic()
    in_force = in_force or target != Target()
    if in_force and filenames:
        raise click.UsageError("rules are either those of -f or those in force")
    if keyword and fail_unused:
        raise click.UsageError("with -k not all calls are tried, so --fail-unused means nothing")
    rules = Staging(tuple(filenames), target, began[0], in_force=in_force)
    outcomes = rules.run(_read(files, namespace, labels), keyword)
    unused = [] if keyword else rules.unused()
    for text in _lines(outcomes, verbose=verbose, quiet=quiet):
        click.echo(printable(text))
    if not quiet or fail_unused:
        _show_unused(unused, all_of_them=verbose or fail_unused)
    click.echo(report.summary(outcomes, None if keyword else (len(rules.known()), len(unused))))
    failing = unused if fail_unused else []
    if junit:
        run = report.Run(f"{began[0]:%Y-%m-%dT%H:%M:%S}", time.monotonic() - began[1])
        _write(junit, report.junit(outcomes, failing, run))
    if failing or not all(outcome.passed for outcome in outcomes):
        ctx.exit(1)


def _read(files: Sequence[str], namespace: str | None, labels: Mapping[str, str]) -> list[tuple[Document, Suite]]:
    check(namespace, labels)
    documents, problems = read_all(files, None)
    suites = []
    for document in documents:
        try:
            suites.append((document, read_suite(document, namespace or options.DEFAULT_NAMESPACE, labels)))
        except Problems as bad:
            problems += bad.problems
    if problems:
        raise Problems(problems)
    return suites


def _lines(outcomes: Sequence[Outcome], *, verbose: bool, quiet: bool) -> list[str]:
    told = [report.line(outcome) for outcome in outcomes if verbose or not outcome.passed]
    return told if verbose or quiet else [*report.dots(outcomes), *told]


def _show_unused(unused: Sequence[str], *, all_of_them: bool) -> None:
    shown = unused if all_of_them else unused[:_MOST_UNUSED]
    for rule in shown:
        click.echo(printable(f"rule {rule} is used by no test"))
    if more := len(unused) - len(shown):
        click.echo(f"and {more} more rules are used by no test; -v lists them")


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Problems(
            [Problem("EXW1804", f"the report cannot be written: {reason}", place=Place(str(path)))]
        ) from None
