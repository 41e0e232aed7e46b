"""Spans: what the proxy tells a collector of each HTTP request, and what it tells a destination of them.

Envoy sends no header of its own: ``no_context_propagation``. Where a rule asks for it, the route writes ``traceparent``
(https://www.w3.org/TR/trace-context/), so what no rule asks for cannot be forgotten to be taken off.

https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/observability/tracing
"""

from __future__ import annotations

from exitway.envoy.api import Json
from exitway.envoy.wire import extension, header, is_address, socket_address, typed
from exitway.names.traces import ALL, Traces

CLUSTER = "traces"
TRACEPARENT = "traceparent"

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_SAMPLERS = "envoy.extensions.tracers.opentelemetry.samplers.v3."
_FACTOR = 7919
"""A prime: requests that come at the same moment of a second are not all or none of them traced."""
_CHANCE = f"(request.time.getMilliseconds() + source.port * {_FACTOR}) % {ALL}"
_DECIDED = "response.headers['x-exitway-decision']"
_VERDICT = (
    f"!('x-exitway-decision' in response.headers) || {_DECIDED}.startsWith('allow') ? 'allow' : "
    f"{_DECIDED}.startsWith('audit') ? 'audit' : 'deny'"
)


def collector(traces: Traces) -> Json:
    """The cluster of the collector. One that does not answer costs spans, never requests."""
    kind = "STATIC" if is_address(traces.host) else "STRICT_DNS"
    endpoint = {"endpoint": {"address": socket_address(traces.host, traces.port)}}
    return {
        "name": CLUSTER,
        "type": kind,
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: typed(_HTTP_OPTIONS, explicit_http_config={"http2_protocol_options": {}})
        },
        "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def tracing(traces: Traces, workload: str) -> Json:
    """The parts of a connection manager that make spans of requests. ``workload``: what says whose they are (a format string)."""
    return {
        "tracing": {
            "provider": _provider(traces),
            "no_context_propagation": True,
            "operation": "%REQ(:METHOD):32%",
            "max_path_tag_length": 0,
            "custom_tags": [
                {
                    "tag": "http.url",
                    "value": "http://%REQ(:AUTHORITY):512%%PATH(NQ:PATH):2048%",
                },  # a query may hold secrets
                {"tag": "exitway.workload", "value": workload},
                {"tag": "exitway.rule", "value": "%METADATA(ROUTE:exitway:rule)%"},
                {"tag": "exitway.verdict", "value": f"%CEL({_VERDICT})%"},
                {"tag": "exitway.decision", "value": "%RESP(X-EXITWAY-DECISION):200%"},
            ],
        },
        # the usual one asks the program's x-request-id whether to trace, and writes into it
        "request_id_extension": {
            "typed_config": typed(
                "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
                pack_trace_reason=False,
                use_request_id_for_trace_sampling=False,
            )
        },
    }


def keeping(traces: Traces) -> Json:
    """A listener that nothing ever comes to. All users of one provider share its tracer, and it goes with the last of them.

    What it has not sent yet goes with it (Envoy sends every five seconds, seen with 1.40): a program may have ended long before.
    """
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=CLUSTER,
        tracing={"provider": _provider(traces)},
        route_config={},
        http_filters=[extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router")],
    )
    return {
        "name": CLUSTER,
        "stat_prefix": CLUSTER,
        "address": socket_address("0.0.0.0", 1),  # noqa: S104 - it is not bound
        "bind_to_port": False,
        "filter_chains": [{"filters": [manager]}],
    }


def traced(rule: str, traces: Traces, *, told: bool) -> Json:
    """The part of a route that says which rule is behind it. ``told``: the destination is to know which span is behind the request."""
    chance = f"%CEL({_CHANCE} < {traces.per_mille} ? '01' : '00')%"
    flags = chance if traces.per_mille < ALL else "01"
    parent = header(TRACEPARENT, f"00-%TRACE_ID%-%SPAN_ID%-{flags}")
    return {"metadata": {"filter_metadata": {"exitway": {"rule": rule}}}} | (
        {"request_headers_to_add": [parent]} if told else {}
    )


def _provider(traces: Traces) -> Json:
    return extension(
        "envoy.tracers.opentelemetry",
        "envoy.config.trace.v3.OpenTelemetryConfig",
        grpc_service={"envoy_grpc": {"cluster_name": CLUSTER, "skip_envoy_headers": True}, "timeout": "1s"},
        service_name="exitway",
        **_sampler(traces.per_mille),
    )


def _sampler(per_mille: int) -> Json:
    """The same as :data:`_CHANCE`, as a tree: which span is sampled can only be worked out again where all that it depends on is known.

    That of Envoy which looks at the trace's id would leave ``traceparent`` unable to say what it said.
    """
    if per_mille >= ALL:
        return {}
    milliseconds = {"call_expr": {"target": _name("request", "time"), "function": "getMilliseconds"}}
    chance = _call("_+_", milliseconds, _call("_*_", _name("source", "port"), _number(_FACTOR)))
    chosen = _call("_<_", _call("_%_", chance, _number(ALL)), _number(per_mille))
    expression = {"cel_expr_parsed": {"expr": chosen}}
    name = "envoy.tracers.opentelemetry.samplers.cel"
    return {"sampler": extension(name, _SAMPLERS + "CELSamplerConfig", expression=expression)}


def _call(function: str, *arguments: Json) -> Json:
    return {"call_expr": {"function": function, "args": list(arguments)}}


def _name(first: str, *fields: str) -> Json:
    named: Json = {"ident_expr": {"name": first}}
    for field in fields:
        named = {"select_expr": {"operand": named, "field": field}}
    return named


def _number(value: int) -> Json:
    return {"const_expr": {"int64_value": value}}
