"""The listeners of one workload: the two it is captured by, and one for each port that it publishes.

Nothing in a filter chain depends on a rule: names are in the routes (``route.py``) and in the matcher (``matcher.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from exitway.envoy import matcher
from exitway.envoy.access_log import LISTENER_ID, http_access_log, tcp_access_log
from exitway.envoy.api import Json
from exitway.envoy.cluster import BY_ADDRESS, BY_NAME, NOWHERE, dns_cache
from exitway.envoy.route import DECISION, DIALLED_PORT, LISTENER_NAME
from exitway.envoy.tracing import tracing
from exitway.envoy.wire import ADS, extension, header, socket_address, text, typed
from exitway.names.address import CAPTURE_PORT, TCP_PORT, Pinned
from exitway.names.call import Reason, Sort
from exitway.names.question import Kind, compose, label
from exitway.names.traces import Traces
from exitway.names.workload import Workload
from exitway.policy.policy import Policy

_NETWORK = "envoy.extensions.filters.network."
_NOTHING: Pinned = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Captured:
    """A workload as the proxy sees it: ``netns`` is the path of its network namespace, ``routes`` the name of its route configuration."""

    id: str
    workload: Workload
    netns: str
    routes: str


SIDECAR = Captured("pod", Workload("", ""), "", "http")
"""Any pod with a proxy of its own: nothing in its listener says which, so pods of equal policy have equal listeners."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """What all listeners of one proxy share. ``resolver`` and ``mark`` as in :func:`exitway.envoy.cluster.clusters`.

    ``id`` and ``name``: what says in a log and to people which workload it is (Envoy's format strings). ``ipv6``: whether the kernel speaks it.
    ``traces``: where spans of requests go; None: nowhere.
    """

    resolver: str
    mark: int
    access_log: str
    denied_status: int = 404
    id: str = LISTENER_ID
    name: str = LISTENER_NAME
    ipv6: bool = True
    traces: Traces | None = None


def capturing_listener(captured: Captured, proxy: Proxy) -> Json:
    """The listener that looks for names in what is said. Its matcher is put to it apart (:func:`deciding`)."""
    return _captured(f"out/{captured.id}", CAPTURE_PORT, captured, proxy) | {
        "listener_filters": _inspecting([]),
        # a client that says nothing for so long is neither TLS nor HTTP: TCP rules apply, and without one it is refused
        "listener_filters_timeout": "1s",
        "continue_on_listener_filters_timeout": True,
        "filter_chains": [
            {"name": matcher.HTTP, "filters": [_remember_dialled_port(), _http(captured, proxy)]},
            {
                "name": matcher.TLS,
                "filters": _by_name(matcher.TLS, Kind.TLS, "%REQUESTED_SERVER_NAME%", captured, proxy),
            },
            *_tcp_chains(captured, proxy),
        ],
    }


def sidecar_listener(proxy: Proxy) -> Json:
    """The one listener of a pod with a proxy of its own, without what depends on the rules (:func:`deciding_sidecar`)."""
    listener = capturing_listener(SIDECAR, proxy)
    del listener["listener_filters"]
    return listener


def deciding_sidecar(policy: Policy, pinned: Pinned) -> Json:
    """The part of a sidecar's listener that depends on the rules.

    All packets come to it, so at the ports of protocols in which the server speaks first it does not wait for what the client says, but where a
    rule is for HTTP or TLS there. (At the ports of any TCP rule would be better; but a listener whose filters change is made anew, and what
    is connected to the old one ends with it.)
    """
    return deciding(policy, pinned) | {"listener_filters": _inspecting(_silent_ports(policy))}


SERVER_FIRST = (21, 22, 25, 110, 143, 587, 873, 3306, 5900)
"""FTP, SSH, SMTP, POP3, IMAP, submission, rsync, MySQL, VNC."""


def tcp_listener(captured: Captured, proxy: Proxy) -> Json:
    """The listener that waits for nothing to be said: a server may speak first. Its matcher is put to it apart (:func:`deciding_tcp`)."""
    return _captured(f"tcp/{captured.id}", TCP_PORT, captured, proxy) | {
        "listener_filters": [_listener_filter("original_dst", "OriginalDst")],
        "filter_chains": _tcp_chains(captured, proxy),
    }


def deciding(policy: Policy, pinned: Pinned = _NOTHING) -> Json:
    """The part of a capturing listener that depends on the rules, and not on the workload.

    ``pinned``: for one that all packets are led to, also those for names that rules for TCP speak of.
    """
    return {"filter_chain_matcher": matcher.filter_chain_matcher(policy, pinned)}


def deciding_tcp(policy: Policy, pinned: Pinned) -> Json:
    """The same of a TCP listener; the synthetic addresses of names that rules for TCP speak of are the workload's own."""
    return {"filter_chain_matcher": matcher.tcp_matcher(policy, pinned)}


def publishing_listener(name: str, address: str, port: int) -> Json:
    """A port on the machine's side that leads to the cluster of the same name (``cluster.published``)."""
    tcp = extension(
        "envoy.filters.network.tcp_proxy",
        _NETWORK + "tcp_proxy.v3.TcpProxy",
        stat_prefix="in",
        cluster=name,
        idle_timeout="0s",
    )
    return {
        "name": name,
        "stat_prefix": "in",
        "address": socket_address(address, port),
        "filter_chains": [{"filters": [tcp]}],
    }


def _captured(name: str, port: int, captured: Captured, proxy: Proxy) -> Json:
    ipv4, ipv6 = (socket_address(address, port, captured.netns) for address in ("127.0.0.1", "::1"))
    identity = {"workload": captured.workload.name, "namespace": captured.workload.namespace, "id": captured.id}
    return {
        "name": name,
        "stat_prefix": "out",
        "address": ipv4,
        "additional_addresses": [{"address": ipv6}] * proxy.ipv6,
        "transparent": True,
    } | ({"metadata": {"filter_metadata": {"exitway": identity}}} if captured.workload.name else {})


def _tcp_chains(captured: Captured, proxy: Proxy) -> list[Json]:
    return [
        {"name": matcher.NAMED, "filters": _by_name(matcher.NAMED, Kind.TCP, "", captured, proxy)},
        {"name": matcher.TCP, "filters": [_tcp(matcher.TCP, BY_ADDRESS, proxy)]},
        {"name": matcher.DENY, "filters": [_tcp(matcher.DENY, NOWHERE, proxy)]},
    ]


def _silent_ports(policy: Policy) -> list[int]:
    said = {at for permissions in (*policy.hosts.values(), *policy.networks.values()) for at in permissions}
    spoken = {port for port, sort in said if sort is not Sort.TCP}
    return [port for port in SERVER_FIRST if port not in spoken]


def _inspecting(silent: list[int]) -> list[Json]:
    """What looks at the first bytes, but at some ports."""
    ranges = [{"destination_port_range": {"start": port, "end": port + 1}} for port in silent]
    where = {"or_match": {"rules": ranges}} if len(ranges) > 1 else next(iter(ranges), None)
    but = {"filter_disabled": where} if where else {}
    return [
        _listener_filter("original_dst", "OriginalDst"),
        _listener_filter("tls_inspector", "TlsInspector") | but,
        _listener_filter("http_inspector", "HttpInspector") | but,
    ]


def _listener_filter(name: str, message: str) -> Json:
    return extension(f"envoy.filters.listener.{name}", f"envoy.extensions.filters.listener.{name}.v3.{message}")


def _tcp(stat_prefix: str, cluster: str, proxy: Proxy) -> Json:
    return extension(
        "envoy.filters.network.tcp_proxy",
        _NETWORK + "tcp_proxy.v3.TcpProxy",
        stat_prefix=stat_prefix,
        cluster=cluster,
        **tcp_access_log(proxy.access_log, proxy.id),
    )


def _by_name(stat_prefix: str, kind: Kind, name: str, captured: Captured, proxy: Proxy) -> list[Json]:
    """To a name, at the port that was dialled: for TLS that of the ClientHello, which our resolver compares with what was dialled."""
    forward = extension(
        "envoy.filters.network.sni_dynamic_forward_proxy",
        _NETWORK + "sni_dynamic_forward_proxy.v3.FilterConfig",
        port_value=443,
        dns_cache_config=dns_cache(proxy.resolver),
    )
    question = compose(kind, name, _DIALLED, label(captured.id))
    return [_remember_dialled_port(), _ask(question), forward, _tcp(stat_prefix, BY_NAME, proxy)]


_DIALLED = "%CEL(destination.address.replace('.', '-').replace(':', '-').replace('[', '').replace(']', ''))%"
"""Address and port as a part of a DNS label: ``240-240-0-5-443``."""


def _ask(question: str) -> Json:
    """What the forward proxy resolves instead of the SNI."""
    strings = typed("envoy.extensions.formatter.cel.v3.Cel", cel_config={"enable_string_functions": True})
    format_string = text(question) | {"formatters": [{"name": "envoy.formatter.cel", "typed_config": strings}]}
    return extension(
        "envoy.filters.network.set_filter_state",
        _NETWORK + "set_filter_state.v3.Config",
        on_new_connection=[{"object_key": _DYNAMIC_HOST, "format_string": format_string, "read_only": True}],
    )


_DYNAMIC_HOST = "envoy.upstream.dynamic_host"


def _http(captured: Captured, proxy: Proxy) -> Json:
    question = compose(Kind.HTTP, "%REQ(:AUTHORITY)%", "%DOWNSTREAM_LOCAL_PORT%", label(captured.id))
    return extension(
        "envoy.filters.network.http_connection_manager",
        _NETWORK + "http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="http",
        rds={"route_config_name": captured.routes, "config_source": ADS},
        **http_access_log(proxy.access_log, proxy.id),
        **(tracing(proxy.traces, _WHO if captured.workload.name else proxy.id) if proxy.traces else {}),
        # what the program says goes out as it was said
        generate_request_id=False,
        skip_xff_append=True,
        server_header_transformation="PASS_THROUGH",
        http_protocol_options={"accept_http_10": True},
        strip_trailing_host_dot=True,
        # the forward proxy dials the port of the authority, where there is one, before the port that was dialled
        strip_any_host_port=True,
        upgrade_configs=[{"upgrade_type": "websocket"}],
        stream_idle_timeout="3600s",
        delayed_close_timeout="0.3s",  # a client whose request was cut is told so soon
        local_reply_config=_local_replies(),
        http_filters=[
            extension(
                "envoy.filters.http.set_filter_state",
                "envoy.extensions.filters.http.set_filter_state.v3.Config",
                on_request_headers=[{"object_key": _DYNAMIC_HOST, "format_string": text(question), "read_only": True}],
            ),
            extension(
                "envoy.filters.http.dynamic_forward_proxy",
                "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
                dns_cache_config=dns_cache(proxy.resolver),
                allow_dynamic_host_from_filter_state=True,
            ),
            extension(
                "envoy.filters.http.router",
                "envoy.extensions.filters.http.router.v3.Router",
                suppress_envoy_headers=True,
            ),
        ],
    )


_WHO = f"%METADATA(LISTENER:exitway:namespace)%/{LISTENER_NAME}"
"""Whose listener it is, where it is that of one."""


def _remember_dialled_port() -> Json:
    """The port that was dialled, as states of the connection: for the forward proxy (where to go) and for the routes (whether to)."""
    port = text("%DOWNSTREAM_LOCAL_PORT%")
    return extension(
        "envoy.filters.network.set_filter_state",
        _NETWORK + "set_filter_state.v3.Config",
        on_new_connection=[
            {"object_key": "envoy.upstream.dynamic_port", "format_string": port},
            {"object_key": DIALLED_PORT, "factory_key": "envoy.string", "format_string": port, "read_only": True},
        ],
    )


def _local_replies() -> Json:
    """What Envoy answers by itself: no route (such as CONNECT) is a denial, and an allowed request that failed says where it failed."""
    guarded = extension(
        "envoy.access_loggers.extension_filters.cel",
        "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        expression="response.code_details.contains('server_refused_query')",
    )
    misled = {
        "filter": {"extension_filter": guarded},
        "headers_to_add": [header(DECISION, f"deny; reason={Reason.ADDRESS}")],
        "body_format_override": text(
            "Denied by Exitway: a rule allows %REQ(:AUTHORITY)% port %DOWNSTREAM_LOCAL_PORT%, but the name leads only to addresses that no name "
            "may lead to (private, loopback, link-local, metadata, ...). A rule for the network (cidrs, protocol TCP) excepts it.\n"
        ),
    }
    no_route = {
        "filter": {"response_flag_filter": {"flags": ["NR"]}},
        "headers_to_add": [header(DECISION, f"deny; reason={Reason.NO_RULE}")],
        "body_format_override": text(
            "Denied by Exitway: %REQ(:METHOD)% to %REQ(:AUTHORITY)% port %DOWNSTREAM_LOCAL_PORT%: no egress rule allows it\n"
        ),
    }
    failed = _failed(
        ["DF", "UF", "UH", "URX", "UT", "UO"],
        "Exitway allows %REQ(:AUTHORITY)% port %DOWNSTREAM_LOCAL_PORT%, but it could not be reached",
    )
    lost = _failed(
        ["UC"],
        "Exitway let this out to %REQ(:AUTHORITY)% port %DOWNSTREAM_LOCAL_PORT%, but before an answer came the other end closed the "
        "connection, or its rule was withdrawn",
    )
    return {"mappers": [no_route, misled, failed, lost]}


def _failed(flags: list[str], sentence: str) -> Json:
    return {
        "filter": {"response_flag_filter": {"flags": flags}},
        "headers_to_add": [header(DECISION, "allow; failed=%RESPONSE_FLAGS%")],
        "body_format_override": text(f"{sentence}: %RESPONSE_CODE_DETAILS% %UPSTREAM_TRANSPORT_FAILURE_REASON%\n"),
    }
