"""What ``exitway learn`` and ``exitway run --learn`` have in common: what is wanted, the files that are written, the proof, what is said."""

from __future__ import annotations

import functools
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exitway.cli import problems
from exitway.cli.client import Unreachable
from exitway.names.words import printable
from exitway.resources.problem import Place, Problem, Problems

if TYPE_CHECKING:
    from exitway.flows.flow import Flow
    from exitway.learn.lesson import Lesson
    from exitway.learn.obstacle import Wanted
    from exitway.learn.prove import Proof
    from exitway.resources.registry import Registry

FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for by options. ``rules``: the file to write them to; None: stdout."""

    rules: Path | None
    tests: Path | None
    wildcards: bool = False
    hosts_only: bool = False
    addresses: bool = False
    denied: bool = False
    overwrite: bool = False

    @property
    def wanted(self) -> Wanted:
        """The same for who learns."""
        from exitway.learn.obstacle import Wanted

        return Wanted(self.denied, self.hosts_only, self.addresses, self.wildcards)

    def check(self) -> None:
        """Raise Problems: a file exists that was not to be overwritten, or could not be written. Asked before, and not after, an hour of work."""
        if self.rules and self.tests and os.path.realpath(self.rules) == os.path.realpath(self.tests):
            raise click.UsageError("the rules and their tests go into two files")
        found = [problem for path in (self.rules, self.tests) if path for problem in _faults(path, self.overwrite)]
        if found:
            raise Problems(found)

    def write(self, found: Lesson, heading: Sequence[str]) -> None:
        """Write the files; the rules to stdout, where no file is named. Raises Problems."""
        from exitway.learn.expect import expectations

        if self.rules:
            _write(self.rules, found.text, self.overwrite)
        else:
            click.echo(found.text, nl=False)
        if self.tests:
            rules = os.path.relpath(self.rules, self.tests.parent) if self.rules else ""
            _write(self.tests, expectations(found.learned, rules, heading, hosts_only=self.hosts_only), self.overwrite)


_FLAGS = {
    "wildcards": "in the place of several names under one parent, learn `*.parent`; never where strangers share the parent.",
    "hosts_only": "learn no methods and paths: requests of any kind to what was seen.",
    "addresses": "also learn addresses that no name stands behind, and private ones that names led to.",
    "denied": "also learn what was denied, or led nowhere.",
    "overwrite": "write the files also where they exist.",
}
_TESTS = "also write what was recorded as tests for `exitway test`."


def options(rules: Callable[..., Any], when: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options, which the command gets as one ``asked``. ``rules``: that for the file, which is called differently. ``when`` the others count."""

    def said(words: str) -> str:
        return f"{when}{words}" if when else words[0].upper() + words[1:]

    flags = [
        click.option(f"--{name.replace('_', '-')}", is_flag=True, help=said(words)) for name, words in _FLAGS.items()
    ]
    chosen = [rules, click.option("--tests", metavar="FILE", type=FILE, help=said(_TESTS)), *flags]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_asked(*args: Any, rules: Path | None, tests: Path | None, **others: Any) -> None:
            asked = Asked(rules, tests, **{name: others.pop(name) for name in _FLAGS})
            command(*args, asked=asked, **others)

        return functools.reduce(lambda decorated, option: option(decorated), reversed(chosen), with_asked)

    return decorate


def _faults(path: Path, overwrite: bool) -> Iterable[Problem]:
    if os.path.lexists(path) and not overwrite:
        yield _there(path)
        return
    try:
        reason = _obstacle(path if path.exists() else Path(os.path.realpath(path)))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    if reason:
        yield Problem("EXW1902", f"the file cannot be written: {reason}", place=Place(str(path)))


def _there(path: Path) -> Problem:
    return Problem("EXW1901", "the file exists already", "--overwrite writes it anew", place=Place(str(path)))


def _obstacle(path: Path) -> str:
    """Why a file, which is no link that leads nowhere, cannot be written; empty: it can."""
    if not path.parent.is_dir():
        return "there is no such directory"
    return "" if os.access(path if path.exists() else path.parent, os.W_OK) else "permission denied"


def _write(path: Path, text: str, overwrite: bool) -> None:
    """Whole, or not at all. It may have come to be since it was asked for; and whoever else may write there does not choose where we write."""
    try:
        if not overwrite:
            _make(path, text)
        elif path.exists() and not path.is_file():  # a device, a pipe
            path.write_text(text, "utf-8")
        else:
            path = Path(os.path.realpath(path))
            draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            _make(draft, text)
            draft.replace(path)
    except FileExistsError:
        raise Problems([_there(path)]) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Problems([Problem("EXW1902", f"the file cannot be written: {reason}", place=Place(str(path)))]) from None


def _make(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:
            path.unlink()
            raise


@dataclass(frozen=True, slots=True)
class Context:
    """``name``: of the rules; ``heading``: what the files begin with; ``in_force``: the rules that were, while it was recorded."""

    name: str
    heading: Sequence[str]
    in_force: Callable[[], Registry]


def write_lesson(flows: Sequence[Flow], asked: Asked, context: Context) -> bool:
    """Learn, prove, write, and say what came of it; whether all is proven.

    Raises:
        Problems: nothing was recorded, or a file cannot be written.
    """
    from datetime import UTC, datetime

    from exitway.learn import report
    from exitway.learn.lesson import lesson
    from exitway.learn.origination import Origination
    from exitway.learn.prove import Proof

    if not flows:
        raise Problems([Problem("EXW1903", "nothing was recorded", "`exitway flows` lists what is known")])
    origination = Origination(lambda: _in_force(context.in_force), datetime.now(UTC))
    found = lesson(flows, asked.wanted, context.name, context.heading, origination.of)
    if not found.learned:
        nothing = Problem("EXW1903", "nothing was recorded that can be learned")
        raise Problems([*(Problem("EXW1904", fault) for fault in report.faults(found, Proof(0, 0))), nothing])
    proof = _prove(found, asked)
    asked.write(found, context.heading)
    where = f"{asked.rules}: " if asked.rules else ""
    for sentence in report.summary(found, proof, asked.wanted):
        click.echo(printable(f"exitway: {where}{sentence}"), err=True)
    faults = [Problem("EXW1904", sentence) for sentence in report.faults(found, proof)]
    problems.show(faults)
    return not faults


def _prove(found: Lesson, asked: Asked) -> Proof:
    """By the text that is to be written, read as ``create`` reads it. What that would refuse together is a fault like others: the rest is of use."""
    from datetime import UTC, datetime

    from exitway.cli.rules import conflicts_among, rules_of
    from exitway.learn.prove import prove
    from exitway.resources.document import read_documents
    from exitway.server.trial import Trial

    now = datetime.now(UTC)
    rules = rules_of(read_documents(found.text.encode(), str(asked.rules or "")), "", conflicting=True)
    proof = prove(found.learned, lambda workload: Trial(rules.registry, workload, now), hosts_only=asked.hosts_only)
    refused = [f"`exitway create` refuses these rules: {problem}" for problem in conflicts_among(rules)]
    return replace(proof, faults=(*refused, *proof.faults))


def _in_force(ask: Callable[[], Registry]) -> Registry:
    """No rules, where no server runs."""
    from exitway.resources.registry import Registry

    try:
        return ask()
    except Unreachable:
        problems.warn(
            "no server runs: what a rule let out is learned only where it is plain that the proxy spoke no TLS for it (originateTLS)"
        )
        return Registry()
