"""How a part runs in its container: with the Kubernetes API, seen by the kubelet, until it is told to end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Protocol

from exitway.cluster.health import serve_health
from exitway.kube.client import Kube
from exitway.names.cluster import HEALTH_PORT
from exitway.server.metrics import Metrics


class Part(Protocol):
    """What runs."""

    @property
    def metrics(self) -> Metrics:
        """What it tells Prometheus."""
        ...

    @property
    def unready(self) -> str:
        """What is missing before it can serve; empty: nothing."""
        ...

    async def serve(self, ending: asyncio.Event) -> None:
        """Serve until that is set, and for as long after as others have yet to hear of it."""
        ...


def run_part(made: Callable[[Kube], Part]) -> None:
    """Run what is made, and have it end on SIGTERM; from then on it is not ready."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(_run(made))


async def _run(made: Callable[[Kube], Part]) -> None:
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    async with Kube.connect() as kube:
        part = made(kube)
        unready = lambda: "ending" if ending.is_set() else part.unready  # noqa: E731 - short
        health = await serve_health(HEALTH_PORT, unready, part.metrics.exposition)
        await part.serve(ending)
        health.close()
