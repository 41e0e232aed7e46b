"""A watch: the events of a collection as they come, one JSON value a line (Kubernetes API concepts, "Efficient detection of changes")."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from exitway.api.kubernetes import wants_table
from exitway.api.selector import Selector
from exitway.api.status import Refusal, bad_request, failure_status
from exitway.api.table import table
from exitway.resources.kind_names import KindName
from exitway.resources.resource import Json, Resource
from exitway.store.change import Event, EventType, Gone
from exitway.store.store import Store

BOOKMARK_SECONDS = 60.0
"""A quiet watch says this often at which revision it is."""
LONGEST_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class _Watch:
    kind: KindName
    selector: Selector
    seconds: int
    bookmarks: bool
    initial_end: bool
    """Whether a bookmark marks the end of the objects that were there at the start."""
    table: str
    """``includeObject`` of the tables that the client wants; empty: plain objects."""

    def line(self, type_: str, resource: Resource) -> bytes:
        """One event."""
        revision = int(resource.metadata["resourceVersion"])
        shown = table([resource], revision, datetime.now(UTC), self.table) if self.table else resource.wire
        return _line(type_, shown)

    def bookmark(self, revision: int, annotations: Json | None = None) -> bytes:
        """Says that everything up to the revision has been told."""
        meta = {"resourceVersion": str(revision), **({"annotations": annotations} if annotations else {})}
        return _line("BOOKMARK", {"apiVersion": self.kind.api_version, "kind": self.kind.kind, "metadata": meta})


def watch(request: Request, store: Store, kind: KindName, selector: Selector) -> Response:
    """The answer to ``?watch=true``.

    Raises:
        Refusal: Expired (410); the events after that resourceVersion are not known.
    """
    query = request.query_params
    since = _number(query.get("resourceVersion") or "0", "resourceVersion")
    seconds = _number(query.get("timeoutSeconds") or str(LONGEST_SECONDS), "timeoutSeconds")
    include = query.get("includeObject", "Metadata") if wants_table(request) else ""
    bookmarks, initial = (query.get(name, "") in ("true", "1") for name in ("allowWatchBookmarks", "sendInitialEvents"))
    wanted = _Watch(kind, selector, min(seconds, LONGEST_SECONDS), bookmarks, bookmarks and initial, include)
    try:
        present = None if since and not initial else selector.select(store.registry)
        since = since if present is None else store.revision
        store.since(since)
    except Gone as gone:
        raise Refusal(410, "Expired", str(gone)) from gone
    return StreamingResponse(_stream(store, wanted, since, present), media_type="application/json")


async def _stream(store: Store, wanted: _Watch, since: int, present: list[Resource] | None) -> AsyncIterator[bytes]:
    revision = since
    if present is not None:
        for resource in present:
            yield wanted.line(EventType.ADDED, resource)
        if wanted.initial_end:
            yield wanted.bookmark(revision, {"k8s.io/initial-events-end": "true"})
    end = asyncio.get_running_loop().time() + wanted.seconds
    while (left := end - asyncio.get_running_loop().time()) > 0:
        try:
            async with asyncio.timeout(min(left, BOOKMARK_SECONDS)):
                events = await store.after(revision)
        except TimeoutError:
            if wanted.bookmarks:
                yield wanted.bookmark(revision)
            continue
        except Gone as gone:
            yield _line("ERROR", failure_status(410, "Expired", str(gone)))
            return
        if not events:
            return
        for event in _seen(events, wanted.selector):
            yield wanted.line(event.type, event.resource)
        revision = events[-1].revision


def _seen(events: Sequence[Event], selector: Selector) -> Iterator[Event]:
    """The events as one sees them who sees only what is selected: what leaves the selection is deleted, what enters is added."""
    for event in events:
        was = event.before is not None and selector.selects(event.before)
        is_now = event.type is not EventType.DELETED and selector.selects(event.resource)
        if was or is_now:
            yield replace(event, type=_TYPES[was, is_now])


_TYPES = {(False, True): EventType.ADDED, (True, True): EventType.MODIFIED, (True, False): EventType.DELETED}


def _line(type_: str, shown: object) -> bytes:
    return json.dumps({"type": type_, "object": shown}, separators=(",", ":")).encode() + b"\n"


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise bad_request(f"{name} is not a number")
    return int(text)
