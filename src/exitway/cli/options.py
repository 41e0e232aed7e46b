"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from exitway.cli import complete
from exitway.cli.target import Target
from exitway.names.words import printable

DEFAULT_NAMESPACE = "default"
FORMATS = ("short", "wide", "yaml", "json", "name")

namespace = click.option(
    "-n",
    "--namespace",
    metavar="NAMESPACE",
    shell_complete=complete.namespaces,
    help="The namespace to work in; without it all when listing, else `default` (in a cluster the context's).",
)
server = click.option(
    "--server",
    metavar="SOCKET",
    type=click.Path(path_type=Path),
    help="The socket of the server, where it is not the usual one.",
)
kubeconfig = click.option(
    "--kubeconfig",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Of a cluster, by this kubeconfig (by default the usual ones of kubectl).",
)
context = click.option(
    "--context",
    metavar="CONTEXT",
    help="Of a cluster, by this context of the kubeconfig (by default the current one).",
)


def target(command: Callable[..., None]) -> Callable[..., None]:
    """``--server``, ``--kubeconfig`` and ``--context``, which the command gets as one ``target``."""

    @functools.wraps(command)
    def with_target(
        *args: Any, server: Path | None, kubeconfig: Path | None, context: str | None, **others: Any
    ) -> None:
        command(*args, target=Target(server, kubeconfig, context), **others)

    return server(kubeconfig(context(with_target)))


def read_labels(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE``, each."""
    pairs = [value.partition("=") for value in values]
    for value, (key, equals, _) in zip(values, pairs, strict=True):
        if not key or not equals:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE", ctx, param)
    return {key: content for key, _, content in pairs}


labels = click.option(
    "-l",
    "--label",
    "labels",
    metavar="KEY=VALUE",
    multiple=True,
    callback=read_labels,
    help="A label that rules may select by. May be repeated.",
)
filenames = click.option(
    "-f",
    "--filename",
    "filenames",
    metavar="FILE|DIR|-",
    multiple=True,
    type=click.Path(allow_dash=True),
    help="A YAML or JSON file, a directory of them, or - for stdin. May be repeated.",
)
wait = click.option(
    "--wait/--no-wait",
    default=True,
    help="Return when every running proxy has acknowledged the change (the default), or at once.",
)
dry_run = click.option("--dry-run", is_flag=True, help="Only say what would happen; nothing is changed.")


def check_format(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    """One of :data:`FORMATS`; ``short`` where none is given."""
    del ctx, param
    if value is not None and value not in FORMATS:
        raise click.UsageError(f"unknown output format {printable(value)}. Types are {'|'.join(FORMATS)}")
    return value or "short"


output = click.option(
    "-o",
    "--output",
    metavar="FORMAT",
    callback=check_format,
    shell_complete=complete.words(*FORMATS),
    help=f"How to print: {', '.join(FORMATS)}.",
)
report = click.option(
    "-o",
    "--output",
    metavar="FORMAT",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to print: text, json.",
)
"""The output of what is no resource."""
