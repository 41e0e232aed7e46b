"""Waiting until changed rules are in force at every proxy that they concern, as their status says it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exitway.cluster.changes import Done
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.kube.reflector import Reflector
from exitway.resources.paths import collection_of

ACKNOWLEDGED_SECONDS = 10.0
RULES_PER_SECOND = 20.0
"""What of a flood is certainly told of in that time (``cluster/status.py`` writes no faster than it may)."""


async def unacknowledged(kube: Kube, changes: Iterable[Done]) -> list[str]:
    """Wait for the status of the rules; one sentence for each that is not in force everywhere in time, or that a proxy refused."""
    waiting = {
        (collection_of(one.key), one.key.namespace, one.key.name): one
        for one in changes
        if one.outcome in ("created", "configured") or "deletionTimestamp" in one.wire["metadata"]
    }
    if not waiting:
        return []
    news = asyncio.Event()
    reflectors = {
        collection: Reflector(kube, collection, changed=lambda _names: news.set())
        for collection in {collection for collection, _, _ in waiting}
    }
    tasks = [asyncio.create_task(reflector.run()) for reflector in reflectors.values()]
    seconds = max(ACKNOWLEDGED_SECONDS, len(waiting) / RULES_PER_SECOND)
    found = dict[tuple[str, str, str], Mapping[str, Any]]()
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(reflector.synced.wait() for reflector in reflectors.values()))
            while True:
                news.clear()
                found = {at: _said(reflectors[at[0]].objects.get(at[1:]), waiting[at]) for at in waiting}
                if all(one.get("reason") not in (None, "Pending") for one in found.values()):
                    break
                await news.wait()
    except TimeoutError:
        pass
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    lost = next((reflector.error for reflector in reflectors.values() if reflector.error), None)
    return _sentences([(one, found.get(at, {})) for at, one in waiting.items()], seconds, lost)


def _said(item: Mapping[str, Any] | None, change: Done) -> Mapping[str, Any]:
    """The condition Programmed of what the change made; empty if there is none yet, a passing reason if the rule has changed since."""
    before = change.wire["metadata"]
    if (
        item is None
        or item["metadata"]["uid"] != before["uid"]
        or item["metadata"]["generation"] > before["generation"]
    ):
        return {"status": "True", "reason": "Superseded"}
    conditions = (item.get("status") or {}).get("conditions") or ()
    current = [one for one in conditions if one.get("observedGeneration") == before["generation"]]
    return next((one for one in current if one["type"] == "Programmed"), {})


def _sentences(told: Sequence[tuple[Done, Mapping[str, Any]]], seconds: float, lost: KubeError | None) -> list[str]:
    """``lost``: why the rules could not be followed to the end."""
    if all(not said for _, said in told):
        if lost:
            return [f"it cannot be seen whether the change is in force: {lost}"]
        return [
            f"nothing in the cluster has taken note of the change within {seconds:.0f} s; is Exitway running in it?"
        ]
    return [_sentence(one, said, seconds) for one, said in told if said.get("status") != "True"]


def _sentence(change: Done, said: Mapping[str, Any], seconds: float) -> str:
    message = said.get("message") or "no replica of the control plane has taken note of it"
    if said.get("reason") == "Refused":
        return f"a proxy refused {change.key} and stays on its last good configuration: {message}"
    if said.get("reason") == "Invalid":
        return f"{change.key}: {message}"
    return f"not every proxy has acknowledged {change.key} within {seconds:.0f} s, and such stay on their last good configuration: {message}"
