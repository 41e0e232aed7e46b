"""Our own paths of the API: workloads come and go, and the server says how it is."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exitway import __version__
from exitway.api.body import read_object
from exitway.api.status import Refusal

if TYPE_CHECKING:
    from exitway.server.serve import Server


def routes(server: Server) -> list[Route]:
    """The routes, bound to a server."""

    async def add(request: Request) -> Response:
        running = await server.workloads.add(await read_object(request))
        return JSONResponse({"id": running.member.id}, status_code=201)

    async def remove(request: Request) -> Response:
        identity = request.path_params["id"]
        if identity not in server.workloads.running:  # what is not one may not become a path
            raise Refusal(404, "NotFound", f"there is no workload {identity}")
        await server.workloads.remove(identity)
        return JSONResponse({})

    async def status(_: Request) -> Response:
        return JSONResponse(_status(server))

    return [
        Route("/exitway/v1/workloads", add, methods=["POST"]),
        Route("/exitway/v1/workloads/{id}", remove, methods=["DELETE"]),
        Route("/exitway/v1/status", status),
    ]


def _status(server: Server) -> dict[str, object]:
    envoy = server.supervisor.process
    return {
        "version": __version__,
        "pid": os.getpid(),
        "uptimeSeconds": int(time.time() - server.started),
        "revision": server.store.revision,
        "rules": len(server.store.registry),
        "flowLog": str(server.settings.flow_log),
        "problems": [problem for problem in (server.revoker.problem,) if problem],
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
                "pid": one.process.pid,
                "error": server.steerer.error(one.member.id),
            }
            for one in server.workloads.running.values()
        ],
    }
