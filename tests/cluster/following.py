"""What the tests of the store share: a connection, a store that follows the cluster, patience."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from exitway.kube.client import Kube
from exitway.names.key import Key
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


async def soon(holds: Callable[[], object], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - it asks what has no event
            await asyncio.sleep(0.02)
