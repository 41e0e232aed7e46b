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
from typing import Any, Never

from exitway.cluster.counts import Count, Counts
from exitway.cluster.standing import View, entry_of, settled
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.kube.reflector import Reflector
from exitway.names.key import Key
from exitway.resources.brief import destinations, ports
from exitway.resources.kind_names import KIND_NAMES
from exitway.resources.resource import Json
from exitway.store.kubernetes import KubernetesStore, Standing

WRITES_PER_SECOND = 50.0
BURST = 50.0
LEISURE_SECONDS = 5.0
LEISURELY_WRITES = 100
"""In each round of :data:`LEISURE_SECONDS`."""
UNSETTLED_SECONDS = 0.5
_LONGEST_PAUSE = 30.0

_log = logging.getLogger("exitway")


class StatusWriter:
    """Writes this replica's part while :meth:`run` runs. ``pods``: those of the control plane; someone else runs it."""

    def __init__(self, kube: Kube, store: KubernetesStore, counts: Counts, *, replica: str, pods: Reflector) -> None:
        self._kube, self._store, self._counts, self._replica, self._pods = kube, store, counts, replica, pods
        self._waiting: dict[Key, tuple[str, float]] = {}
        """Rules to look at: which object and generation, and since when."""
        self._answers: dict[Key, tuple[int, Json]] = {}
        """What the API server answered to our last write, until the watch has it too."""
        self._wake = asyncio.Event()
        self._allowance, self._at = BURST, time.monotonic()
        self._failures = 0
        store.touched.append(self._touched)

    async def run(self) -> Never:
        """Follow the store and the proxies, for ever."""
        await asyncio.gather(self._store.synced.wait(), self._pods.synced.wait())
        self._touched({standing.key for standing in self._store})
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
            form = f"{standing.uid} {standing.generation}"
            if self._waiting.get(key, ("", 0.0))[0] != form:
                self._waiting[key] = form, time.monotonic()
        self._wake.set()

    async def _follow_counts(self) -> None:
        while True:
            await self._counts.moved()
            self._wake.set()

    async def _at_once(self) -> None:
        while True:
            self._wake.clear()
            for key in list(self._waiting):
                if await self._settle(key, leisurely=False):
                    self._waiting.pop(key, None)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), UNSETTLED_SECONDS / 2 if self._waiting else None)

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
        status, count, live = self._status(standing), self._count(standing), self._live()
        entries = {entry["name"]: entry for entry in status.get("replicas") or () if entry["name"] in live}
        own, entry = entries.get(self._replica), entry_of(self._replica, standing.generation, count)
        complete = count.acknowledged + len(count.errors) >= count.proxies
        if own != entry and not leisurely:
            if own and _numbers_only(own, entry):
                return True
            if not complete and time.monotonic() - self._waiting[key][1] < UNSETTLED_SECONDS:
                return False
        entries[self._replica] = entry
        view = View(standing.generation, standing.problems, list(entries.values()), self._ready())
        conditions = view.conditions(status, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        said = {"conditions": conditions, **_columns(standing)}
        told = settled(status.get("conditions") or ()) == settled(conditions)
        told = told and all(status.get(name) == text for name, text in _columns(standing).items())
        if own == entry and (told or not (leisurely or self._replica == min(entries))):
            return complete
        await self._write(standing, self._replica, {**said, "replicas": [entry]})
        return False

    async def _prune(self, standing: Standing) -> bool:
        """Take away the entry of a replica that is gone: in its name we apply that it says nothing.

        What it alone owned goes with it, so we first make all else our own.
        """
        status, live = self._status(standing), self._live()
        entries = {entry["name"]: entry for entry in status.get("replicas") or ()}
        gone = min(entries.keys() - live, default="")
        if not gone or self._replica not in entries or self._replica != min(live):
            return False
        own = {name: value for name, value in status.items() if name != "replicas"}
        await self._write(standing, self._replica, {**own, "replicas": [entries[self._replica]]})
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

    def _live(self) -> set[str]:
        return {name for (_, name), pod in self._pods.objects.items() if not _is_over(pod)} | {self._replica}

    def _ready(self) -> set[str]:
        return {name for (_, name), pod in self._pods.objects.items() if _is_ready(pod)} | {self._replica}

    async def _write(self, standing: Standing, replica: str, status: Json | None) -> None:
        key = standing.key
        kind = next(kind for kind in KIND_NAMES if (kind.group, kind.type) == (key.group, key.type))
        body: Json = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": key.name, "uid": standing.uid},
        }
        path = f"/apis/{kind.api_version}/namespaces/{key.namespace}/{kind.plural}/{key.name}/status"
        await self._pace()
        try:
            answer: Any = await self._kube.apply(
                path, {**body, **({"status": status} if status else {})}, manager=f"exitway-{replica}"
            )
        except KubeError as error:
            await self._refused(key, error)
            return
        self._failures = 0
        self._answers[key] = int(answer["metadata"]["resourceVersion"]), answer.get("status") or {}

    async def _refused(self, key: Key, error: KubeError) -> None:
        """The rule is gone or made anew (404, 409), which the watch will say as well; else the API server has enough, or is away."""
        if error.code in (404, 409):
            self._waiting.pop(key, None)
            return
        self._failures += 1
        if self._failures == 1:
            _log.warning("the status of %s cannot be written: %s", key, error)
        pause = min(_LONGEST_PAUSE, 0.2 * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - to spread load
        await asyncio.sleep(max(pause, error.retry_after_seconds))

    async def _pace(self) -> None:
        """Wait for our turn: :data:`WRITES_PER_SECOND`, and :data:`BURST` after a rest."""
        now = time.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._at) * WRITES_PER_SECOND) - 1.0
        self._at = now
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / WRITES_PER_SECOND)


def _columns(standing: Standing) -> Json:
    """What ``kubectl get`` shows of a rule: a printer column itself can show no more than the first of several values."""
    rule = standing.resource
    return {"destinations": destinations(rule)[:1024], "ports": ports(rule)[:1024]} if rule else {}


def _numbers_only(own: Json, entry: Json) -> bool:
    """Whether what was settled for this generation differs in nothing but how many proxies there are now."""
    unmoved = all(own.get(name) == entry.get(name) for name in ("observedGeneration", "errors"))
    return unmoved and own["acknowledged"] == own["proxies"]


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _is_over(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
