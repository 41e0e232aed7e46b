"""The pods that have a proxy of their own, by their addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from exitway.dns import wire
from exitway.kube.client import Kube
from exitway.kube.reflector import Name, Reflector
from exitway.names.cluster import CAPTURED, Placement

_ENDED = ("Succeeded", "Failed")
"""Phases in which another pod may have the address already."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A pod. ``search``: the domains that it has beside those of its node; ``addresses``: those that nobody else has; ``created``: in ISO 8601."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    search: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    created: str = ""

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Sidecar:
        """Read a pod of the Kubernetes API."""
        metadata, status = item["metadata"], item.get("status", {})
        search = (item.get("spec", {}).get("dnsConfig") or {}).get("searches") or ()
        own = status.get("phase") not in _ENDED and not item.get("spec", {}).get("hostNetwork")
        return cls(
            metadata["namespace"],
            metadata["name"],
            metadata.get("labels") or {},
            tuple(domain.lower().strip(".") for domain in search if domain.strip(".")),
            tuple(one["ip"] for one in status.get("podIPs") or ()) if own else (),
            metadata.get("creationTimestamp") or "",
        )

    @property
    def without(self) -> int:
        """The type of records that are of no use to it, having no address of that family; 0: there is none."""
        families = {":" in address for address in self.addresses}
        return {frozenset({False}): wire.AAAA, frozenset({True}): wire.A}.get(frozenset(families), 0)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Sidecars:
    """Known while ``reflector`` runs. ``news``: set when something has changed, and replaced by a new one."""

    def __init__(self, kube: Kube) -> None:
        params = {"labelSelector": f"{CAPTURED}={Placement.SIDECAR}"}
        self.reflector = Reflector(kube, "/api/v1/pods", params=params, changed=self._changed, kept=_kept)
        self.news = asyncio.Event()
        self._pods: dict[Name, Sidecar] = {}
        self._at: dict[str, list[Sidecar]] = {}

    def at(self, address: str) -> Sidecar | None:
        """Who has an address; of several, the one that was created last: the others are about to go."""
        return max(self._at.get(address, ()), key=lambda pod: (pod.created, pod.name), default=None)

    def tell(self) -> None:
        """Wake those who wait for a change."""
        self.news.set()
        self.news = asyncio.Event()

    def _changed(self, names: AbstractSet[Name]) -> None:
        for name in names:
            if name in self._pods:
                self._forget(self._pods.pop(name))
            if name in self.reflector.objects:
                pod = self._pods[name] = Sidecar.of(self.reflector.objects[name])
                for address in pod.addresses:
                    self._at.setdefault(address, []).append(pod)
        self.tell()

    def _forget(self, pod: Sidecar) -> None:
        for address in pod.addresses:
            self._at[address].remove(pod)
            if not self._at[address]:
                del self._at[address]


def _kept(pod: dict[str, Any]) -> dict[str, Any]:
    spec, status = pod["spec"], pod.get("status", {})
    words = ("name", "namespace", "resourceVersion", "labels", "creationTimestamp")
    return {
        "metadata": {word: pod["metadata"].get(word) for word in words},
        "spec": {"dnsConfig": spec.get("dnsConfig"), "hostNetwork": spec.get("hostNetwork")},
        "status": {"phase": status.get("phase"), "podIPs": status.get("podIPs")},
    }
