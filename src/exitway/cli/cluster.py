"""``exitway cluster``: what the containers of a cluster run. The chart (``deploy/helm/exitway``) calls them; people do not."""

from __future__ import annotations

import importlib

import click


@click.group()
def cluster() -> None:
    """What runs in the pods of a Kubernetes cluster. The Helm chart starts these; their settings are in its values."""


@cluster.command()
def controller() -> None:
    """Run a replica of the control plane: tells proxies their policy, and answers the webhooks."""
    _run("controller")


@cluster.command()
def dns() -> None:
    """Run a replica of the resolver that captured pods ask."""
    _run("resolver")


@cluster.command()
def agent() -> None:
    """Run the agent of a node: one proxy for all pods of the node."""
    _run("agent")


@cluster.command()
def uninstall() -> None:
    """Take the webhooks away, before what answers them goes. Pods that are made after that are not captured."""
    _run("uninstall")


def _run(part: str) -> None:
    """A part imports no other, so that it needs no more memory than its own."""
    from exitway.cluster.settings import ClusterSettings

    importlib.import_module(f"exitway.cluster.{part}").run(ClusterSettings.from_environment())
