"""Answers to the queries of pods: what :mod:`exitway.dns.cluster` decides, done."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

import dns.rcode
import dns.rdatatype

from exitway.dns import wire
from exitway.dns.answer import denial, parsed_answer, plain_answer
from exitway.dns.cluster import Cluster, Fate, View, fate, neighbours, speaks_of
from exitway.dns.forward import Forwarder
from exitway.dns.inside import inside
from exitway.dns.synthetic import Addresses
from exitway.dns.upstream import Upstream

_KNOWN_SECONDS = 5.0
_MOST_KNOWN = 20_000
_PATIENCE_SECONDS = 1.0
"""For what the cluster's DNS is asked to be sure; a program waits for it."""


class PodNames:
    """Names for the pods of a cluster. ``upstream``: whom the proxy's names are asked of."""

    def __init__(self, cluster: Cluster, upstream: Callable[[], Upstream]) -> None:
        self.cluster = cluster
        self._upstream = upstream
        self._forwarder = Forwarder(cluster.servers)
        self._known: OrderedDict[str, tuple[asyncio.Task[bool], float]] = OrderedDict()

    def close(self) -> None:
        """Ask no more."""
        self._forwarder.close()

    def answer(self, message: bytes, view: View, *, stream: bool = False) -> bytes | Coroutine[Any, Any, bytes] | None:
        """The answer to one query, at once or when it is known. None: it is not a query. ``stream``: it came over TCP."""
        if len(message) < 12 or message[2] & 0x80:
            return None
        query = wire.read(message)
        if query is None:
            return _odd(message, view.addresses)
        match fate(query, self.cluster, view):
            case Fate.REFUSED:
                return query.response(wire.REFUSED)
            case Fate.NOWHERE:
                return denial(query)
            case Fate.CLUSTER:
                return self._of_cluster(query, view, stream=stream)
            case Fate.FOUND_OUT:
                return self._found_out(query, view)
            case Fate.SYNTHETIC:
                return self._synthetic(query, message, view)

    async def _of_cluster(self, query: wire.Query, view: View, *, stream: bool) -> bytes:
        response = await self._forwarder.ask(query, stream=stream)
        if response is None:
            return query.response(wire.SERVFAIL)
        return inside(query, response, self.cluster, view)

    async def _found_out(self, query: wire.Query, view: View) -> bytes:
        resolved = await self._upstream().resolve(query.name, dns.rdatatype.A)
        return (
            denial(query) if resolved.rcode == dns.rcode.NXDOMAIN else plain_answer(query, view.addresses, view.without)
        )

    def _synthetic(self, query: wire.Query, message: bytes, view: View) -> bytes | Coroutine[Any, Any, bytes]:
        if query.name.endswith(".arpa"):
            return parsed_answer(message, view.addresses)
        questions = [self._has(name) for name in neighbours(query.name, self.cluster, view)]
        if all(one.done() for one in questions):
            return self._unless_near(query, any(one.result() for one in questions), view)
        return self._when_known(query, questions, view)

    async def _when_known(self, query: wire.Query, questions: list[asyncio.Task[bool]], view: View) -> bytes:
        return self._unless_near(query, any(await asyncio.gather(*map(asyncio.shield, questions))), view)

    @staticmethod
    def _unless_near(query: wire.Query, near: bool, view: View) -> bytes:  # noqa: FBT001 - an answer
        return (
            denial(query)
            if near and not speaks_of(query.name, view)
            else plain_answer(query, view.addresses, view.without)
        )

    def _has(self, name: str) -> asyncio.Task[bool]:
        """Whether the cluster has a name."""
        now = asyncio.get_running_loop().time()
        task, until = self._known.get(name, (None, 0.0))
        if task is None or until < now:
            task = asyncio.create_task(self._find(name))
            self._known[name] = task, now + _KNOWN_SECONDS
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return task

    async def _find(self, name: str) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                response = await self._forwarder.ask(wire.question(name, wire.A))
        except TimeoutError:
            return False
        return response is not None and response[3] & 15 == wire.NOERROR


def _odd(message: bytes, addresses: Addresses) -> bytes:
    """The answer to what is not plain: that it is wrong, or that nobody is asked for that."""
    response = parsed_answer(message, addresses)
    return response if response[3] & 15 else wire.refusal(message, wire.REFUSED)
