"""``exitway attack``: the table of :mod:`exitway.attack`, tried against this machine's own Exitway."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exitway.cli import options
from exitway.cli.client import Client
from exitway.names.words import printable
from exitway.resources.problem import Problem, Problems
from exitway.settings import Settings

if TYPE_CHECKING:
    from exitway.attack.client import Attacker
    from exitway.attack.row import Row
    from exitway.attack.witness import Witness

_COLOURS = {"stopped": "green", "leaked": "red", "documented": "cyan", "not tried": "yellow"}


@dataclass(frozen=True)
class Result:
    """What came of one technique. ``why``: what got out, where it is documented, why it was not tried, or what stopped it."""

    id: str
    result: str
    technique: str
    why: str
    saw: Sequence[str] = ()


def _known(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> list[str]:
    from exitway.attack.catalogue import ROWS

    for value in values:
        if value.upper() not in ROWS:
            raise click.BadParameter(
                f"there is no {value!r}; they are A1 to A25, B1 to B29, C1 to C13, D1 to D15", ctx, param
            )
    return [value.upper() for value in values]


@click.command()
@click.option(
    "--id",
    "identities",
    metavar="ID",
    multiple=True,
    callback=_known,
    help="Only this technique, such as A1. May be repeated.",
)
@options.report
@options.server
@click.pass_context
def attack(ctx: click.Context, identities: list[str], output: str, server: Path | None) -> None:
    """Try every known way round the boundary, from inside a sealed program, and report what got out.

    Witnesses outside decide: services on this machine, and (for root) every packet that leaves it. What is tried leads to addresses and names
    for documentation, which are nobody's. One datagram is sent there without a boundary, to see that the witness is awake.
    Exit code 1: something got out.
    """
    from exitway.attack.catalogue import ROWS
    from exitway.attack.witness import UnprovenError, Witness

    rows = [ROWS[identity] for identity in identities] or list(ROWS.values())
    settings = Settings.from_environment()
    with tempfile.TemporaryDirectory(prefix="exitway-attack-") as directory:
        Path(directory).chmod(0o755)
        try:
            with Witness(Path(directory), [settings.runtime_dir, settings.state_dir]) as witness:
                results = _attack(rows, witness, Client(settings, server), output, given=server is not None)
        except UnprovenError as reason:
            raise _unproven(str(reason)) from None
    counts = Counter(result.result for result in results)
    if output == "json":
        report = {"witness": witness.seen_by, "counts": counts, "results": [asdict(result) for result in results]}
        click.echo(json.dumps(report, indent=2))
    else:
        click.echo(f"{len(results)} techniques: " + ", ".join(f"{counts[word]} {word}" for word in _COLOURS))
        click.echo(f"seen by {witness.seen_by}")
    ctx.exit(1 if counts["leaked"] else 0)


def _attack(rows: Sequence[Row], witness: Witness, client: Client, output: str, *, given: bool) -> list[Result]:
    from exitway.attack.client import Attacker
    from exitway.attack.inside import HASTY
    from exitway.attack.judge import leaks

    rules = witness.directory / "rules.json"
    rules.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [*witness.rules]}))
    server = ["--server", str(client.socket)] if given else []
    as_what = ["-n", "exitway-attack", "--name", "attack", "--require-enforce", "-f", str(rules), *server]
    run = [sys.executable, "-P", "-m", "exitway", "run", *as_what, "--"]
    witness.facts()
    try:
        attacker = Attacker(witness.target, run)
    except OSError as error:
        raise _unproven(str(error)) from None
    results = []
    hasty = leaks(witness.facts(), witness.target, nothing=True)
    try:
        _check_allowed(attacker, witness)
        for row in rows:
            result = _result(row, attacker, witness, client, hasty if row.id == HASTY else [])
            results.append(result)
            if output == "text":
                _print(result)
    finally:
        attacker.close()
    return results


def _check_allowed(attacker: Attacker, witness: Witness) -> None:
    """Where not even what is allowed gets out, nothing that is stopped proves anything."""
    witness.facts()
    outcome = attacker.attempt("allowed")
    facts = witness.facts()
    peer = any((fact.get("address"), fact.get("port")) == witness.target.peer for fact in facts)
    if not peer or not any(fact["kind"] == "request" for fact in facts):
        raise _unproven(f"what a rule allows does not get out: {'; '.join(outcome.saw)}")


def _result(row: Row, attacker: Attacker, witness: Witness, client: Client, before_all: Sequence[str]) -> Result:
    if row.documented:
        return Result(row.id, "documented", row.technique, f"docs/limits.md#{row.anchor}")
    if missing := row.missing(witness.target):
        return Result(row.id, "not tried", row.technique, missing)
    from exitway.attack.judge import leaks

    before = _restarts(client)
    witness.facts()
    outcome = attacker.attempt(row.id)
    leaked = [
        *before_all,
        *leaks(witness.facts(), witness.target, nothing=row.nothing),
        *filter(None, [outcome.reached, outcome.broken]),
    ]
    if _restarts(client) != before:
        leaked.append("the proxy had to be started again")
    if leaked:
        return Result(row.id, "leaked", row.technique, "; ".join(dict.fromkeys(leaked)), outcome.saw)
    return Result(row.id, "stopped", row.technique, row.by, outcome.saw)


def _restarts(client: Client) -> Any:
    return client.request("GET", "/exitway/v1/status")["proxy"]["restarts"]


def _print(result: Result) -> None:
    word = click.style(result.result.ljust(10), fg=_COLOURS[result.result], bold=result.result == "leaked")
    click.echo(f"{result.id:<4}{word}  {result.technique}")
    if result.result != "stopped":
        click.echo(f"                {printable(result.why)}")


def _unproven(reason: str) -> Problems:
    return Problems(
        [Problem("EXW1301", f"the attack proves nothing here: {reason}", "`exitway status` shows how the server is")]
    )
