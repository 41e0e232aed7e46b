"""``exitway get``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import click

from exitway.cli import complete, options, render
from exitway.cli.kind import Kinds, kinds_and_names, paths
from exitway.cli.target import Api, Target
from exitway.resources.problem import Problem, Problems


@click.command(
    "get",
    epilog="TYPE is egressrules, or egressrules.config.istio.io or egressrules.exitway.dev for those of one version.",
)
@click.argument("arguments", nargs=-1, metavar="TYPE [NAME]...", shell_complete=complete.resources)
@options.namespace
@options.output
@click.option("-w", "--watch", "watching", is_flag=True, help="Go on, and print every change when it happens.")
@options.target
def get(arguments: tuple[str, ...], namespace: str | None, output: str, watching: bool, target: Target) -> None:
    """List rules, or print some of them.

    \b
    exitway get egressrules
    exitway get egressrules -n shop -o wide
    exitway get egressrule httpbin-egress-rule -n shop -o yaml
    """  # noqa: D301
    kinds, names = kinds_and_names(arguments, "get")
    api = target.connect()
    lists = fetch(api, kinds, namespace, names)
    wires = in_order(lists)
    if watching:
        from exitway.cli.watch import watch_lists

        watch_lists(api, lists, wires, names, output)
    else:
        print_resources(wires, output, one=len(names) == 1)
        check_found(kinds, names, wires, namespace)


def fetch(api: Api, kinds: Kinds, namespace: str | None, names: Sequence[str]) -> dict[str, Any]:
    """The lists of the kind's versions, by path; of the named resources, or of all if no name is given."""
    lists = {}
    for path in paths(kinds, namespace):
        selected = f"{path}?fieldSelector=metadata.name%3D{quote(names[0], safe='')}" if len(names) == 1 else path
        answer = api.request("GET", selected)
        lists[path] = {
            **answer,
            "items": [wire for wire in answer["items"] if not names or wire["metadata"]["name"] in names],
        }
    return lists


def in_order(lists: Mapping[str, Any]) -> list[Any]:
    """The resources of the lists, by namespace, name and version."""
    wires = [wire for listed in lists.values() for wire in listed["items"]]
    return sorted(wires, key=lambda wire: (wire["metadata"]["namespace"], wire["metadata"]["name"], wire["apiVersion"]))


def check_found(kinds: Kinds, names: Sequence[str], wires: Sequence[Any], namespace: str | None) -> None:
    """Raise problems for the names of which there is no resource."""
    missing = [name for name in names if name not in {wire["metadata"]["name"] for wire in wires}]
    where = f"namespace {namespace}" if namespace else "any namespace"
    hint = f"`exitway get {kinds[0].plural}` lists those of all namespaces"
    if missing:
        raise Problems(
            [Problem("EXW0913", f"there is no {kinds[0].singular} {name} in {where}", hint) for name in missing]
        )


def print_resources(wires: Sequence[Any], output: str, *, one: bool) -> None:
    """Print resources; ``one``: they were asked for by one name."""
    if not wires and output != "json":
        click.echo("No resources found.", err=output in ("yaml", "name"))
    elif output in ("short", "wide"):
        columns = render.WIDE if output == "wide" else render.SHORT
        click.echo(str(render.table(columns, wires, render.now())))
    elif output == "json":
        single = one and len(wires) == 1
        click.echo(render.json_text(wires[0] if single else {"apiVersion": "v1", "kind": "List", "items": wires}))
    else:
        for wire in wires:
            click.echo(frameless(wire, output))


def frameless(wire: Any, output: str) -> str:
    """A resource in a format that needs nothing around it: ``yaml`` or ``name``."""
    if output == "yaml":
        from exitway.resources.text import yaml_text

        return f"{yaml_text(wire)}---"
    group = wire["apiVersion"].partition("/")[0]
    return f"{wire['kind'].lower()}.{group}/{wire['metadata']['name']}"
