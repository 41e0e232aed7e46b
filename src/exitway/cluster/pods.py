"""The pods of one namespace, in groups whose policies cannot differ. Pure."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from exitway.names.cluster import CAPTURED, Placement
from exitway.names.workload import Selector, Workload


@dataclass(frozen=True, slots=True)
class Pod:
    """A captured pod. ``node``: where it runs, if its proxy is its node's; empty: it has one of its own."""

    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    node: str = ""

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Pod:
        """Read a pod of the Kubernetes API."""
        metadata = item["metadata"]
        labels = metadata.get("labels") or {}
        node = item.get("spec", {}).get("nodeName", "") if labels.get(CAPTURED) == Placement.NODE else ""
        return cls(metadata["uid"], metadata["namespace"], metadata["name"], labels, node)


@dataclass
class Group:
    """``workload``: its labels are those that rules ask for.

    ``pods``: the uids of those with a proxy of their own; ``nodes``: how many of the others are on each node.
    """

    id: str
    workload: Workload
    pods: set[str] = field(default_factory=set)
    nodes: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.pods or self.nodes)


class Pods:
    """The pods of one namespace. ``groups``: by the labels that rules ask for; ``group_of``: by uid, of pods with a proxy of their own."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._asked: tuple[str, ...] = ()
        self._pods: dict[str, Pod] = {}
        self._in: dict[str, str] = {}
        self.groups: dict[str, Group] = {}

    def __len__(self) -> int:
        return len(self._pods)

    def put(self, pod: Pod) -> None:
        """A pod is there, or is another than it was."""
        self.remove(pod.uid)
        self._pods[pod.uid] = pod
        labels = {label: pod.labels[label] for label in self._asked if label in pod.labels}
        name = _name(self._namespace, labels)
        group = self.groups.setdefault(name, Group(name, Workload(self._namespace, "", labels)))
        self._in[pod.uid] = name
        if pod.node:
            group.nodes[pod.node] += 1
        else:
            group.pods.add(pod.uid)

    def remove(self, uid: str) -> None:
        """A pod is gone."""
        pod = self._pods.pop(uid, None)
        if pod is None:
            return
        group = self.groups[self._in.pop(uid)]
        group.pods.discard(uid)
        group.nodes -= Counter([pod.node] if pod.node else [])
        if not group:
            del self.groups[group.id]

    def ask(self, labels: Iterable[str]) -> None:
        """From now on these labels matter: those that rules speak of."""
        asked = tuple(sorted(labels))
        if asked != self._asked:
            self._asked = asked
            for pod in list(self._pods.values()):
                self.put(pod)

    def group_of(self, uid: str) -> str | None:
        """The group of a pod."""
        return self._in.get(uid)

    def selected(self, selectors: Iterable[Selector]) -> Iterator[Group]:
        """The groups that one of these selects."""
        known = tuple(selectors)
        return (one for one in self.groups.values() if any(selector.selects(one.workload.labels) for selector in known))


def _name(namespace: str, labels: Mapping[str, str]) -> str:
    text = json.dumps([namespace, sorted(labels.items())])
    return f"{namespace}/{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
