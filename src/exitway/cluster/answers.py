"""What the resolver of a cluster says: to pods that ask for names, and to their proxies that ask where these lead.

A pod is known by its source address, which it cannot choose. What it may be told depends on its own policy, whatever its question says: programs
in a pod can ask what its proxy asks, and must gain nothing by it. So a name is looked up outside only for a pod whose rules let it go there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container, Coroutine
from datetime import UTC, datetime
from typing import Any

from exitway.cluster.metrics import ResolverMetrics
from exitway.cluster.pins import Pins
from exitway.cluster.policies import Policies
from exitway.cluster.sidecars import Sidecar, Sidecars
from exitway.dns.cluster import Cluster, View
from exitway.dns.hashed import HashedAddresses
from exitway.dns.pod import PodNames
from exitway.dns.resolution import Asker, Resolution
from exitway.dns.server import Source
from exitway.dns.share import MOST_WAITING, Share, Shares
from exitway.dns.synthetic import Synthetic
from exitway.dns.upstream import Upstream
from exitway.names.call import Reason, Sort
from exitway.names.host import Host
from exitway.names.question import Kind, Question
from exitway.policy.difference import allows
from exitway.policy.policy import Policy

PATIENCE_SECONDS = 2.5
"""How long a question waits for news by which it would be answered: its pod, or its rule, may be known to the proxy before it is to us."""
_REFUSALS = 1000
_SORTS = {Kind.HTTP: Sort.HTTP, Kind.TLS: Sort.TLS, Kind.TCP: Sort.TCP}
_log = logging.getLogger("exitway")


class Answers:
    """``pins`` and ``policies``: of the rules now; ``sidecars``: the pods now. ``cluster`` may be replaced."""

    def __init__(self, cluster: Cluster, upstream: Upstream, sidecars: Sidecars) -> None:
        self.pins, self.policies = Pins(), Policies()
        self._sidecars = sidecars
        self._names = PodNames(cluster, lambda: upstream)
        self._resolution = Resolution(upstream, {}, self._refused)
        self._shares = Shares()
        self._told: dict[tuple[str, str, int, Reason], None] = {}
        self.metrics = ResolverMetrics()

    @property
    def cluster(self) -> Cluster:
        """What is the cluster's."""
        return self._names.cluster

    @cluster.setter
    def cluster(self, cluster: Cluster) -> None:
        self._names.cluster = cluster

    def to_pod(self, query: bytes, source: Source) -> bytes | Coroutine[Any, Any, bytes | None] | None:
        """The answer to a pod's query. A pod that is not known yet, or is none, is told what every pod would be."""
        share = self._share("pod", source)
        if share is None:
            return None
        view = self._view(self._sidecars.at(source.address))
        answer = self._names.answer(query, view, stream=source.stream)
        return answer if answer is None or isinstance(answer, bytes) else _waiting(answer, share)

    def _view(self, pod: Sidecar | None) -> View:
        if pod is None:
            return View(_OwnAddresses(self.pins.addresses, ()))
        named = _Named(self, pod)
        return View(_OwnAddresses(self.pins.addresses, named), pod.namespace, pod.search, named, pod.without)

    def to_proxy(self, query: bytes, source: Source) -> Coroutine[Any, Any, bytes | None] | None:
        """The answer to a question of a pod's proxy."""
        share = self._share("proxy", source)
        if share is None:
            return None
        return _waiting(self._resolution.answer(query, lambda question: self._asker(question, source)), share)

    def _share(self, asker: str, source: Source) -> Share | None:
        """What the asker has taken its part of; None: that is used up."""
        now = asyncio.get_running_loop().time()
        share = self._shares.of(source.address, now)
        answered = share.take(now)
        self.metrics.asked[asker, "answered" if answered else "dropped"] += 1
        return share if answered else None

    def policy(self, pod: Sidecar) -> Policy:
        """What a pod may reach now."""
        return self.policies.of(pod.namespace, pod.labels, datetime.now(UTC))

    async def _asker(self, question: Question, source: Source) -> Asker[Any] | None:
        """The pod that asks, when its rules let it; None: they do not, or it is none of ours."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    news = self._sidecars.news
                    pod = self._sidecars.at(source.address)
                    if pod is not None and self._permits(pod, question, self._name(question)):
                        return self._known(pod)
                    await news.wait()
        except TimeoutError:
            self._tell(str(pod or f"unknown at {source.address}"), self._name(question), question.port, Reason.NO_RULE)
            return None

    def _known(self, pod: Sidecar) -> Asker[Any]:
        policy = self.policy(pod)
        return Asker(
            str(pod),
            self.pins.addresses,
            tuple(policy.exceptions),
            audit=policy.audit,
            closed=self.cluster.ranges,
            permits=lambda question, name: self._permits(pod, question, name),
        )

    def _permits(self, pod: Sidecar, question: Question, name: str) -> bool:
        policy = self.policy(pod)
        return policy.audit or allows(policy, (Host(name), question.port, _SORTS[question.kind]))

    def _name(self, question: Question) -> str:
        return question.name or self.pins.addresses.name_of(question.address) or ""

    def _refused(self, asker: Asker[Any], name: str, port: int, reason: Reason) -> None:
        self._tell(asker.identity, name, port, reason)

    def _tell(self, who: str, name: str, port: int, reason: Reason) -> None:
        """Once each: who repeats it does not fill a log."""
        self.metrics.refusals[reason] += 1
        if (who, name, port, reason) not in self._told:
            self._told[who, name, port, reason] = None
            if len(self._told) > _REFUSALS:
                del self._told[next(iter(self._told))]
            _log.info("pod %s is not told where %s leads, for port %d: %s", who, name or "that address", port, reason)


class _Named(Container[Host]):
    """The names and patterns of a pod's rules, worked out if somebody looks."""

    def __init__(self, answers: Answers, pod: Sidecar) -> None:
        self._answers, self._pod = answers, pod

    def __contains__(self, host: object) -> bool:
        return host in self._answers.policy(self._pod).hosts


class _OwnAddresses(HashedAddresses):
    """The addresses of all names; but a pod learns from an address only a name that its own rules have."""

    def __init__(self, addresses: HashedAddresses, named: Container[Host]) -> None:
        self._addresses, self._named = addresses, named

    def address_of(self, name: str) -> Synthetic:
        return self._addresses.address_of(name)

    def name_of(self, address: str) -> str | None:
        name = self._addresses.name_of(address)
        return name if name and Host(name) in self._named else None

    def is_pinned(self, name: str) -> bool:
        return self._addresses.is_pinned(name)


async def _waiting(answer: Coroutine[Any, Any, bytes | None], share: Share) -> bytes | None:
    if share.waiting >= MOST_WAITING:
        answer.close()
        return None
    share.waiting += 1
    try:
        return await answer
    finally:
        share.waiting -= 1
