"""The agent of a node: an engine with the rules of the cluster and the pods of its node. ``python -m exitway.cluster.node``.

It follows the Kubernetes API itself, asks no replica of the control plane anything, and goes on with what it knows when the API is away. When it is
killed, Envoy and the name process live on, and the next one finds them and every pod. When its container ends, its pods stay captured.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Never

from starlette.applications import Starlette

from exitway.api.listen import serve, unix_socket
from exitway.capture.pod import PodCapture
from exitway.cluster.node_pods import LOOK_SECONDS, NodePods, Serving
from exitway.cluster.node_wall import NodeWall
from exitway.cluster.ranges import ClusterRanges
from exitway.cluster.settings import ClusterSettings
from exitway.dns.cluster import of_interest, read_resolv_conf
from exitway.dns.server import pod_sockets
from exitway.kube.client import Kube
from exitway.names.cluster import NODE_RESOLVER_PORT, XDS_PORT
from exitway.names.host import Host
from exitway.policy.policy import Policy
from exitway.processes import Process
from exitway.resources.problem import Problems
from exitway.server.engine import Engine, envoy_process, many_files
from exitway.server.names import Names
from exitway.server.routes import reading_routes, serve_metrics
from exitway.server.sole import sole
from exitway.settings import Settings
from exitway.store.kubernetes import GATHER_SECONDS, KubernetesStore
from exitway.xds.client import Reporter, Versions

_log = logging.getLogger("exitway")

_RESOLV_CONF = Path("/etc/resolv.conf")


class Agent(Engine):
    """One for each node."""

    workloads: NodePods

    def __init__(self, settings: Settings, cluster: ClusterSettings, kube: Kube) -> None:
        self._store = KubernetesStore(kube)
        found = read_resolv_conf(_RESOLV_CONF.read_text())
        servers = cluster.cluster_dns or found.servers
        self._dns = replace(found, servers=servers, domains=(cluster.cluster_domain,))
        self._viewed: dict[str, Policy] = {}
        _forget(settings)
        names = Names(settings.runtime_dir, cluster.upstream_dns or servers, pod_sockets)
        super().__init__(settings, self._store, names, alone=False)
        keeper = Process.of(os.getppid())
        assert keeper is not None  # it would have taken us with it
        self._ranges = ClusterRanges(kube, cluster.cluster_ranges, changed=self._recapture)
        serving = Serving(
            names, keeper, self.carry_out, self.acknowledged, self.seen, self.steerer.renewed, settings.audit_namespaces
        )
        wall = NodeWall(str(settings.runtime_dir)) if cluster.node_wall else None
        self.workloads = NodePods(kube, cluster.node_name, settings.runtime_dir, serving, wall)
        service = f"{cluster.release}.{cluster.pod_namespace}.svc"
        self._reporter = Reporter(
            f"{service}.{cluster.cluster_domain}:{XDS_PORT}",
            service,
            cluster.authorities,
            cluster.token,
            cluster.node_name,
        )
        self._followers: list[asyncio.Future[Never]] = []
        self._prometheus = (cluster.pod_ip, cluster.metrics_port)
        self._unheard = ""

    async def populate(self) -> None:
        """Hear of all rules and pods, and capture those that are there."""
        following = (self._store.run(), self.workloads.reflector.run(), self._ranges.run())
        self._followers = [asyncio.ensure_future(one) for one in following]
        synced = [one.synced.wait() for one in (self._store, self.workloads.reflector, self._ranges)]
        await _unless_ended(asyncio.gather(*synced), self._followers)
        await self.workloads.take_in(self._joined())

    def parts(self) -> Iterator[Awaitable[object]]:
        """The followers of the API, and what tells how we are."""
        yield from self._followers
        yield self.workloads.follow()
        yield self._reporter.run(self.in_force)
        yield self._serve_status()
        if listener := self._listen():
            yield serve_metrics(self.metrics, listener, self.stopping)

    def closed(self) -> None:
        """Hear no more."""
        for one in self._followers:
            one.cancel()

    async def in_force(self, versions: Versions) -> list[str]:
        """Wait until the rules up to there are in force here; a sentence for each thing that was refused."""
        while any(  # noqa: ASYNC110 - a version may move without an event
            _behind(self._store.versions.get(group, ""), version) for group, version in versions.items()
        ):
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.sleep(GATHER_SECONDS)  # what was heard just now may still be gathered
        return await self.programmed(self._store.revision)

    @property
    def problems(self) -> list[str]:
        """Those of pods as well."""
        return super().problems + self.workloads.problems + [self._unheard] * bool(self._unheard)

    async def proxy_starts(self) -> None:
        """A pod that has the proxy's ports must not keep it from the others."""
        await self.workloads.proxy_starts()

    def proxy_strayed(self, namespaces: set[int]) -> None:
        """The same."""
        self.workloads.proxy_strayed(namespaces)

    def told(self, policies: Mapping[str, Policy]) -> None:
        """What a name means to a pod depends on its rules."""
        interest: dict[tuple[int, tuple[str, ...]], frozenset[Host]] = {}
        for identity, policy in policies.items():
            running = self.workloads.running.get(identity)
            if running is not None and self._viewed.get(identity) is not policy:
                search = self.workloads.search(identity)
                asked = id(policy), search  # pods with one policy ask for the same
                if asked not in interest:
                    interest[asked] = of_interest(policy.hosts, self._dns, search)
                self.names.view(identity, running.member.workload.namespace, search, interest[asked])
        self._viewed = dict(policies)

    def _joined(self) -> PodCapture:
        """Tell everybody what the cluster is now; how its pods are captured."""
        ranges = self._ranges.networks
        self.guard.closed = ranges
        self.publish_anew()
        self.names.join(replace(self._dns, ranges=ranges))
        loopback = ("127.0.0.1", "::1")
        return PodCapture(ranges, loopback, NODE_RESOLVER_PORT, self._ranges.dns_ports, recorded=True)

    def _recapture(self) -> None:
        self.workloads.recapture(self._joined())

    def _listen(self) -> socket.socket | None:
        """For Prometheus, at the node's address. A port that is taken costs numbers, never service."""
        address, port = self._prometheus
        if not port:
            return None
        try:
            return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        except OSError as error:
            self._unheard = f"/metrics is not served at port {port} of the node: {error}"
            _log.error("%s", self._unheard)
            return None

    async def _serve_status(self) -> None:
        with unix_socket(self.settings.socket) as unix:
            await serve(Starlette(routes=reading_routes(self)), unix, self.stopping)


async def _unless_ended(waiting: asyncio.Future[Any], tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Wait for this. Raises what one of the tasks raises meanwhile."""
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            waiting.cancel()
            task.result()


def _behind(version: str, wanted: str) -> bool:
    """Both are resourceVersions of one collection: numbers (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions)."""
    return int(version or 0) < int(wanted or 0)


def _forget(settings: Settings) -> None:
    """The directory outlives containers. That there is a status means that we serve; and a port that nobody knows as ours may be anybody's."""
    settings.socket.unlink(missing_ok=True)
    if envoy_process(settings).running() is None:
        (settings.runtime_dir / "names.port").unlink(missing_ok=True)


async def _serve(settings: Settings, cluster: ClusterSettings) -> None:
    async with Kube.connect() as kube:
        await Agent(settings, cluster, kube).serve()


def main() -> None:
    """Run until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    try:
        settings, cluster = Settings.from_environment(), ClusterSettings.from_environment()
        many_files()
        with sole(settings):
            asyncio.run(_serve(settings, cluster))
    except Problems as found:
        for problem in found.problems:
            _log.error("%s %s (%s)", problem.code, problem.message, problem.hint)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
