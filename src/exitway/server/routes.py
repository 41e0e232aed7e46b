"""Our own paths of the API: workloads come and go, and an engine says how it is."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from exitway import __version__
from exitway.api.body import read_object
from exitway.api.guard import Local
from exitway.api.listen import serve_openly
from exitway.api.status import Refusal
from exitway.server.flow_routes import flow_routes
from exitway.server.metrics import Metrics

if TYPE_CHECKING:
    from exitway.server.engine import Engine
    from exitway.server.serve import Server


def routes(server: Server) -> list[Route]:
    """All routes, bound to a server of one machine."""

    async def add(request: Request) -> Response:
        running = await server.workloads.add(await read_object(request))
        await server.steerer.settled()
        if error := server.steerer.error(running.member.id):
            await server.workloads.remove(running.member.id)
            raise Refusal(503, "ServiceUnavailable", f"the workload's ruleset is not as its rules want it: {error}")
        return JSONResponse({"id": running.member.id, "audit": running.member.audit}, status_code=201)

    async def remove(request: Request) -> Response:
        identity = request.path_params["id"]
        if identity not in server.workloads.running:  # what is not one may not become a path
            raise Refusal(404, "NotFound", f"there is no workload {identity}")
        await server.workloads.remove(identity)
        return JSONResponse({})

    async def brought(request: Request) -> Response:
        if (identity := request.path_params["id"]) not in server.workloads.running:
            raise Refusal(404, "NotFound", f"there is no workload {identity}")
        return JSONResponse(server.workloads.brought(identity))

    async def end(request: Request) -> Response:
        """It has ended. The answer comes when all that it has done is written."""
        if (identity := request.path_params["id"]) in server.workloads.running:
            await server.workloads.remove(identity)
        return JSONResponse({"settled": await server.settled()})

    return [
        Route("/exitway/v1/workloads", add, methods=["POST"]),
        Route("/exitway/v1/workloads/{id}", brought, methods=["GET"]),
        Route("/exitway/v1/workloads/{id}", remove, methods=["DELETE"]),
        Route("/exitway/v1/workloads/{id}/end", end, methods=["POST"]),
        *reading_routes(server),
    ]


def reading_routes(engine: Engine) -> list[Route]:
    """Those that change nothing."""

    async def status(_: Request) -> Response:
        return JSONResponse(status_of(engine))

    return [Route("/exitway/v1/status", status), metrics_route(engine.metrics), *flow_routes(engine.settings)]


def metrics_route(metrics: Metrics) -> Route:
    """Where Prometheus looks by itself."""

    async def answer(request: Request) -> Response:
        content, content_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(content, headers={"content-type": content_type})

    return Route("/metrics", answer)


async def serve_metrics(metrics: Metrics, listener: socket.socket, stop: asyncio.Event) -> None:
    """The same for whoever reaches the listener. On a loopback address a browser of this machine does, too: it is not to lead others there."""
    app: ASGIApp = Starlette(routes=[metrics_route(metrics)])
    if ip_address(listener.getsockname()[0]).is_loopback:
        app = Local(app)
    await serve_openly(app, listener, stop)


def status_of(server: Engine) -> dict[str, Any]:
    """How it is, as its status says it."""
    envoy = server.supervisor.process
    return {
        "version": __version__,
        "pid": os.getpid(),
        "uptimeSeconds": int(time.time() - server.started),
        "revision": server.rules.revision,
        "rules": len(server.rules.registry),
        "flows": str(server.settings.flow_db),
        "auditNamespaces": list(server.settings.audit_namespaces),
        "problems": server.problems,
        "proxy": {
            "pid": envoy.pid if envoy else None,
            "connected": server.discovery.connected > 0,
            "restarts": server.supervisor.restarts,
            "refused": server.discovery.errors,
        },
        "workloads": [
            {
                "id": one.member.id,
                "namespace": one.member.workload.namespace,
                "name": one.member.workload.name,
                "labels": dict(one.member.workload.labels),
                "pid": one.process.pid,
                "audit": one.member.audit,
                "direct": server.direct(one.member.id),
                "error": server.steerer.error(one.member.id),
            }
            for one in server.workloads.running.values()
        ],
    }
