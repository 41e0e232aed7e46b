"""How a proxy reaches the control plane: the one stream that everything comes by, and the cluster behind it."""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import dirname

from exitway.envoy.api import Json
from exitway.envoy.cluster import marked
from exitway.envoy.wire import extension, is_address, socket_address, typed

CLUSTER = "xds"

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The control plane of a cluster.

    ``hosts``: addresses, or names that the proxy resolves. ``name``: the DNS name in its certificate; ``authorities``: who vouch for that, PEM.
    ``token``: the file of a service account token, which says who the proxy is; it is read again whenever its directory changes.
    ``mark``: of the packets to it; 0: none.
    """

    hosts: tuple[str, ...]
    port: int
    name: str
    authorities: str
    token: str
    mark: int = 0


def ads_config() -> Json:
    """The stream, in the bootstrap."""
    retry = {"retry_back_off": {"base_interval": "0.05s", "max_interval": "1s"}}
    return {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,  # or each ACK carries Envoy's list of extensions, 61 kB
        "grpc_services": [
            {"envoy_grpc": {"cluster_name": CLUSTER, "skip_envoy_headers": True, "retry_policy": retry}},
        ],
    }


def on_this_machine(path: str) -> Json:
    """The cluster of a server that is reached by a Unix socket."""
    return _cluster("STATIC", [{"pipe": {"path": path}}], [])


def over_tls(control: ControlPlane) -> Json:
    """The cluster of a control plane. Each stream carries the token that is valid at its beginning."""
    kind = "STATIC" if all(is_address(host) for host in control.hosts) else "STRICT_DNS"
    addresses = [socket_address(host, control.port) for host in control.hosts]
    return (
        _cluster(kind, addresses, [_proving(control.token), _CODEC])
        | (marked(control.mark) if control.mark else {})
        | {"transport_socket": _tls(control)}
    )


def _cluster(kind: str, addresses: list[Json], filters: list[Json]) -> Json:
    keepalive = {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}
    options = typed(_HTTP_OPTIONS, explicit_http_config={"http2_protocol_options": keepalive})
    return {
        "name": CLUSTER,
        "type": kind,
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: options | ({"http_filters": filters} if filters else {}),
        },
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}} for address in addresses]}],
        },
    }


def _proving(token: str) -> Json:
    """The kubelet writes a new token by renaming a link in the directory of the file, so that is watched.

    Nothing else does it without a second gRPC stack in the proxy: a credential injector reads a file once, and the metadata of a stream no file.
    https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/extensions/formatter/file_content/v3/file_content.proto
    """
    value = {"key": "authorization", "value": f"Bearer %FILE_CONTENT({token}:{dirname(token)})%"}
    set_it = {"append": {"header": value, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    files = extension("envoy.formatter.file_content", "envoy.extensions.formatter.file_content.v3.FileContent")
    return extension(
        "envoy.filters.http.header_mutation",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        mutations={"request_mutations": [set_it], "formatters": [files]},
    )


_CODEC = extension("envoy.filters.http.upstream_codec", "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec")


def _tls(control: ControlPlane) -> Json:
    verified = {
        "trusted_ca": {"inline_string": control.authorities},
        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": control.name}}],
    }
    return extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni=control.name,
        common_tls_context={
            # as a client Envoy goes no further than 1.2 unless it is told to
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "alpn_protocols": ["h2"],
            "validation_context": verified,
        },
    )
