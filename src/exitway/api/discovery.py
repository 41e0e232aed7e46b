"""What this API has: groups, versions and kinds, as clients of Kubernetes ask for them before anything else. It is fixed.

A namespace needs no making: it is there when a resource is in it, or when it is asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from exitway import __version__
from exitway.resources.kind_names import KIND_NAMES, KindName
from exitway.resources.resource import Json
from exitway.store.store import Store

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def discovery_routes(store: Store) -> list[Route]:
    """The routes."""
    fixed: dict[str, Json] = {
        "/version": {"major": "1", "minor": "32", "gitVersion": f"v1.32.0+exitway-{__version__}"},
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/api/v1": _resources("v1", [_NAMESPACES]),
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(group) for group in _groups()]},
        **{f"/apis/{group}": {"kind": "APIGroup", "apiVersion": "v1", **_group(group)} for group in _groups()},
        **{f"/apis/{kind.api_version}": _resources(kind.api_version, [_resource(kind)]) for kind in KIND_NAMES},
    }
    routes = [Route(path, _always(body)) for path, body in fixed.items()]
    routes += [Route(path, _ok) for path in ("/healthz", "/livez", "/readyz")]
    return [*routes, *_namespace_routes(store)]


_NAMESPACES = {
    "name": "namespaces",
    "singularName": "namespace",
    "namespaced": False,
    "kind": "Namespace",
    "verbs": ["get", "list"],
    "shortNames": ["ns"],
}


def _always(body: Json) -> Callable[[Request], Response]:
    answer = JSONResponse(body)
    return lambda _: answer


def _ok(_: Request) -> Response:
    return PlainTextResponse("ok")


def _namespace_routes(store: Store) -> list[Route]:
    def every(_: Request) -> Response:
        names = sorted({"default", *store.registry.namespaces})
        revision = {"resourceVersion": str(store.revision)}
        return JSONResponse(
            {
                "apiVersion": "v1",
                "kind": "NamespaceList",
                "metadata": revision,
                "items": [_namespace(name) for name in names],
            }
        )

    def one(request: Request) -> Response:
        return JSONResponse(_namespace(request.path_params["name"]))

    return [Route("/api/v1/namespaces", every), Route("/api/v1/namespaces/{name}", one)]


def _namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "status": {"phase": "Active"}}


def _groups() -> list[str]:
    return list(dict.fromkeys(kind.group for kind in KIND_NAMES))


def _group(group: str) -> Json:
    versions = list(dict.fromkeys((kind.api_version, kind.version) for kind in KIND_NAMES if kind.group == group))
    listed = [{"groupVersion": api_version, "version": name} for api_version, name in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _resources(api_version: str, resources: list[Json]) -> Json:
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources}


def _resource(kind: KindName) -> Json:
    return {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": True,
        "kind": kind.kind,
        "verbs": _VERBS,
        "categories": ["exitway"],
    }
