"""``exitway test``: whether rules do what files say they do."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click

from exitway.cli import options
from exitway.cli.client import Client
from exitway.cli.explain import place_of
from exitway.cli.input import read_all
from exitway.cli.problems import printable
from exitway.cli.rules import Rules, rules_in_files, rules_in_force
from exitway.cli.target import Target
from exitway.explain import suite_report as report
from exitway.explain.scene import Scene
from exitway.explain.sheet import PlaceOf, rule_text
from exitway.explain.suite import Case, Outcome, Stage, chosen, names
from exitway.explain.suite_file import Suite, read_suite
from exitway.names.key import Key
from exitway.names.workload import Workload
from exitway.resources.document import Document
from exitway.resources.form import did_you_mean
from exitway.resources.problem import Place, Problem, Problems, quoted
from exitway.server.trial import Trial

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
    logging.getLogger("exitway").addHandler(logging.NullHandler())  # what matters is said below
    began = datetime.now(UTC), time.monotonic()
    in_force = in_force or target != Target()
    if in_force and filenames:
        raise click.UsageError("rules are either those of -f or those in force")
    source = _Source(tuple(filenames), namespace, target, began[0], in_force=in_force)
    outcomes = source.run(_read(files, namespace, labels), keyword)
    unused = source.unused()
    for text in _lines(outcomes, source.place_of, verbose=verbose, quiet=quiet):
        click.echo(printable(text))
    _show_unused(unused, source.place_of, quiet=quiet and not fail_unused, all_of_them=verbose or fail_unused)
    click.echo(report.summary(outcomes, len(source.rules()), len(unused)))
    failing = [rule_text(key, None, source.place_of) for key in unused] if fail_unused else []
    if junit:
        run = report.Run(f"{began[0]:%Y-%m-%dT%H:%M:%S}", time.monotonic() - began[1])
        _write(junit, report.junit(outcomes, failing, run, source.place_of))
    if failing or not all(outcome.passed for outcome in outcomes):
        ctx.exit(1)


_Of = tuple[tuple[str, ...], str]
"""Files of rules (none: what is in force), and the namespace of those that name none."""


@dataclass
class _Source:
    """Where rules come from, and those that were read: each set of files once, with what was tried on them."""

    filenames: tuple[str, ...]
    namespace: str | None
    target: Target
    now: datetime
    in_force: bool
    _staged: dict[_Of, tuple[Rules, Stage]] = field(default_factory=dict)

    def run(self, suites: Sequence[tuple[Document, Suite]], keyword: str) -> list[Outcome]:
        """The outcomes of the chosen cases. Raises :class:`Problems`, of all rules and tests."""
        problems: list[Problem] = []
        cases: list[tuple[_Of, Case]] = []
        for document, suite in suites:
            try:
                of = self._read_rules(document, suite)
            except Problems as bad:
                problems += bad.problems
                continue
            problems += [fault for case in suite.cases for fault in _unknown_rule(case, self._staged[of][1])]
            cases += [(of, case) for case in chosen(suite.cases, keyword)]
        if problems:
            raise Problems(problems)
        return [self._staged[of][1].outcome(case) for of, case in cases]

    def rules(self) -> set[_Rule]:
        """All rules that were read."""
        return {rule for rules, _ in self._staged.values() for rule in _rules(rules)}

    def unused(self) -> list[Key]:
        """The rules that no case speaks of."""
        used = {
            rule
            for rules, stage in self._staged.values()
            for rule in _rules(rules).difference(_places(rules, stage.unused()))
        }
        return sorted(key for key, _ in self.rules() - used)

    def place_of(self, key: Key, target: int | None) -> str:
        """Where a rule, or one of its destinations, stands."""
        return next((at for rules, _ in self._staged.values() if (at := place_of(rules)(key, target))), "")

    def _read_rules(self, document: Document, suite: Suite) -> _Of:
        named = self.filenames or tuple(str(Path(document.file).parent / name) for name in suite.rules)
        of = () if self.in_force else named, self.namespace or suite.namespace
        if of not in self._staged:
            self._staged[of] = self._stage(*of)
        return of

    def _stage(self, filenames: tuple[str, ...], namespace: str) -> tuple[Rules, Stage]:
        api = None if filenames else self.target.connect()
        rules = rules_in_force(api, self.namespace) if api else rules_in_files(filenames, namespace)
        direct = api is None or isinstance(api, Client)  # nothing goes past the proxies of a cluster

        def scene_of(workload: Workload, at: datetime) -> Scene:
            return Trial(rules.registry, workload, at, direct=direct)

        return rules, Stage(rules.registry, scene_of, self.now)


_Rule = tuple[Key, Place | None]


def _rules(rules: Rules) -> set[_Rule]:
    return _places(rules, (resource.key for resource in rules.registry))


def _places(rules: Rules, keys: Iterable[Key]) -> set[_Rule]:
    return {(key, rules.place(key)) for key in keys}


def _read(files: Sequence[str], namespace: str | None, labels: Mapping[str, str]) -> list[tuple[Document, Suite]]:
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


def _unknown_rule(case: Case, stage: Stage) -> Sequence[Problem]:
    known = [resource.key for resource in stage.registry]
    if not case.rule or any(names(case.rule, key) for key in known):
        return ()
    hint = did_you_mean(case.rule, sorted({key.name for key in known})) if known else ""
    return [Problem("EXW1803", f"there is no rule {quoted(case.rule)}", hint, place=case.place)]


def _lines(outcomes: Sequence[Outcome], of: PlaceOf, *, verbose: bool, quiet: bool) -> list[str]:
    told = [report.line(outcome, of) for outcome in outcomes if verbose or not outcome.passed]
    return told if verbose or quiet else [*report.dots(outcomes), *told]


def _show_unused(unused: Sequence[Key], of: PlaceOf, *, quiet: bool, all_of_them: bool) -> None:
    if quiet:
        return
    shown = unused if all_of_them else unused[:_MOST_UNUSED]
    for key in shown:
        click.echo(printable(f"rule {rule_text(key, None, of)} is used by no test"))
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
