"""``exitway lab``: a command in the small internet of :mod:`exitway.lab`."""

from __future__ import annotations

import os

import click


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def lab(command: tuple[str, ...]) -> None:
    """Run COMMAND (or a shell) in a small internet of its own: httpbin.org, www.google.com, api.github.com and names under lab.test.

    Nothing in it reaches the real network, and it ends with the command, whose exit code is passed on.

    \b
    exitway lab -- curl http://httpbin.org/headers
    """  # noqa: D301 - \b keeps click from filling the paragraph
    from exitway.lab.launch import launch

    if not command:
        click.echo("a lab of its own; try `curl http://httpbin.org/headers`, leave with `exit`", err=True)
    raise SystemExit(launch(command or (os.environ.get("SHELL", "/bin/sh"),)))
