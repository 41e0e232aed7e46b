"""One collection, kept as it is: listed once, then watched.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
* A watch that ends is taken up where it ended, by resourceVersion; bookmarks move that on while nothing happens.
* A version that the server no longer knows (410) means a new list, whose differences are told like any change.
* While the server is away, what was heard last stays; it is asked again after a growing, random while.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from typing import Any, Never

from exitway.kube.client import Kube
from exitway.kube.error import KubeError

Json = dict[str, Any]
Name = tuple[str, str]
"""Namespace (empty for what has none) and name."""

PAGE = 500
WATCH_SECONDS = (240, 300)
"""A watch is asked to end within this, so that watchers spread over the servers that there are now."""
BACKOFF_SECONDS = (0.1, 5.0)
"""The least and the most to wait, before chance takes off up to half of it."""

_log = logging.getLogger("exitway")


def without_managed_fields(item: Json) -> Json:
    """The object without the record of who owns which of its fields, which is often the larger half."""
    item["metadata"].pop("managedFields", None)
    return item


class Reflector:
    """Follows the collection at ``path`` while :meth:`run` runs.

    ``params``: ``labelSelector`` and ``fieldSelector``, as the API takes them.
    ``changed``: called with the names of what was added, changed or removed, once for all that came together; and once,
        perhaps with no name, when the first list is there.
    ``kept``: what of an object is to be remembered: at least the name, the namespace and the version in its metadata. It may change the object.

    ``objects``: the objects now; do not change them.
    ``revision``: the collection's resourceVersion that they are of; empty before the first list.
    ``synced``: set once the first list is there, and never cleared.
    ``error``: why it does not follow now; None while it does.
    """

    def __init__(
        self,
        kube: Kube,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        changed: Callable[[AbstractSet[Name]], None] = lambda _names: None,
        kept: Callable[[Json], Json] = without_managed_fields,
    ) -> None:
        self.objects: dict[Name, Json] = {}
        self.revision = ""
        self.synced = asyncio.Event()
        self.error: KubeError | None = None
        self._kube, self._path, self._params = kube, path, dict(params or {})
        self._changed, self._kept = changed, kept
        self._failures = 0
        self._listed = False
        self._expired = False
        self._untold = set[Name]()

    async def run(self) -> Never:
        """List and watch, for ever."""
        while True:
            try:
                if not self._listed:
                    await self._list()
                await self._watch()
            except KubeError as error:
                self._failed(error)
            except Exception as error:  # noqa: BLE001 - where nobody follows, what was taken away stays in force
                _log.exception("%s is listed anew", self._path)
                self._listed = False
                self._failed(KubeError(0, "Unreadable", f"{type(error).__name__}: {error}"))
            if self._failures:
                await asyncio.sleep(self._pause())

    async def _list(self) -> None:
        found, page = dict[Name, Json](), dict[str, str]()
        while True:
            answer = await self._kube.request("GET", self._path, params={**self._params, "limit": str(PAGE), **page})
            found |= {_name(item): self._kept(item) for item in items_of(answer)}
            if not (follows := answer["metadata"].get("continue")):
                break
            page = {"continue": follows}
        before, self.objects = self.objects, found
        self.revision, self._listed = answer["metadata"]["resourceVersion"], True
        self._following()
        # Not by their versions: where a server's data were restored, an old one may stand for something new.
        self._untold |= {name for name in before.keys() | found.keys() if before.get(name) != found.get(name)}
        if self._untold or not self.synced.is_set():
            self.synced.set()
            self._tell()

    async def _watch(self) -> None:
        seconds = random.randint(*WATCH_SECONDS)  # noqa: S311 - to spread load
        query = {
            **self._params,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self.revision,
            "timeoutSeconds": str(seconds),
        }
        began = time.monotonic()
        async with aclosing(self._kube.chunks(self._path, query, silence_seconds=seconds + 30)) as chunks:
            async for events in chunks:
                self._following()
                self._take(events)
                if events:
                    self._failures, self._expired = 0, False
        quick = time.monotonic() - began < 1.0  # a server that ends it at once is about to go
        self._failures, self._expired = (self._failures + 1) * quick, False

    def _take(self, events: list[Json]) -> None:
        try:
            for event in events:
                item = event["object"]
                if event["type"] == "ERROR":
                    raise KubeError.of(item)
                self.revision = item["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                name = _name(item)
                self._untold.add(name)
                if event["type"] == "DELETED":
                    self.objects.pop(name, None)
                else:
                    self.objects[name] = self._kept(item)
        finally:
            if self._untold:
                self._tell()

    def _tell(self) -> None:
        """Who fails to hear it is told again, with what comes next."""
        self._changed(frozenset(self._untold))
        self._untold.clear()

    def _following(self) -> None:
        if self.error:
            _log.info("%s is followed again", self._path)
        self.error = None

    def _failed(self, error: KubeError) -> None:
        """410: the version is too old; 504: it is newer than the server's (its data were restored); 400: it cannot read it."""
        if self._listed and error.code in (400, 410, 504):
            self._listed = False
            # Its answer ends whatever failures there were before.
            self._failures = self._failures + 1 if self._expired else 1
            self._expired = True
            return
        if self.error is None or self.error.message != error.message:
            _log.warning("%s is not followed: %s", self._path, error.message)
        self.error = error
        self._failures += 1

    def _pause(self) -> float:
        least, most = BACKOFF_SECONDS
        pause: float = min(most, least * 2.0 ** min(self._failures - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - to spread load
        return max(pause, self.error.retry_after_seconds if self.error else 0.0)


def items_of(answer: Json) -> Iterator[Json]:
    """The items of a list. They do not say what they are; those of a watch do."""
    kind = answer["kind"].removesuffix("List")
    for item in answer["items"] or []:
        item.update(apiVersion=answer["apiVersion"], kind=kind)
        yield item


def _name(item: Json) -> Name:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
