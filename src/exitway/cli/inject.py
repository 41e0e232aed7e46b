"""``exitway inject``: makes the pods of files ready to be captured, as the webhook of a cluster does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from exitway.cli import options
from exitway.cli.input import read_all
from exitway.names.cluster import PLACEMENT, UNSAFE, UNSAFE_PODS, Placement
from exitway.pods.installation import Installation
from exitway.resources.problem import Problems


@click.command()
@options.filenames
@click.option(
    "--placement",
    type=click.Choice([Placement.SIDECAR.value, Placement.NODE.value]),
    default=Placement.SIDECAR.value,
    show_default=True,
    help="Where the proxy stands, unless a pod's annotation says otherwise.",
)
@click.option(
    "--unsafe-pods",
    is_flag=True,
    help=f"The namespace has the label {UNSAFE_PODS}=allowed: annotations {UNSAFE} of pods count.",
)
@click.option(
    "--installation",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Instead of the cluster's: a description of the installation.",
)
@click.option("--show-installation", is_flag=True, help="Only print the description of the cluster's installation.")
@click.option(
    "--installation-namespace",
    metavar="NAMESPACE",
    default="exitway-system",
    show_default=True,
    help="Where Exitway is installed.",
)
@click.option("--release", metavar="NAME", default="exitway", show_default=True, help="What its release is called.")
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="How to print."
)
@options.kubeconfig
@options.context
def inject(
    filenames: Sequence[str],
    placement: str,
    unsafe_pods: bool,
    installation: Path | None,
    show_installation: bool,
    installation_namespace: str,
    release: str,
    output: str,
    kubeconfig: Path | None,
    context: str | None,
) -> None:
    """Print the objects of files with their pods made ready to be captured; other objects as they are.

    What is put into pods is that of the installation in the cluster. Where a namespace has the label exitway.dev/placement, its webhook does
    the same by itself; injecting twice changes nothing.
    """
    known = (
        _described(installation)
        if installation
        else asyncio.run(_found(kubeconfig, context, installation_namespace, release))
    )
    if show_installation:
        _print([known.to_json()], output)
        return
    if not filenames:
        raise click.UsageError("-f says which files")
    labels = {PLACEMENT: placement, **({UNSAFE_PODS: "allowed"} if unsafe_pods else {})}
    _print(_injected(filenames, labels, known), output)


def _injected(
    filenames: Sequence[str], namespace: Mapping[str, str], installation: Installation
) -> list[dict[str, Any]]:
    """``namespace``: the labels that it has."""
    from exitway.pods.templates import inject_object

    documents, problems = read_all(filenames, None)
    made: list[dict[str, Any]] = []
    for document in documents:
        try:
            wire, warnings = inject_object(document.wire, namespace, installation)
        except Problems as bad:
            problems += [one.at(document.place(one.field)) for one in bad.problems]
            continue
        made.append(wire)
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
    if problems:
        raise Problems(problems)
    return made


def _described(path: Path) -> Installation:
    documents, problems = read_all([str(path)], None)
    if problems:
        raise Problems(problems)
    return Installation.of(documents[0].wire)


async def _found(kubeconfig: Path | None, context: str | None, namespace: str, release: str) -> Installation:
    from exitway.cluster.installed import installation
    from exitway.kube.client import Kube

    async with Kube.connect(kubeconfig, context) as kube:
        return await installation(kube, namespace, release)


def _print(objects: Sequence[dict[str, Any]], output: str) -> None:
    import yaml

    if output == "json":
        whole: Any = objects[0] if len(objects) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        click.echo(json.dumps(whole, indent=2))
    else:
        click.echo(yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True, width=150), nl=False)
