"""The resources of one kind under the Kubernetes paths: list, get, create, replace, patch, delete, watch.

    /apis/<group>/<version>/<plural>                                  list, watch
    /apis/<group>/<version>/namespaces/<namespace>/<plural>           list, watch, create, delete all
    /apis/<group>/<version>/namespaces/<namespace>/<plural>/<name>    get, replace, patch, delete

A change has been heard by the proxies when the answer goes out; a proxy that did not acknowledge it is named in a ``Warning`` header,
which kubectl prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exitway.api.body import read_json, read_object
from exitway.api.kubernetes import deletion, is_dry_run, placed, wants_table, warning_header
from exitway.api.patch import APPLY_PATCH, MERGE_PATCH, patched
from exitway.api.plan import Verb, plan
from exitway.api.selector import Selector
from exitway.api.status import Refusal
from exitway.api.table import table
from exitway.api.watch import watch
from exitway.api.write import Writer
from exitway.names.key import Key
from exitway.resources.kind_names import KindName
from exitway.resources.resource import Json, Resource
from exitway.store.change import Change, Commit, Delete


class Collection:
    """The routes of one kind in one version."""

    def __init__(self, kind: KindName, writer: Writer) -> None:
        self._kind = kind
        self._writer = writer
        self._store = writer.store

    def routes(self) -> list[Route]:
        """All of them."""
        root = f"/apis/{self._kind.api_version}"
        every, some = f"{root}/{self._kind.plural}", f"{root}/namespaces/{{namespace}}/{self._kind.plural}"
        one = f"{some}/{{name}}"
        return [
            Route(path, endpoint, methods=[method])
            for path, method, endpoint in (
                (every, "GET", self.list),
                (some, "GET", self.list),
                (some, "POST", self.create),
                (some, "DELETE", self.delete_all),
                (one, "GET", self.get),
                (one, "PUT", self.replace),
                (one, "PATCH", self.patch),
                (one, "DELETE", self.delete),
            )
        ]

    async def list(self, request: Request) -> Response:
        """GET of a collection; with ``watch=true`` a watch of it."""
        if request.query_params.get("watch", "") in ("true", "1"):
            return watch(request, self._store, self._kind, self._selector(request))
        found = self._selected(request)
        if wants_table(request):
            return self._table(request, found)
        revision = {"resourceVersion": str(self._store.revision)}
        items = [resource.wire for resource in found]
        return JSONResponse(
            {
                "apiVersion": self._kind.api_version,
                "kind": f"{self._kind.kind}List",
                "metadata": revision,
                "items": items,
            }
        )

    async def get(self, request: Request) -> Response:
        """GET of one."""
        resource = self._existing(request)
        return self._table(request, [resource]) if wants_table(request) else JSONResponse(resource.wire)

    async def create(self, request: Request) -> Response:
        """POST to a collection."""
        return await self._put(request, Verb.CREATE, await read_object(request), 201)

    async def replace(self, request: Request) -> Response:
        """PUT."""
        wire = await read_object(request)
        self._existing(request)
        return await self._put(request, Verb.REPLACE, wire)

    async def patch(self, request: Request) -> Response:
        """PATCH: a merge patch of one that exists, or server-side apply."""
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind == APPLY_PATCH:
            return await self._put(request, Verb.APPLY, await read_object(request))
        if kind != MERGE_PATCH:
            raise Refusal(415, "UnsupportedMediaType", f"the body of a patch must be {MERGE_PATCH} or {APPLY_PATCH}")
        patch = await read_object(request)
        return await self._put(request, Verb.REPLACE, patched(self._existing(request).wire, patch))

    async def delete(self, request: Request) -> Response:
        """DELETE of one."""
        options = await read_json(request)
        resource = self._existing(request)
        _, warnings = await self._write(request, [deletion(resource, options)], options)
        details = {
            "name": resource.key.name,
            "group": resource.key.group,
            "kind": self._kind.plural,
            "uid": resource.metadata["uid"],
        }
        return JSONResponse({**_SUCCESS, "details": details}, headers=warnings)

    async def delete_all(self, request: Request) -> Response:
        """DELETE of a collection: all that the selectors select, in one commit."""
        options = await read_json(request)
        found = self._selected(request)
        _, warnings = await self._write(request, [Delete(resource.key) for resource in found], options)
        return JSONResponse(_SUCCESS, headers=warnings)

    async def _put(self, request: Request, verb: Verb, wire: Json, code: int = 200) -> Response:
        wire = placed(self._kind, request.path_params, wire)
        try:
            changes = plan(self._store.registry, verb, [wire])
        except Refusal as refusal:
            refusal.details |= {"name": str(wire["metadata"].get("name", "")), "group": self._kind.group}
            refusal.details["kind"] = self._kind.kind if refusal.reason == "Invalid" else self._kind.plural
            raise
        commit, warnings = await self._write(request, changes)
        resource = next((event.resource for event in commit.events), None) or self._store.registry.get(changes[0].key)
        return JSONResponse(resource.wire if resource else {}, code, warnings)

    async def _write(
        self, request: Request, changes: Sequence[Change], options: Any = None
    ) -> tuple[Commit, dict[str, str]]:
        commit, unacknowledged = await self._writer.write(changes, dry_run=is_dry_run(request, options))
        return commit, warning_header(unacknowledged)

    def _existing(self, request: Request) -> Resource:
        name, namespace = request.path_params["name"], request.path_params["namespace"]
        resource = self._store.registry.get(Key(self._kind.type, namespace, name, self._kind.group))
        if resource is None:
            details = {"name": name, "group": self._kind.group, "kind": self._kind.plural}
            raise Refusal(404, "NotFound", f'{self._kind.plural}.{self._kind.group} "{name}" not found', **details)
        return resource

    def _selected(self, request: Request) -> Sequence[Resource]:
        return self._selector(request).select(self._store.registry)

    def _selector(self, request: Request) -> Selector:
        query = request.query_params
        return Selector(
            self._kind,
            request.path_params.get("namespace", ""),
            query.get("labelSelector", ""),
            query.get("fieldSelector", ""),
        )

    def _table(self, request: Request, resources: Sequence[Resource]) -> Response:
        include = request.query_params.get("includeObject", "Metadata")
        return JSONResponse(table(resources, self._store.revision, datetime.now(UTC), include))


_SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
