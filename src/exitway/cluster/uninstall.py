"""``exitway cluster uninstall``: the webhooks go before what answers them, so that no pod waits for an answer that nobody gives."""

from __future__ import annotations

import asyncio

from exitway.cluster.settings import ClusterSettings
from exitway.kube.client import Kube
from exitway.kube.error import KubeError

CONFIGURATIONS = tuple(
    f"/apis/admissionregistration.k8s.io/v1/{sort}webhookconfigurations" for sort in ("mutating", "validating")
)


def run(settings: ClusterSettings) -> None:
    """Delete the webhook configurations; what is not there is fine. Raises KubeError."""
    asyncio.run(_run(settings))


async def _run(settings: ClusterSettings) -> None:
    async with Kube.connect() as kube:
        for path in CONFIGURATIONS:
            try:
                await kube.request("DELETE", f"{path}/{settings.release}")
            except KubeError as error:
                if error.code != 404:
                    raise
