"""The replicas of the control plane, by the names that they have in a rule's status: ``namespace/pod``.

Of those in another namespace, which are another installation in the same cluster, nothing is known: they are taken to live.
"""

from __future__ import annotations

from collections.abc import Collection

from exitway.kube.reflector import Reflector
from exitway.resources.resource import Json


class Replicas:
    """``pods``: those of the control plane, in our namespace; someone else runs it."""

    def __init__(self, namespace: str, pod: str, pods: Reflector) -> None:
        self.own = f"{namespace}/{pod}"
        self.synced = pods.synced
        self._namespace, self._pods = namespace, pods

    def live(self, names: Collection[str]) -> set[str]:
        """Those of the names that may still write."""
        known = self._names()
        return {name for name in names if name in known or not name.startswith(f"{self._namespace}/")}

    def ready(self) -> set[str]:
        """Those of ours that may have proxies, whom a rule has to wait for."""
        return {self._name(pod) for pod in self._pods.objects.values() if _is_ready(pod)} | {self.own}

    @property
    def first(self) -> bool:
        """Whether what only one replica need do is for us to do."""
        return self.own == min(self._names())

    def _names(self) -> set[str]:
        return {self._name(pod) for pod in self._pods.objects.values() if not _is_over(pod)} | {self.own}

    def _name(self, pod: Json) -> str:
        return f"{self._namespace}/{pod['metadata']['name']}"


def manager_of(replica: str) -> str:
    """The field manager of a replica; at most 128 characters are allowed."""
    return f"exitway-{replica.partition('/')[2]}"[:128]


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _is_over(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
