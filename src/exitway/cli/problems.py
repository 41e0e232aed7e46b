"""How problems are shown: place, code, sentence and hint, all at once, on stderr.

egress.yaml:5:14: EXW0103 port 99999 is out of range
  hint: ports are numbered from 1 to 65535
"""

from __future__ import annotations

from collections.abc import Iterable

import click

from exitway.names.words import printable
from exitway.resources.problem import Problem

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of the signal, as shells have it."""


def show(problems: Iterable[Problem]) -> None:
    """Print each problem once, in the order of the files."""
    for problem in sorted(dict.fromkeys(problems), key=_order):
        place = click.style(f"{printable(str(problem.place))}: ", bold=True) if problem.place.file else ""
        code = click.style(f"{printable(problem.code) or 'error:'} ", fg="red")
        click.echo(place + code + printable(problem.message), err=True)
        if problem.hint:
            click.echo(f"  hint: {printable(problem.hint)}", err=True)


def warn(sentence: str) -> None:
    """Print a warning."""
    click.echo(f"{click.style('warning:', fg='yellow')} {printable(sentence)}", err=True)


def _order(problem: Problem) -> tuple[str, int, int]:
    return problem.place.file, problem.place.line, problem.place.column
