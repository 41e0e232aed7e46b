"""``exitway cluster dns``: the resolver of pods that have a proxy of their own, and of these proxies.

It keeps nothing. Any number of replicas give the same answers, with or without a control plane; without the API server they go on with what was
heard last.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Never

from exitway.cluster.answers import Answers
from exitway.cluster.part import run_part
from exitway.cluster.policies import Policies
from exitway.cluster.ranges import ClusterRanges
from exitway.cluster.settings import ClusterSettings
from exitway.cluster.sidecars import Sidecars
from exitway.dns.cluster import Cluster, read_resolv_conf
from exitway.dns.server import NameServer, public_sockets
from exitway.dns.upstream import Upstream
from exitway.kube.client import Kube
from exitway.names.cluster import DNS_PORT, RESOLVER_PORT
from exitway.store.following import following
from exitway.store.kubernetes import KubernetesStore

MOST_CONNECTIONS, MOST_OF_ONE = 2048, 32
LEAVING_SECONDS = 5.0
"""How long we still answer when we are told to end: nodes have yet to hear that they should ask others."""
AGAIN_SECONDS = 1.0

_log = logging.getLogger("exitway")


def run(settings: ClusterSettings) -> None:
    """Answer until told to end."""
    cluster = _cluster(settings, Path("/etc/resolv.conf").read_text())
    run_part(lambda kube: Resolver(kube, settings, cluster))


class Resolver:
    """Follows the rules, the pods and the ranges of the cluster, and answers with what it knows."""

    def __init__(self, kube: Kube, settings: ClusterSettings, cluster: Cluster) -> None:
        self._store = KubernetesStore(kube)
        self._sidecars = Sidecars(kube)
        self._ranges = ClusterRanges(kube, settings.cluster_ranges, self._move)
        self._answers = Answers(cluster, Upstream(settings.upstream_dns or cluster.servers), self._sidecars)
        self.metrics = self._answers.metrics
        self._answers.policies = Policies(settings.audit_namespaces)

    @property
    def unready(self) -> str:
        """What has not been heard yet."""
        parts = {
            "rules": self._store.synced,
            "pods": self._sidecars.reflector.synced,
            "ranges": self._ranges.synced,
        }
        missing = [name for name, synced in parts.items() if not synced.is_set()]
        return f"not yet heard from the API server: {', '.join(missing)}" if missing else ""

    async def serve(self, ending: asyncio.Event) -> None:
        """Answer until told to end; before anything was heard, what is the same for every pod."""
        hearing = asyncio.create_task(self._follow())
        servers = [
            NameServer(public_sockets(port), answer, MOST_CONNECTIONS, MOST_OF_ONE)
            for port, answer in ((DNS_PORT, self._answers.to_pod), (RESOLVER_PORT, self._answers.to_proxy))
        ]
        await ending.wait()
        await asyncio.sleep(LEAVING_SECONDS)
        hearing.cancel()
        for server in servers:
            server.close()

    async def _follow(self) -> Never:
        """Follow the API, for ever. Whatever goes wrong with that, what was heard is answered with."""
        parts = (
            self._store.run,
            self._sidecars.reflector.run,
            self._ranges.run,
            self._follow_ranges,
            self._follow_rules,
        )
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    for part in parts:
                        group.create_task(part())
            except* Exception:  # noqa: BLE001 - a fault of ours, or an object that nobody thought of
                _log.exception("the API is not followed; beginning anew")
            await asyncio.sleep(AGAIN_SECONDS)

    async def _follow_ranges(self) -> None:
        await self._ranges.synced.wait()
        self._move()

    def _move(self) -> None:
        self._answers.cluster = replace(self._answers.cluster, ranges=self._ranges.networks)

    async def _follow_rules(self) -> None:
        """New rules: for the addresses of names, for what may be asked, and for who waits for them."""
        await self._store.synced.wait()
        async for touched, _ in following(self._store, self._answers.pins.namespaces):
            self._answers.pins.follow(self._store.registry, touched)
            self._answers.policies.registry = self._store.registry
            self._sidecars.tell()


def _cluster(settings: ClusterSettings, resolv_conf: str) -> Cluster:
    """What the settings say, and the rest as the kubelet has told us."""
    found = read_resolv_conf(resolv_conf)
    return replace(found, servers=settings.cluster_dns or found.servers, domains=(settings.cluster_domain,))
