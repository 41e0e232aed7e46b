"""``exitway demo``: the story of :mod:`exitway.lab.story`, in a lab of its own."""

from __future__ import annotations

import sys

import click


@click.command()
def demo() -> None:
    """Play the tutorial in a small internet of its own: denied, let out by a rule, denied again. Every command is really run."""
    from exitway.lab import launch, story
    from exitway.resources.problem import Problem, Problems

    if sentence := story.missing():
        raise Problems([Problem("EXW1003", sentence)])
    raise SystemExit(launch.launch([sys.executable, "-m", story.__name__]))
