"""The status of each rule, written by all replicas together: each applies its own entry, as a field manager of its own.

Conditions are worked out of the entries, so it does not matter who writes them: whoever sees that they are not what the entries say does.
What people wait for (a new generation) goes first, and is not written before it is settled or half a second old; numbers that
moved a little are brought up to date at leisure. No more than ``WRITES_PER_SECOND`` in all, and less when the API server has enough.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Never

from exitway.cluster.counts import Count, Counts
from exitway.cluster.pace import Pace
from exitway.cluster.replicas import Replicas, manager_of
from exitway.cluster.standing import View, entry_of, settled
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.names.key import Key
from exitway.resources.brief import destinations, ports
from exitway.resources.kind_names import kind_of
from exitway.resources.paths import path_of
from exitway.resources.resource import Json
from exitway.store.kubernetes import KubernetesStore, Standing

WRITES_PER_SECOND = 50.0
BURST = 50.0
LEISURE_SECONDS = 5.0
LEISURELY_WRITES = 100
"""In each round of :data:`LEISURE_SECONDS`."""
UNSETTLED_SECONDS = 0.5

_NEWEST = 20
"""So many of those that wait are looked at first when a proxy has acknowledged something."""

_log = logging.getLogger("exitway")


class StatusWriter:
    """Writes this replica's part while :meth:`run` runs."""

    def __init__(self, kube: Kube, store: KubernetesStore, counts: Counts, replicas: Replicas) -> None:
        self._kube, self._store, self._counts, self._replicas = kube, store, counts, replicas
        self._waiting: dict[Key, tuple[str, float]] = {}
        """Rules to look at: which object and generation, and since when."""
        self._fresh: dict[Key, None] = {}
        """Those of them that have just changed; they go before a flood of what changed earlier."""
        self._answers: dict[Key, tuple[int, Json]] = {}
        """What the API server answered to our last write, until the watch has it too."""
        self._wake = asyncio.Event()
        self._pace = Pace(WRITES_PER_SECOND, BURST)
        store.touched.append(self._touched)

    async def run(self) -> Never:
        """Follow the store and the proxies, for ever."""
        await asyncio.gather(self._store.synced.wait(), self._replicas.synced.wait())
        self._touched({standing.key for standing in self._store})
        self._fresh.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_counts())
            group.create_task(self._at_leisure())
            group.create_task(self._at_once())
        raise AssertionError  # they do not end

    def _touched(self, keys: AbstractSet[Key]) -> None:
        for key in keys:
            standing = self._store.standing(key)
            if standing is None:
                self._waiting.pop(key, None)
                self._answers.pop(key, None)
                continue
            self._fresh[key] = None
            form = f"{standing.uid} {standing.generation}"
            if self._waiting.get(key, ("", 0.0))[0] != form:
                self._waiting[key] = form, time.monotonic()
        self._wake.set()

    async def _follow_counts(self) -> None:
        while True:
            await self._counts.moved()
            self._fresh.update(dict.fromkeys(islice(reversed(self._waiting), _NEWEST)))
            self._wake.set()

    async def _at_once(self) -> None:
        while True:
            self._wake.clear()
            for key in list(self._waiting):
                await self._look(key)
                while self._fresh:
                    await self._look(self._fresh.popitem()[0])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), UNSETTLED_SECONDS / 2 if self._waiting else None)

    async def _look(self, key: Key) -> None:
        if key in self._waiting and await self._settle(key, leisurely=False):
            self._waiting.pop(key, None)

    async def _at_leisure(self) -> None:
        """Numbers, entries of replicas that are gone, and what the others should have written and have not."""
        while True:
            await asyncio.sleep(LEISURE_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - to spread load
            written = 0
            for number, standing in enumerate(self._store):
                if written >= LEISURELY_WRITES:
                    break
                if number % 100 == 99:
                    await asyncio.sleep(0)
                if standing.key not in self._waiting:
                    written += await self._prune(standing) or not await self._settle(standing.key, leisurely=True)

    async def _settle(self, key: Key, *, leisurely: bool) -> bool:
        """Write what is to be written of the rule; True if nothing is left to do for now."""
        standing = self._store.standing(key)
        if standing is None:
            return True
        status, count, name = self._status(standing), self._count(standing), self._replicas.own
        present = {entry["name"]: entry for entry in status.get("replicas") or ()}
        entries = {one: present[one] for one in self._replicas.live(present)}
        own, entry = entries.get(name), entry_of(name, standing.generation, count)
        complete = count.acknowledged + len(count.errors) >= count.proxies
        if own != entry and not leisurely:
            if _can_wait(own, entry, status):
                return True
            if not complete and time.monotonic() - self._waiting[key][1] < UNSETTLED_SECONDS:
                return False
        entries[name] = entry
        ready = self._replicas.ready()
        view = View(standing.generation, standing.problems, list(entries.values()), ready, standing.withdrawn)
        said = view.conditions(status, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")), _columns(standing)
        told = settled(status.get("conditions") or ()) == settled(said[0]) and said[1].items() <= status.items()
        if own == entry and (told or not (leisurely or self._replicas.first)):
            return complete
        await self._write(standing, name, {"conditions": said[0], **said[1], "replicas": [entry]})
        return False

    async def _prune(self, standing: Standing) -> bool:
        """Take away the entry of a replica that is gone: in its name we apply that it says nothing.

        What it alone owned goes with it, so we first make all else our own.
        """
        status, name = self._status(standing), self._replicas.own
        entries = {entry["name"]: entry for entry in status.get("replicas") or ()}
        gone = min(entries.keys() - self._replicas.live(entries), default="")
        if not gone or name not in entries or not self._replicas.first:
            return False
        own = {field: value for field, value in status.items() if field != "replicas"}
        await self._write(standing, name, {**own, "replicas": [entries[name]]})
        await self._write(standing, gone, None)
        return True

    def _count(self, standing: Standing) -> Count:
        resource = standing.resource
        return Count() if resource is None or standing.problems else self._counts.count(resource, standing.since)

    def _status(self, standing: Standing) -> Json:
        """The newest that we know of: what the watch brought, or what was answered to our last write."""
        version, answered = self._answers.get(standing.key, (0, {}))
        if version > int(standing.wire["metadata"]["resourceVersion"]):
            return answered
        self._answers.pop(standing.key, None)
        return standing.wire.get("status") or {}

    async def _write(self, standing: Standing, replica: str, status: Json | None) -> None:
        key = standing.key
        kind = kind_of(key)
        body: Json = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": key.name, "uid": standing.uid},
        }
        path = f"{path_of(key)}/status"
        await self._pace.turn()
        try:
            answer: Any = await self._kube.apply(
                path, {**body, **({"status": status} if status else {})}, manager=manager_of(replica)
            )
        except KubeError as error:
            await self._refused(key, error)
            return
        self._pace.failures = 0
        self._answers[key] = int(answer["metadata"]["resourceVersion"]), answer.get("status") or {}

    async def _refused(self, key: Key, error: KubeError) -> None:
        """The rule is gone or made anew (404, 409), which the watch will say as well; else the API server has enough, or is away."""
        if error.code in (404, 409):
            self._waiting.pop(key, None)
            return
        if not self._pace.failures:
            _log.warning("the status of %s cannot be written: %s", key, error)
        await self._pace.failed(error.retry_after_seconds)


def _columns(standing: Standing) -> Json:
    """What ``kubectl get`` shows of a rule: a printer column itself can show no more than the first of several values."""
    rule = standing.resource
    return {"destinations": destinations(rule)[:1024], "ports": ports(rule)[:1024]} if rule else {}


def _can_wait(own: Json | None, entry: Json, status: Json) -> bool:
    """Whether nobody waits for the entry: the rule is in force as it is now, and only how many proxies there are has changed, or that we are here."""
    if own is None:
        programmed = [
            one for one in status.get("conditions") or () if one["type"] == "Programmed" and one["status"] == "True"
        ]
        return not entry.get("errors") and any(
            one["observedGeneration"] == entry["observedGeneration"] for one in programmed
        )
    unmoved = all(own.get(name) == entry.get(name) for name in ("observedGeneration", "errors"))
    return unmoved and own["acknowledged"] == own["proxies"]
