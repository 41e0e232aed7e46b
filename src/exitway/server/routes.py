"""Our own paths of the API: workloads come and go, and an engine says how it is."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from exitway import __version__
from exitway.api.body import read_object
from exitway.api.status import Refusal

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

    return [
        Route("/exitway/v1/workloads", add, methods=["POST"]),
        Route("/exitway/v1/workloads/{id}", brought, methods=["GET"]),
        Route("/exitway/v1/workloads/{id}", remove, methods=["DELETE"]),
        *reading_routes(server),
    ]


def reading_routes(engine: Engine) -> list[Route]:
    """Those that change nothing."""

    async def status(_: Request) -> Response:
        return JSONResponse(_status(engine))

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(_metrics(engine))

    return [Route("/exitway/v1/status", status), Route("/exitway/v1/metrics", metrics)]


def _status(server: Engine) -> dict[str, object]:
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


def _metrics(server: Engine) -> str:
    """Prometheus text (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
    audits = [one.member.audit for one in server.workloads.running.values()]
    lines = [
        "# HELP exitway_workloads Running workloads, by whether denials are carried out (enforce) or only recorded (audit).",
        "# TYPE exitway_workloads gauge",
        f'exitway_workloads{{mode="enforce"}} {audits.count(False)}',
        f'exitway_workloads{{mode="audit"}} {audits.count(True)}',
        "# HELP exitway_proxy_restarts_total Envoys that ended by themselves.",
        "# TYPE exitway_proxy_restarts_total counter",
        f"exitway_proxy_restarts_total {server.supervisor.restarts}",
    ]
    return "\n".join(lines) + "\n"
