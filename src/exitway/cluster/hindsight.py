"""What is needed to read a proxy's log after the fact: the rules as they are now, and when each was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from exitway.cluster.pins import Pins
from exitway.cluster.places import Logged
from exitway.cluster.policies import Policies
from exitway.flows.entry import Hindsight, Observed
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.kube.reflector import items_of
from exitway.names.key import Key
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.kind_names import KIND_NAMES
from exitway.resources.paths import collection
from exitway.resources.registry import Registry
from exitway.resources.resource import Json, Resource
from exitway.store.kubernetes import read_object


class RulesNow:
    """Those of all namespaces, or if we may not see these, those that hold in ``namespace``; or none: then no rule is told.

    ``warn``: hears so, once, when lines are read without them.
    """

    def __init__(self, kube: Kube, namespace: str | None, warn: Callable[[str], None]) -> None:
        self._kube, self._namespace, self._warn = kube, namespace, warn
        self._untold: str | None = None
        """Why they could not be read at first; empty: there is nothing to tell any more."""
        self._policies, self._pins = Policies(), Pins()
        self._written: Mapping[Key, str] = {}

    async def look(self) -> None:
        """Read them, again. Where the API server does not say them, they are as they were."""
        try:
            items = await self._items()
        except KubeError as error:
            self._untold = error.message if self._untold is None else self._untold
            return
        self._untold = ""
        read = [resource for item in items if (resource := read_object(item)[0])]
        self._take(read, {_key(item): max(_times(item["metadata"])) for item in items})

    def _take(self, rules: Iterable[Resource], written: Mapping[Key, str]) -> None:
        registry = Registry().changed(rules, revision=self._policies.registry.revision + 1)
        touched = {*registry.namespaces, *self._pins.namespaces}
        self._policies.registry, self._written = registry, written
        self._pins.follow(registry, touched)

    async def _items(self) -> list[Json]:
        try:
            return [item for kind in KIND_NAMES for item in await self._list(collection(kind))]
        except KubeError as error:
            if self._namespace is None or error.code != 403:
                raise
        namespaces = sorted({self._namespace, SYSTEM_NAMESPACE})
        return [item for kind in KIND_NAMES for one in namespaces for item in await self._list(collection(kind, one))]

    async def _list(self, path: str) -> Iterable[Json]:
        answer: Json = await self._kube.request("GET", path)
        return items_of(answer)

    def observed(self, pod: Logged) -> Observed:
        """What its lines are read with: its labels, too, are those that it has now."""
        if self._untold:
            self._warn(f"the rules cannot be read, so of sidecars no rule is told, and of TCP no name: {self._untold}")
            self._untold = ""
        return Observed(
            str(pod),
            self._policies.of(pod.namespace, pod.labels, datetime.now(UTC)),
            self._pins.addresses.name_of,
            lambda *_: None,
            labels=pod.labels,
            hindsight=Hindsight(self._written, self._pins.addresses.stands_for),
        )


def _key(item: Mapping[str, Any]) -> Key:
    kind = next(kind for kind in KIND_NAMES if kind.api_version == item["apiVersion"])
    return Key(kind.type, item["metadata"]["namespace"], item["metadata"]["name"], kind.group)


def _times(metadata: Mapping[str, Any]) -> Iterator[str]:
    """When it was made, and when somebody wrote to it. Its status says nothing of what it means.

    https://kubernetes.io/docs/reference/using-api/server-side-apply/#managed-fields
    """
    yield metadata["creationTimestamp"]
    yield from (one.get("time") or "" for one in metadata.get("managedFields") or () if not one.get("subresource"))
