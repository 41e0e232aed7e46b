"""Where the flows of a cluster are: with the agents of nodes, and in the logs of pods that have a proxy of their own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from exitway.names.cluster import CAPTURED, Placement
from exitway.pods.containers import PROXY

AGENT = "agent"
"""The container of an agent's pod (``deploy/helm/exitway/templates/node.yaml``)."""
COMPONENT = "app.kubernetes.io/component"


@dataclass(frozen=True, slots=True)
class Agent:
    """``pod``: its name. ``trouble``: why it cannot be asked; empty: it can. ``container``: which of its lives this is.

    What was asked of a life that is over may wait for ever (https://github.com/kubernetes/kubernetes/issues/129144).
    """

    node: str
    pod: str
    trouble: str = ""
    container: str = ""

    @property
    def at(self) -> str:
        """As flows have it."""
        return f"node/{self.node}"

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Agent:
        """Read a pod of the Kubernetes API."""
        name = item["metadata"]["name"]
        state = _state(item, AGENT)
        trouble = "" if "running" in state else f"its agent does not run: pod {name} is {_said(item, state)}"
        return cls(item["spec"].get("nodeName") or "", name, trouble, state.get("container") or "")


@dataclass(frozen=True, slots=True)
class Logged:
    """A pod whose proxy writes what it does to its container's log. ``begun``: whether there can be one."""

    uid: str
    namespace: str = field(compare=False)
    name: str = field(compare=False)
    labels: Mapping[str, str] = field(compare=False)
    begun: bool = field(default=True, compare=False)

    @property
    def at(self) -> str:
        """As flows have it."""
        return f"pod/{self}"

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Logged:
        """Read a pod of the Kubernetes API."""
        metadata, state = item["metadata"], _state(item, PROXY)
        begun = bool(state) and ("waiting" not in state or bool(state.get("restarts")))
        return cls(metadata["uid"], metadata["namespace"], metadata["name"], metadata.get("labels") or {}, begun)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def agents(items: Iterable[Any]) -> list[Agent]:
    """Those among Exitway's own pods; of a node that has two, because one is about to go, the one that can be asked."""
    found: dict[str, Agent] = {}
    for item in items:
        if (item["metadata"].get("labels") or {}).get(COMPONENT) == "node" and item["spec"].get("nodeName"):
            agent = Agent.of(item)
            if agent.node not in found or found[agent.node].trouble:
                found[agent.node] = agent
    return list(found.values())


def logged(items: Iterable[Any]) -> list[Logged]:
    """Those among captured pods that have a proxy of their own."""
    return [Logged.of(item) for item in items if item["metadata"]["labels"].get(CAPTURED) == Placement.SIDECAR]


def unserved(items: Iterable[Any], known: Iterable[Agent]) -> Iterator[str]:
    """The nodes of captured pods that have no agent."""
    nodes = {
        item["spec"].get("nodeName") or ""
        for item in items
        if item["metadata"]["labels"].get(CAPTURED) == Placement.NODE
    }
    yield from sorted(nodes - {""} - {agent.node for agent in known})


def _state(item: Mapping[str, Any], container: str) -> dict[str, Any]:
    """Of a container, as its status has it, with how often it was started again, and its id; empty: nothing is known of it."""
    status = item.get("status") or {}
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if one["name"] == container:
            return {
                **(one.get("state") or {}),
                "restarts": one.get("restartCount"),
                "container": one.get("containerID"),
            }
    return {}


def _said(item: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    reasons = (state[word].get("reason") for word in ("waiting", "terminated") if word in state)
    return str(next(filter(None, reasons), None) or (item.get("status") or {}).get("phase") or "unknown")
