"""The resources of one kind under the Kubernetes paths: list, get, create, replace, patch, delete, watch.

    /apis/<group>/<version>/<plural>                                  list, watch
    /apis/<group>/<version>/namespaces/<namespace>/<plural>           list, watch, create, delete all
    /apis/<group>/<version>/namespaces/<namespace>/<plural>/<name>    get, replace, patch, delete

A change has been heard by the proxies when the answer goes out; a proxy that did not acknowledge it is named in a ``Warning`` header, which kubectl prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exitway.api.body import read_json, read_object
from exitway.api.patch import patched
from exitway.api.plan import Verb, plan
from exitway.api.selector import Selector
from exitway.api.status import Refusal, bad_request
from exitway.api.table import table
from exitway.api.watch import watch
from exitway.api.write import Writer
from exitway.names.key import Key
from exitway.resources.kind_names import KindName
from exitway.resources.resource import Json, Resource
from exitway.store.change import Change, Delete, metadata


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
        table = [(every, "GET", self.list), (some, "GET", self.list), (some, "POST", self.create), (some, "DELETE", self.delete_all)]
        table += [(one, "GET", self.get), (one, "PUT", self.replace), (one, "PATCH", self.patch), (one, "DELETE", self.delete)]
        return [Route(path, endpoint, methods=[method]) for path, method, endpoint in table]

    async def list(self, request: Request) -> Response:
        """GET of a collection; with ``watch=true`` a watch of it."""
        if request.query_params.get("watch", "") in ("true", "1"):
            return watch(request, self._store, self._kind, self._selector(request))
        found = self._selected(request)
        if wants_table(request):
            return self._table(request, found)
        revision = {"resourceVersion": str(self._store.revision)}
        items = [resource.wire for resource in found]
        return JSONResponse({"apiVersion": self._kind.api_version, "kind": f"{self._kind.kind}List", "metadata": revision, "items": items})

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
        key = self._key(request)
        if "apply-patch" in request.headers.get("content-type", ""):
            return await self._put(request, Verb.APPLY, await read_object(request), 200 if self._store.registry.get(key) else 201)
        patch = await read_object(request)
        wire = patched(self._existing(request).wire, patch, request.headers.get("content-type", ""))
        return await self._put(request, Verb.REPLACE, wire)

    async def delete(self, request: Request) -> Response:
        """DELETE of one."""
        options = await read_json(request)
        resource = self._existing(request)
        warnings = await self._write(request, [_deletion(resource, options)], options)
        details = {"name": resource.key.name, "group": resource.key.group, "kind": self._kind.plural, "uid": metadata(resource)["uid"]}
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}, headers=warnings)

    async def delete_all(self, request: Request) -> Response:
        """DELETE of a collection: all that the selectors select, in one commit."""
        options = await read_json(request)
        found = self._selected(request)
        warnings = await self._write(request, [Delete(resource.key) for resource in found], options)
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, headers=warnings)

    async def _put(self, request: Request, verb: Verb, wire: Json, code: int = 200) -> Response:
        wire = self._placed(request, wire)
        try:
            changes = plan(self._store.registry, verb, [wire])
        except Refusal as refusal:
            refusal.details.update(name=wire["metadata"].get("name"), group=self._kind.group, kind=self._kind.kind)
            raise
        registry = self._store.registry
        warnings = await self._write(request, changes, None)
        return JSONResponse(self._outcome(request, changes[0], registry), code, warnings)

    async def _write(self, request: Request, changes: Sequence[Change], options: Any) -> dict[str, str]:
        asked = [*request.query_params.getlist("dryRun"), *_dry_run(options)]
        if any(value != "All" for value in asked):
            raise bad_request("dryRun can only be All")
        _, unacknowledged = await self._writer.write(changes, dry_run=bool(asked))
        return {"warning": ", ".join(map(_warning, unacknowledged))} if unacknowledged else {}

    def _placed(self, request: Request, wire: Json) -> Json:
        """The object, with what the path says filled in. Raises where the two differ."""
        meta = wire.get("metadata", {})
        if not isinstance(meta, dict):
            raise bad_request("metadata is not an object")
        wire = {"apiVersion": self._kind.api_version, "kind": self._kind.kind, **wire}
        wire["metadata"] = meta = {**request.path_params, **{name: value for name, value in meta.items() if value not in (None, "")}}
        for field, given, path in (
            ("apiVersion", wire["apiVersion"], self._kind.api_version),
            ("kind", wire["kind"], self._kind.kind),
            *((f"metadata.{name}", meta[name], value) for name, value in request.path_params.items()),
        ):
            if given != path:
                raise bad_request(f"{field} is {str(given)[:200]!r} in the object, and {path!r} in the path")
        return wire
