"""``exitway analyze``: what is wrong with rules that are valid, and what is risky."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click

from exitway.analyze.examine import examine
from exitway.analyze.facts import Facts
from exitway.analyze.finding import Finding, Severity
from exitway.analyze.resolution import in_clear, resolvable
from exitway.analyze.sarif import page, sarif
from exitway.cli import options, render
from exitway.cli.client import Client
from exitway.cli.duration import read_duration
from exitway.cli.problems import warn
from exitway.cli.rules import Rules, rules_in_force, rules_to_look_at
from exitway.cli.target import Target
from exitway.names.key import Key
from exitway.names.words import listed, printable
from exitway.resources.catalogue import CATALOGUE
from exitway.resources.resource import Resource
from exitway.settings import Settings

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


@click.command("analyze")
@click.argument("files", nargs=-1, metavar="[FILE|DIR...]", type=click.Path(allow_dash=True))
@options.namespace
@click.option(
    "-o",
    "--output",
    metavar="FORMAT",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    help="How to print: text, json, or sarif (2.1.0, for code scanning).",
)
@click.option(
    "--fail-on",
    type=click.Choice([*map(str, Severity), "never"]),
    default="error",
    show_default=True,
    help="End with 1 if there is a finding as severe as this.",
)
@click.option("--resolve", is_flag=True, help="Ask DNS about each name that is allowed.")
@click.option(
    "--probe",
    is_flag=True,
    help="Ask the servers to which clear text is allowed whether they speak TLS: a handshake at port 443. With --resolve.",
)
@click.option(
    "--expires-within",
    metavar="DURATION",
    callback=read_duration,
    default="14d",
    show_default=True,
    help="Report rules that expire so soon.",
)
@click.option(
    "--unused-for",
    metavar="DURATION",
    callback=read_duration,
    default="30d",
    show_default=True,
    help="Report rules in force that nothing has used for so long.",
)
@click.option("--show-ignored", is_flag=True, help="Show findings that rules ignore, too.")
@options.target
@click.pass_context
def analyze(
    ctx: click.Context,
    files: Sequence[str],
    namespace: str | None,
    output: str,
    fail_on: str,
    resolve: bool,
    probe: bool,
    expires_within: timedelta,
    unused_for: timedelta,
    show_ignored: bool,
    target: Target,
) -> None:
    """Report what is wrong with valid rules, and what is risky: of files, or without any, of what is in force.

    A rule ignores a finding by its annotation exitway.dev/ignore-findings: EXW2012. Nothing outside is asked without --resolve.

    \b
    exitway analyze rules/
    exitway analyze rules/ -o sarif --fail-on warning > exitway.sarif
    exitway analyze --context production --unused-for 90d
    """  # noqa: D301
    facts = Facts(datetime.now(UTC), expires_within, unused_for)
    if files:
        if target != Target():
            raise click.UsageError("either files are analyzed, or what is in force")
        rules = rules_to_look_at(files, namespace or options.DEFAULT_NAMESPACE)
    else:
        rules, facts = _in_force(target, namespace, facts)
    resources = rules.in_order()
    if resolve or probe:
        facts = _asked(resources, facts, probe=probe)
    findings = sorted((_placed(one, rules) for one in examine(resources, facts)), key=_order)
    shown = findings if show_ignored or output == "sarif" else [one for one in findings if not one.silenced]
    _print(shown, output)
    counted = [one for one in findings if not one.silenced]
    click.echo(_summary(counted, len(findings) - len(counted), len(resources)), err=True)
    if any(fail_on != "never" and one.severity.rank <= Severity(fail_on).rank for one in counted):
        ctx.exit(1)


def _in_force(target: Target, namespace: str | None, facts: Facts) -> tuple[Rules, Facts]:
    from exitway.cli.facts import created, of_cluster, of_machine, use_of
    from exitway.cli.flows import flow_db

    api = target.connect()
    rules = rules_in_force(api, namespace)
    facts = replace(facts, created=created(rules.in_order()))
    if isinstance(api, Client):
        return rules, replace(facts, running=of_machine(api), use=use_of(flow_db(target.server)))
    namespaces, pods, running = of_cluster(api, namespace)
    return rules, replace(facts, namespaces=namespaces, pods=pods, running=running)


def _asked(resources: Sequence[Resource], facts: Facts, *, probe: bool) -> Facts:
    from exitway.cli import lookups as outside

    lookups, silent = outside.look_up(resolvable(resources), Settings.from_environment().resolvers)
    _tell_of_silent("no DNS server could say anything of", silent)
    tls: dict[str, bool] = {}
    if probe:
        tls, silent = outside.probe(lookups, in_clear(resources))
        _tell_of_silent("nothing answers at port 443 of", silent)
    return replace(facts, lookups=lookups, tls=tls)


def _tell_of_silent(what: str, names: Sequence[str]) -> None:
    if names:
        warn(f"{what} {listed(names)}")


def _placed(finding: Finding, rules: Rules) -> Finding:
    place = rules.place(finding.about, finding.field) if isinstance(finding.about, Key) else None
    return finding.at(place) if place else finding


def _order(finding: Finding) -> tuple[str, int, int, str, str]:
    place = finding.place
    return place.file, place.line, place.column, str(finding.about), finding.code


def _print(findings: Sequence[Finding], output: str) -> None:
    if output == "text":
        for finding in findings:
            for line in _lines(finding):
                click.echo(line)
    elif output == "json":
        click.echo(render.json_text([_wire(one) for one in findings]))
    else:
        from exitway import __version__

        click.echo(render.json_text(sarif(findings, __version__)))


def _lines(finding: Finding) -> Iterator[str]:
    place = click.style(f"{printable(str(finding.place))}: ", bold=True) if finding.place.file else ""
    severity = click.style(finding.severity, fg=_COLOURS[finding.severity])
    ignored = " (ignored)" if finding.silenced else ""
    yield f"{place}{severity} {finding.code}{ignored} {printable(f'{finding.about}: {finding.message}')}"
    yield f"  hint: {printable(finding.hint)}"


def _wire(finding: Finding) -> dict[str, object]:
    place = finding.place
    return {
        "code": finding.code,
        "severity": finding.severity,
        "title": CATALOGUE[finding.code],
        "about": str(finding.about),
        "message": finding.message,
        "hint": finding.hint,
        "field": finding.field,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "ignored": finding.silenced,
        "page": page(finding.code),
    }


def _summary(findings: Sequence[Finding], ignored: int, rules: int) -> str:
    counts = Counter(one.severity for one in findings)
    parts = [
        f"{counts[one]} {one}{'s' * (counts[one] > 1 and one is not Severity.INFO)}" for one in Severity if counts[one]
    ]
    found = ", ".join(parts) or "nothing found"
    return f"{rules} rule{'s' * (rules != 1)}: {found}" + (f"; {ignored} ignored" if ignored else "")
