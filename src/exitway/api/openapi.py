"""OpenAPI v3, as far as kubectl reads it: that the server checks fields by itself, and the schemas that ``kubectl explain`` shows."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exitway.api.patch import APPLY_PATCH, MERGE_PATCH
from exitway.resources.kind_names import KIND_NAMES, KindName
from exitway.resources.resource import Json


def openapi_routes() -> list[Route]:
    """The index, and a document for each group and version."""
    paths = {
        f"apis/{kind.api_version}": {"serverRelativeURL": f"/openapi/v3/apis/{kind.api_version}"} for kind in KIND_NAMES
    }

    def index(_: Request) -> Response:
        return JSONResponse({"paths": paths})

    def document(request: Request) -> Response:
        api_version = "{group}/{version}".format_map(request.path_params)
        kinds = [kind for kind in KIND_NAMES if kind.api_version == api_version]
        if not kinds:
            raise HTTPException(404)
        return JSONResponse(openapi(kinds))

    return [Route("/openapi/v3", index), Route("/openapi/v3/apis/{group}/{version}", document)]


def openapi(kinds: list[KindName]) -> Json:
    """The document of the kinds of one group and version."""
    schemas: Json = {}
    for kind in kinds:
        schemas[_name(kind)] = {"type": "object", "x-kubernetes-group-version-kind": [_gvk(kind)]}
    info = {"title": "Exitway", "version": kinds[0].version}
    return {"openapi": "3.0.0", "info": info, "paths": dict(map(_path, kinds)), "components": {"schemas": schemas}}


def _path(kind: KindName) -> tuple[str, Json]:
    body = {"content": {form: {"schema": {"type": "object"}} for form in (MERGE_PATCH, APPLY_PATCH)}}
    ok = {
        "description": "OK",
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{_name(kind)}"}}},
    }
    operation: dict[str, Any] = {
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": _gvk(kind),
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldValidation")
        ],
        "requestBody": body,
        "responses": {"200": ok},
    }
    place = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in ("namespace", "name")
    ]
    return f"/apis/{kind.api_version}/namespaces/{{namespace}}/{kind.plural}/{{name}}", {
        "patch": operation,
        "parameters": place,
    }


def _name(kind: KindName) -> str:
    return f"{'.'.join(reversed(kind.group.split('.')))}.{kind.version}.{kind.kind}"


def _gvk(kind: KindName) -> Json:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}
