"""``exitway cluster controller``: a replica of the control plane.

It tells proxies their policy, says on each rule how far it is in force, and answers the webhooks. All replicas are equal, and none leads. What one
knows it has from the Kubernetes API; while that is away, what was heard last stays in force.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable
from typing import Never

from exitway.admission.app import create_app
from exitway.api.listen import serve_tls
from exitway.cluster.captured import CapturedPods
from exitway.cluster.certificates import Certificates
from exitway.cluster.identity import Identities, Identity
from exitway.cluster.injection import Injector
from exitway.cluster.metrics import ReplicaMetrics
from exitway.cluster.part import run_part
from exitway.cluster.program import Program, sidecar_proxy
from exitway.cluster.publisher import Publisher
from exitway.cluster.replicas import Replicas
from exitway.cluster.settings import ClusterSettings
from exitway.cluster.status import StatusWriter
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.kube.reflector import Reflector
from exitway.names.cluster import CAPTURED, PROXY_MARK, RESOLVER_PORT, WEBHOOK_PORT, XDS_PORT, Placement
from exitway.resources.resource import Resource
from exitway.store.following import News, following
from exitway.store.kubernetes import KubernetesStore
from exitway.xds.client import Versions
from exitway.xds.proxies import Peer
from exitway.xds.server import DiscoveryServer, RefusedError

CLOCK_SECONDS = 0.25
GATHER_SECONDS = 0.005
"""After a change that was told at once, what comes within this time, or within the time that the change took us, is told together."""
KNOWN_SECONDS = 5.0
"""How long a proxy may wait until we have heard of its pod."""
CONNECTION_SECONDS = 1800.0
"""How long a connection lasts, about: then a proxy proves anew who it is, and finds replicas that have come since."""
NOBODY = ""
"""The group of proxies whose pods are not captured any more. Nothing is ever published for it."""
LEAVING_SECONDS, GOING_OVER_SECONDS = 4.0, 1.0
"""How long we still serve when we are told to end, since nodes have yet to hear it; and how long proxies then have to go to another replica."""


def run(settings: ClusterSettings) -> None:
    """Serve until told to end."""
    run_part(lambda kube: Controller(kube, settings))


class Controller:
    """One replica. ``kube`` is used by all its parts."""

    def __init__(self, kube: Kube, settings: ClusterSettings) -> None:
        namespace, release = settings.pod_namespace, settings.release
        self._settings = settings
        self._store = KubernetesStore(kube)
        self._pods = CapturedPods(kube)
        self._certificates = Certificates(kube, settings)
        self._identities = Identities(kube)
        self._injector = Injector(kube, settings, lambda: self._certificates.authorities)
        self._resolver = Reflector(
            kube,
            f"/api/v1/namespaces/{namespace}/services",
            params={"fieldSelector": f"metadata.name={release}-dns"},
            changed=lambda _: self._resolver_changed.set(),
        )
        self._resolver_changed = asyncio.Event()
        labels = f"app.kubernetes.io/instance={release},app.kubernetes.io/component=controller"
        self._replicas = Reflector(kube, f"/api/v1/namespaces/{namespace}/pods", params={"labelSelector": labels})
        self._discovery = DiscoveryServer(self._authenticate)
        self._program: Program | None = None
        self.metrics = ReplicaMetrics(
            self._discovery,
            lambda: self._store.registry,
            lambda: self._program.counts() if self._program else {},
            lambda: self._certificates.expiry,
        )
        self._publisher: Publisher | None = None
        self._kube = kube
        self._known = asyncio.Event()
        """Set when pods have come or changed, and replaced."""
        self._stopping = asyncio.Event()
        self._serving = {"xds": asyncio.Event(), "webhooks": asyncio.Event()}

    @property
    def unready(self) -> str:
        """What is missing before we can serve; empty: nothing."""
        parts = {
            "rules": self._store.synced,
            "pods": self._pods.synced,
            "the resolver's service": self._resolver.synced,
            "certificates": self._certificates.ready,
            **self._serving,
        }
        missing = [name for name, there in parts.items() if not there.is_set()]
        missing += [self._injector.unready] if self._injector.unready else []
        return f"not yet there: {', '.join(missing)}" if missing else ""

    async def serve(self, ending: asyncio.Event) -> None:
        """Follow the API and serve until told to end; then have the proxies go to another replica."""
        working = asyncio.create_task(self._work())
        told = asyncio.create_task(ending.wait())
        await asyncio.wait([working, told], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        await asyncio.sleep(LEAVING_SECONDS)
        self._stopping.set()
        await self._discovery.stop(GOING_OVER_SECONDS)
        working.cancel()
        await asyncio.wait([working])

    async def _work(self) -> Never:
        async with asyncio.TaskGroup() as group:
            parts = (self._store, self._pods, self._certificates, self._resolver, self._replicas, self._injector)
            for part in parts:
                group.create_task(part.run())
            group.create_task(self._serve_webhooks())
            group.create_task(self._serve_proxies(group))
        raise AssertionError  # they do not end

    async def _serve_webhooks(self) -> None:
        await self._certificates.ready.wait()
        injector = self._injector
        app = create_app(
            lambda: self._store.registry if self._store.synced.is_set() else None, injector.injected, injector.held
        )
        listener = socket.create_server(("", WEBHOOK_PORT), family=socket.AF_INET6, dualstack_ipv6=True)
        self._serving["webhooks"].set()
        await serve_tls(app, listener, self._certificates.context, self._stopping)

    async def _serve_proxies(self, group: asyncio.TaskGroup) -> None:
        synced = (self._store.synced, self._pods.synced, self._certificates.ready)
        await asyncio.gather(*(event.wait() for event in synced))
        resolver = await self._resolver_address()
        settings = self._settings
        proxy = sidecar_proxy(f"{resolver}:{RESOLVER_PORT}", PROXY_MARK, settings.denied_status, settings.traces)
        program = self._program = Program(proxy, self._settings.audit_namespaces)
        publisher = self._publisher = Publisher(program, self._discovery)
        publisher.pods(*self._pods.news())
        news = following(self._store)
        touched, rules = await anext(news)
        versions = _newest({}, rules)
        publisher.follow(self._store.registry, touched, versions)
        await self._discovery.start_tls(
            f"[::]:{XDS_PORT}", lambda: (self._certificates.key, self._certificates.chain), CONNECTION_SECONDS
        )
        self._serving["xds"].set()
        replicas = Replicas(self._settings.pod_namespace, self._settings.pod_name, self._replicas)
        writer = StatusWriter(self._kube, self._store, publisher, replicas)
        for part in (writer.run(), self._follow_rules(publisher, news, versions), self._follow_pods(publisher)):
            group.create_task(part)
        group.create_task(self._follow_clock(publisher))
        group.create_task(self._follow_resolver(resolver))

    async def _follow_rules(self, publisher: Publisher, news: News, versions: Versions) -> None:
        async for touched, rules in news:
            versions = _newest(versions, rules)
            began = time.monotonic()
            publisher.follow(self._store.registry, touched, versions)
            await asyncio.sleep(max(GATHER_SECONDS, time.monotonic() - began))

    async def _follow_pods(self, publisher: Publisher) -> Never:
        while True:
            await self._pods.changed()
            publisher.pods(*self._pods.news())
            self._known.set()
            self._known = asyncio.Event()

    async def _follow_clock(self, publisher: Publisher) -> Never:
        """Rules that have expired are withdrawn. Looking is cheap, and holds whatever becomes of the clock or of a timer."""
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            publisher.look()

    async def _resolver_address(self) -> str:
        """Where proxies ask for names: the resolver's service has it for as long as it exists."""
        while True:
            self._resolver_changed.clear()
            for service in self._resolver.objects.values():
                if addresses := service["spec"].get("clusterIPs"):
                    return str(addresses[0])
            await self._resolver_changed.wait()

    async def _follow_resolver(self, known: str) -> None:
        while (now := await self._resolver_address()) == known:
            await self._resolver_changed.wait()
        raise RuntimeError(f"the resolver's service has moved from {known} to {now}: starting anew")

    async def _authenticate(self, token: str, address: str) -> Peer:
        """The pod or the node that a token speaks of, whatever the proxy says of itself."""
        assert self._program
        assert self._publisher
        who = await self._identities.of(token, address)
        if (who.namespace, who.account) == (self._settings.pod_namespace, f"{self._settings.release}-node"):
            if not who.node:
                raise RefusedError("the token of a node's agent does not say which node it is: that is Kubernetes 1.30")
            return Peer(who.uid, self._publisher.node(who.node))
        try:
            async with asyncio.timeout(KNOWN_SECONDS):
                while (group := self._program.group_of(who.uid)) is None:
                    await self._known.wait()
        except TimeoutError:
            if await self._is_released(who):
                return Peer(who.uid, NOBODY)
            raise RefusedError(f"{who.namespace}/{who.pod} is no pod with a proxy of its own") from None
        return Peer(who.uid, group)

    async def _is_released(self, who: Identity) -> bool:
        """Whether the pod lives and should have no proxy of its own any more.

        One that it has all the same is told that there is nothing for it, or it would go on with what it had.
        """
        try:
            pod = await self._kube.request("GET", f"/api/v1/namespaces/{who.namespace}/pods/{who.pod}")
        except KubeError as error:
            raise RefusedError(f"the pod {who.namespace}/{who.pod} cannot be looked at: {error}") from error
        metadata = pod["metadata"]
        return metadata["uid"] == who.uid and (metadata.get("labels") or {}).get(CAPTURED) in (None, Placement.NODE)


def _newest(known: Versions, rules: Iterable[Resource]) -> Versions:
    """Up to where each group's rules go: the greatest resourceVersion of one that is there. Collections' own move without any rule."""
    newest = {group: int(version) for group, version in known.items()}
    for rule in rules:
        newest[rule.key.group] = max(newest.get(rule.key.group, 0), int(rule.metadata["resourceVersion"]))
    return {group: str(version) for group, version in newest.items()}
