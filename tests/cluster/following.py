"""What the tests of the store share: a connection, a store that follows the cluster, a replica that writes status, patience."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from exitway.cluster.counts import Count
from exitway.cluster.replicas import Replicas
from exitway.cluster.status import StatusWriter
from exitway.kube.client import MERGE_PATCH, Kube
from exitway.kube.reflector import Reflector
from exitway.names.key import Key
from exitway.resources.resource import Resource
from exitway.store.kubernetes import KubernetesStore
from tests.cluster.cluster import STATE
from tests.rules import EXITWAY


def connected() -> Kube:
    return Kube.connect(STATE / "kubeconfig")


def path(namespace: str, name: str = "") -> str:
    return f"/apis/{EXITWAY}/namespaces/{namespace}/egressrules" + f"/{name}" * bool(name)


def key(namespace: str, name: str) -> Key:
    return Key("egress-rule", namespace, name, "exitway.dev")


@asynccontextmanager
async def followed() -> AsyncIterator[tuple[Kube, KubernetesStore]]:
    """A store that follows the cluster."""
    async with connected() as kube:
        store = KubernetesStore(kube)
        following = asyncio.create_task(store.run())
        try:
            async with asyncio.timeout(20):
                await store.synced.wait()
            yield kube, store
        finally:
            following.cancel()
            await asyncio.wait([following])


async def soon(holds: Callable[[], object], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - it asks what has no event
            await asyncio.sleep(0.02)


LABEL = "exitway-test-replica"


class Proxies:
    """Those of one replica, in the test's own namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace, self._count, self._moved = namespace, Count(), asyncio.Event()

    def set(self, proxies: int, acknowledged: int, *errors: str) -> None:
        self._count = Count(proxies, acknowledged, errors)
        self._moved.set()

    def count(self, rule: Resource, revision: int) -> Count:
        assert revision > 0
        return self._count if rule.key.namespace == self._namespace else Count()

    async def moved(self) -> None:
        await self._moved.wait()
        self._moved.clear()


@asynccontextmanager
async def replica(namespace: str, name: str) -> AsyncIterator[Proxies]:
    """A replica whose pod is there; it never starts, and is ready because the test says so."""
    async with followed() as (kube, store):
        pods = f"/api/v1/namespaces/{namespace}/pods"
        spec = {"schedulingGates": [{"name": "exitway.dev/never"}], "containers": [{"name": "none", "image": "none"}]}
        await kube.request("POST", pods, {"metadata": {"name": name, "labels": {LABEL: ""}}, "spec": spec})
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        await kube.request("PATCH", f"{pods}/{name}/status", ready, content_type=MERGE_PATCH)
        peers, proxies = Reflector(kube, pods, params={"labelSelector": LABEL}), Proxies(namespace)
        writer = StatusWriter(kube, store, proxies, Replicas(namespace, name, peers))
        tasks = [asyncio.create_task(one) for one in (peers.run(), writer.run())]
        try:
            yield proxies
        finally:
            for task in tasks:
                task.cancel()
            await kube.request("DELETE", f"{pods}/{name}", {"gracePeriodSeconds": 0})
