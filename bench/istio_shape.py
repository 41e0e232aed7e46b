"""Envoy's configuration in the shape in which Istio's sidecar has it: a cluster, a virtual host and a filter chain for each host.

What a sidecar gets for a ServiceEntry with ports 80 (HTTP) and 443 (TLS) and ``resolution: NONE`` (the default), under ``REGISTRY_ONLY`` and with
the access log on: names, route policy, filters and log format as `istioctl proxy-config` shows them. It has the measures that Istio takes against size: few statistics, made late; clusters made late.
Left out, which favours it: telemetry, tracing, the filters that only Istio's build of Envoy has, and the control plane's connection.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

LISTEN = 15001
API = "type.googleapis.com/envoy"
STATISTICS = (
    "reporter=",
    "cluster_manager",
    "listener_manager",
    "server",
    "cluster.xds-grpc",
    "wasm",
    "component",
    "istio",
)
LOG_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% '
    '%CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% '
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% '
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)


def bootstrap(hosts: list[str], access_log: str) -> Json:
    clusters = [cluster(f"outbound|{port}||{host}") for host in hosts for port in (80, 443)]
    log = [
        typed(
            "envoy.access_loggers.file",
            "access_loggers.file.v3.FileAccessLog",
            path=access_log,
            log_format=text(LOG_FORMAT),
        )
    ]
    return {
        "stats_config": {
            "stats_matcher": {"inclusion_list": {"patterns": [{"prefix": prefix} for prefix in STATISTICS]}}
        },
        "cluster_manager": {"enable_deferred_cluster_creation": True},
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "static_resources": {
            "clusters": [*clusters, {"name": "BlackHoleCluster", "type": "STATIC", "connect_timeout": "10s"}],
            "listeners": [virtual_outbound(log), http_listener(hosts, log), tls_listener(hosts, log)],
        },
    }


def cluster(name: str) -> Json:
    limit = 4294967295
    thresholds = {
        "max_connections": limit,
        "max_pending_requests": limit,
        "max_requests": limit,
        "max_retries": limit,
        "track_remaining": True,
    }
    options = {
        "@type": f"{API}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}},
    }
    _, port, _, host = name.split("|")
    service = {"services": [{"host": host, "name": host, "namespace": "default"}]}
    return {
        "name": name,
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [thresholds]},
        "metadata": {"filter_metadata": {"istio": service}},
        **(
            {"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}}
            if port == "80"
            else {}
        ),
    }


def virtual_host(host: str) -> Json:
    retry = {
        "retry_on": "connect-failure,refused-stream,unavailable,cancelled",
        "num_retries": 2,
        "retry_host_predicate": [
            typed("envoy.retry_host_predicates.previous_hosts", "retry.host.previous_hosts.v3.PreviousHostsPredicate")
        ],
        "host_selection_retry_max_attempts": "5",
    }
    action = {"cluster": f"outbound|80||{host}", "timeout": "0s", "retry_policy": retry, "max_grpc_timeout": "0s"}
    route = {"name": "default", "match": {"prefix": "/"}, "route": action, "decorator": {"operation": f"{host}:80/*"}}
    return {"name": f"{host}:80", "domains": [host], "routes": [route], "include_request_attempt_count": True}


def virtual_outbound(log: list[Json]) -> Json:
    return listener("virtualOutbound", LISTEN, [tcp_chain("BlackHoleCluster", log)], use_original_dst=True)


def http_listener(hosts: list[str], log: list[Json]) -> Json:
    block_all = {
        "name": "block_all",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 502}}],
    }
    manager = typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="outbound_0.0.0.0_80",
        access_log=log,
        route_config={
            "name": "80",
            "virtual_hosts": [*map(virtual_host, hosts), block_all],
            "validate_clusters": False,
            "max_direct_response_body_size_bytes": 1048576,
            "ignore_port_in_host_matching": True,
        },
        http_filters=[
            typed(
                "envoy.filters.http.grpc_stats",
                "filters.http.grpc_stats.v3.FilterConfig",
                emit_filter_state=True,
                stats_for_all_methods=False,
            ),
            typed("envoy.filters.http.fault", "filters.http.fault.v3.HTTPFault"),
            typed("envoy.filters.http.cors", "filters.http.cors.v3.Cors"),
            typed("envoy.filters.http.router", "filters.http.router.v3.Router"),
        ],
        upgrade_configs=[{"upgrade_type": "websocket"}],
        stream_idle_timeout="0s",
        normalize_path=True,
    )
    return listener("0.0.0.0_80", 80, [{"filters": [manager]}], bind_to_port=False)


def tls_listener(hosts: list[str], log: list[Json]) -> Json:
    chains = [
        {"filter_chain_match": {"server_names": [host]}, **tcp_chain(f"outbound|443||{host}", log)} for host in hosts
    ]
    inspector = typed("envoy.filters.listener.tls_inspector", "filters.listener.tls_inspector.v3.TlsInspector")
    return listener(
        "0.0.0.0_443",
        443,
        chains,
        bind_to_port=False,
        listener_filters=[inspector],
        default_filter_chain=tcp_chain("BlackHoleCluster", log),
    )


def listener(name: str, port: int, chains: list[Json], **fields: Any) -> Json:
    address = {"socket_address": {"address": "0.0.0.0", "port_value": port}}
    return {"name": name, "address": address, "filter_chains": chains, "traffic_direction": "OUTBOUND", **fields}


def tcp_chain(cluster_name: str, log: list[Json]) -> Json:
    proxy = typed(
        "envoy.filters.network.tcp_proxy",
        "filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix=cluster_name,
        cluster=cluster_name,
        access_log=log,
    )
    return {"filters": [proxy]}


def typed(name: str, message: str, **fields: Any) -> Json:
    return {"name": name, "typed_config": {"@type": f"{API}.extensions.{message}", **fields}}


def text(log_format: str) -> Json:
    return {"text_format_source": {"inline_string": log_format}}
