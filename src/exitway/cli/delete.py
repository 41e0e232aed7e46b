"""``exitway delete``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from exitway.cli import complete, options
from exitway.cli.kind import kinds_and_names
from exitway.cli.submit import check_acknowledged, in_files, placed, read_files, submit
from exitway.cli.target import Api, Target
from exitway.resources.problem import Problem


@click.command("delete")
@click.argument("arguments", nargs=-1, metavar="[TYPE NAME...]", shell_complete=complete.resources)
@options.filenames
@options.namespace
@options.wait
@options.dry_run
@options.target
@click.pass_context
def delete(
    ctx: click.Context,
    arguments: tuple[str, ...],
    filenames: tuple[str, ...],
    namespace: str | None,
    wait: bool,
    dry_run: bool,
    target: Target,
) -> None:
    """Delete rules, by name or by file: all of them, or none. What only they let out is denied at once.

    \b
    exitway delete egressrule httpbin-egress-rule -n shop
    exitway delete -f egress_httpbin.yml -n shop
    """  # noqa: D301
    if filenames and arguments:
        raise click.UsageError("delete takes no arguments when the file option is used")
    api = target.connect()
    body = {"verb": "delete", "wait": wait, "dryRun": dry_run}
    if filenames:
        answer = _by_files(ctx, api, body, filenames, namespace)
        deleted = [result["key"] for result in answer["results"]]
    else:
        answer, deleted = _by_names(api, body, arguments, namespace or api.namespace)
    for what in deleted:
        click.echo(f"Deleted config: {what}{' (dry run)' if dry_run else ''}")
    check_acknowledged(ctx, answer)


def _by_files(
    ctx: click.Context, api: Api, body: Mapping[str, Any], filenames: Sequence[str], namespace: str | None
) -> Any:
    documents, found = read_files(ctx, filenames, namespace)
    wires = [placed(document.wire, namespace or api.namespace) for document in documents]
    return submit(api, {**body, "objects": [_named(wire) for wire in wires]}, in_files(documents), found)


def _by_names(api: Api, body: Mapping[str, Any], arguments: Sequence[str], namespace: str) -> tuple[Any, list[str]]:
    kinds, names = kinds_and_names(arguments, "delete") if arguments else ((), [])
    if not names:
        raise click.UsageError("provide configuration type and name or -f option")
    version = {"apiVersion": kinds[0].api_version} if len(kinds) == 1 else {}
    objects = [{**version, "kind": kinds[0].kind, "metadata": {"name": name, "namespace": namespace}} for name in names]

    def located(index: int, problem: Problem) -> Problem:
        return replace(problem, message=f"cannot delete {names[index]}: {problem.message}")

    return submit(api, {**body, "objects": objects}, located), [f"{kinds[0].singular} {name}" for name in names]


def _named(wire: Any) -> dict[str, Any]:
    """What says which object is meant. A file may hold an older version of it."""
    metadata = wire.get("metadata")
    identity = (
        {name: metadata[name] for name in ("name", "namespace") if name in metadata}
        if isinstance(metadata, dict)
        else {}
    )
    return {**{name: wire[name] for name in ("apiVersion", "kind") if name in wire}, "metadata": identity}
