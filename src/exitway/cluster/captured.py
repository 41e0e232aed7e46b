"""The pods that were made ready to be captured, as the API server knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from typing import Never

from exitway.cluster.pods import Pod
from exitway.kube.client import Kube
from exitway.kube.reflector import Name, Reflector
from exitway.names.cluster import CAPTURED
from exitway.resources.resource import Json


class CapturedPods:
    """Known while :meth:`run` runs. ``synced``: set once they have been listed."""

    def __init__(self, kube: Kube) -> None:
        self._reflector = Reflector(
            kube, "/api/v1/pods", params={"labelSelector": CAPTURED}, changed=self._changed, kept=_kept
        )
        self.synced = self._reflector.synced
        self._uids: dict[Name, str] = {}
        self._waiting: set[Name] = set()
        self._news = asyncio.Event()

    async def run(self) -> Never:
        """Follow the API, for ever."""
        await self._reflector.run()

    async def changed(self) -> None:
        """Return when there is news."""
        await self._news.wait()

    def news(self) -> tuple[list[Pod], list[str]]:
        """Pods that are new or have changed, and the uids of those that are gone, since the last time."""
        names, self._waiting = self._waiting, set()
        self._news.clear()
        there, gone = [], []
        for name in names:
            item, before = self._reflector.objects.get(name), self._uids.pop(name, "")
            if item:
                there.append(Pod.of(item))
                self._uids[name] = there[-1].uid
            if before and before != self._uids.get(name):
                gone.append(before)
        return there, gone

    def _changed(self, names: AbstractSet[Name]) -> None:
        self._waiting |= names
        self._news.set()


def _kept(pod: Json) -> Json:
    words = ("name", "namespace", "uid", "resourceVersion", "labels")
    metadata = {word: pod["metadata"][word] for word in words if word in pod["metadata"]}
    return {"metadata": metadata, "spec": {"nodeName": pod["spec"].get("nodeName", "")}}
