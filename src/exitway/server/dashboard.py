"""What the dashboard is told of a server of one machine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from exitway.explain.explanation import explain
from exitway.explain.recorded import asked_by
from exitway.flows.flow import Flow
from exitway.names.workload import Workload
from exitway.server.routes import status_of
from exitway.server.trial import Trial
from exitway.web.live import Sources
from exitway.web.routes import Advice, dashboard_routes

if TYPE_CHECKING:
    from exitway.server.engine import Engine


def dashboard(server: Engine) -> list[Route]:
    """Its routes, bound to a server."""
    sources = Sources(
        server.settings.flow_db, lambda: server.rules.registry, lambda: status_of(server), lambda: _proxies(server)
    )
    return dashboard_routes(sources, lambda flow: _advice(server, flow))


def _advice(server: Engine, flow: Flow) -> Advice:
    """What `exitway explain` says of it, with the rules that are in force now."""
    namespace, _, name = flow.workload.partition("/")
    running = list(server.workloads.running.values())  # at once: we are in a thread
    member = next((one.member for one in running if str(one.member.workload) == flow.workload), None)
    workload = member.workload if member else Workload(namespace, name, dict(flow.labels))
    brought, ranges = (member.intents, member.ranges) if member else ((), ())
    explanation = explain(Trial(server.rules.registry, workload, datetime.now(UTC), brought, ranges), asked_by(flow))
    if explanation.allowed:
        rule = explanation.decision.because
        return Advice(None, f"It is allowed by now{f', by rule {rule.namespace}/{rule.name}' if rule else ''}.")
    why = explanation.why_none
    return Advice(explanation.least, why and f"{why[0].upper()}{why[1:]}.")


def _proxies(server: Engine) -> list[dict[str, Any]]:
    """One for each connected proxy: here that is at most one."""
    envoy = server.supervisor.process
    return [
        {
            "id": str(number),
            "name": f"Envoy, process {envoy.pid}" if envoy else "Envoy",
            "inStep": one.in_step,
            "revision": one.revision,
            "newest": server.rules.revision,
            "configuration": one.configuration,
            "errors": list(one.errors),
        }
        for number, one in enumerate(server.discovery.having())
    ]
