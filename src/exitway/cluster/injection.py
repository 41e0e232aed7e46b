"""What the webhook for pods knows: the namespaces, and what there is to put into pods."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from ipaddress import ip_address
from typing import Any, Never
from urllib.parse import quote

from exitway.admission import pods
from exitway.admission.review import Answer, Request
from exitway.cluster.ranges import ClusterRanges
from exitway.cluster.settings import ClusterSettings
from exitway.dns.share import Share
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.kube.reflector import Reflector
from exitway.names.cluster import PLACEMENT
from exitway.pods.installation import RESOURCES, Installation

RATE, BURST = 50.0, 500.0
"""Questions about namespaces in a second, and at once. They are asked only until the watch has told us, and whoever reaches us may name any."""

Decision = Callable[[Request, Mapping[str, str], Installation], Answer]


class Injector:
    """Decides about pods while :meth:`run` runs. ``authorities``: who vouch for the control plane now, PEM; empty while there are none."""

    def __init__(self, kube: Kube, settings: ClusterSettings, authorities: Callable[[], bytes]) -> None:
        self._kube, self._settings, self._authorities = kube, settings, authorities
        self._ranges = ClusterRanges(kube, settings.cluster_ranges, lambda: None)
        services = f"/api/v1/namespaces/{settings.pod_namespace}/services"
        self._services = Reflector(kube, services)
        self._namespaces = Reflector(kube, "/api/v1/namespaces", kept=_labelled)
        self._questions = Share(time.monotonic(), RATE, BURST)

    async def run(self) -> Never:
        """Follow the API, for ever."""
        async with asyncio.TaskGroup() as group:
            for following in (self._ranges, self._services, self._namespaces):
                group.create_task(following.run())
            await asyncio.Event().wait()
        raise AssertionError  # it does not end

    @property
    def unready(self) -> str:
        """What is not known yet."""
        if not self._ranges.synced.is_set():
            return "the ranges of the cluster"
        if lost := [
            one for one in self._inside() if not any(ip_address(one) in each for each in self._ranges.networks)
        ]:
            return f"a range of the cluster that holds {' and '.join(lost)} (set cluster.ranges of the chart)"
        return "" if self.installation() else "what there is to put into pods"

    def _inside(self) -> Iterator[str]:
        """A pod and a service: our own."""
        yield from [self._settings.pod_ip] if self._settings.pod_ip else []
        yield from self._addresses(self._settings.release)[:1]

    def installation(self) -> Installation | None:
        """What there is to put into pods; None: it is not known yet."""
        settings, authorities = self._settings, self._authorities().decode()
        control, resolver = (self._addresses(name) for name in (settings.release, f"{settings.release}-dns"))
        if not (control and resolver and authorities and self._ranges.synced.is_set()):
            return None
        return Installation(
            image=settings.image,
            image_pull_policy=settings.image_pull_policy,
            control=control[:1],
            name=f"{settings.release}.{settings.pod_namespace}.svc",
            authorities=authorities,
            resolver=resolver,
            cluster=tuple(map(str, self._ranges.networks)),
            dns_ports=self._ranges.dns_ports,
            resources=settings.sidecar_resources or RESOURCES,
            native=settings.native_sidecars,
        )

    async def injected(self, request: Request) -> Callable[[], Answer]:
        """For the webhook that makes pods ready."""
        return await self._decided(request, pods.injected)

    async def held(self, request: Request) -> Callable[[], Answer]:
        """For the one that looks at them last."""
        return await self._decided(request, pods.held)

    async def _decided(self, request: Request, decide: Decision) -> Callable[[], Answer]:
        unready, installation = self.unready, self.installation()
        if unready or installation is None:
            return partial(pods.unknown, unready)
        try:
            labels = await self._labels(request.namespace)
        except KubeError:
            return partial(pods.unknown, "the namespace")
        return partial(decide, request, labels, installation)

    async def _labels(self, namespace: str) -> Mapping[str, str]:
        """We are asked about labelled namespaces only; one without the label has just got it."""
        known = _labels_of(self._namespaces.objects.get(("", namespace), {}))
        if PLACEMENT in known:
            return known
        if not self._questions.take(time.monotonic()):
            raise KubeError(429, "TooManyRequests", "too many namespaces were asked for")
        return _labels_of(await self._kube.request("GET", f"/api/v1/namespaces/{quote(namespace, safe='')}"))

    def _addresses(self, service: str) -> tuple[str, ...]:
        spec = self._services.objects.get((self._settings.pod_namespace, service), {}).get("spec", {})
        return tuple(one for one in spec.get("clusterIPs") or () if one != "None")


def _labels_of(namespace: Mapping[str, Any]) -> Mapping[str, str]:
    labels: Mapping[str, str] = namespace.get("metadata", {}).get("labels") or {}
    return labels


def _labelled(namespace: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {key: namespace["metadata"].get(key) for key in ("name", "resourceVersion", "labels")}}
