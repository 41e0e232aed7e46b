"""``POST /exitway/v1/changes``: several objects, all or nothing. The commands use it.

Request: ``{"verb": "create"|"apply"|"replace"|"delete", "wait": true, "dryRun": false, "objects": [wire, ...]}``.
Answer: ``{"revision": 7, "results": [{"key", "type", "namespace", "name", "outcome", "resourceVersion"}, ...],
"unacknowledged": ["sentence", ...]}``, or a Status whose causes carry the index of their object.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exitway.api.body import read_object
from exitway.api.plan import Verb, plan
from exitway.api.status import bad_request
from exitway.api.write import Writer
from exitway.resources.resource import Json
from exitway.store.change import Change, Commit, Event, EventType, version
from exitway.store.store import Store

_OUTCOMES = {EventType.ADDED: "created", EventType.MODIFIED: "configured", EventType.DELETED: "deleted"}


def changes_route(writer: Writer) -> Route:
    """The route."""

    async def post(request: Request) -> Response:
        body = await read_object(request)
        verb, objects = _verb(body), _objects(body)
        changes = plan(writer.store.registry, verb, objects)
        commit, unacknowledged = await writer.write(
            changes, dry_run=_flag(body, "dryRun", default=False), wait=_flag(body, "wait", default=True)
        )
        results = _results(writer.store, changes, commit)
        return JSONResponse({"revision": commit.revision, "results": results, "unacknowledged": unacknowledged})

    return Route("/exitway/v1/changes", post, methods=["POST"])


def _results(store: Store, changes: list[Change], commit: Commit) -> list[Json]:
    events = {event.resource.key: event for event in commit.events}
    return [_result(store, change, events.get(change.key)) for change in changes]


def _result(store: Store, change: Change, event: Event | None) -> Json:
    key = change.key
    return {
        "key": str(key),
        "type": key.type,
        "namespace": key.namespace,
        "name": key.name,
        "outcome": _OUTCOMES[event.type] if event else "unchanged",
        "resourceVersion": str(event.revision) if event else version(store.registry.get(key)),
    }


def _verb(body: Json) -> Verb:
    try:
        return Verb(str(body.get("verb")))
    except ValueError:
        raise bad_request(f"verb must be one of {', '.join(Verb)}") from None


def _objects(body: Json) -> list[Json]:
    objects = body.get("objects")
    if not isinstance(objects, list) or not objects or not all(isinstance(item, dict) for item in objects):
        raise bad_request("objects must be a list of at least one object")
    return objects


def _flag(body: Json, name: str, *, default: bool) -> bool:
    value: Any = body.get(name, default)
    if not isinstance(value, bool):
        raise bad_request(f"{name} must be true or false")
    return value
