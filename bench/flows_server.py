"""The server of one machine with its records made in another way, for ``bench/flows.py``: ``flows_server.py off|file|stream``.

``file`` is Exitway as it is. ``off`` logs nothing. ``stream``: Envoy sends its gRPC access log to the server, which parses each message and counts
entries by what tells a repeat: the least that it would have to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool

from exitway.cli.main import cli
from exitway.envoy import api, listener
from exitway.envoy.access_log import http_access_log, tcp_access_log
from exitway.server import engine, serve

RUN = Path("/run/bench")
API, SOCKET = RUN / "api.binpb", RUN / "stream.sock"
"""Envoy's API with the messages of the stream, which ours does not have."""
_SERVICE = "envoy.service.accesslog.v3.AccessLogService"
_CONFIG = "envoy.extensions.access_loggers.grpc.v3"
RECEIVED_SECONDS = 0.1


def received(pid: int) -> Path:
    """Where a server says how many entries it has received."""
    return RUN / f"received-{pid}"


def log_nothing() -> None:
    listener.http_access_log = lambda *_: {}
    listener.tcp_access_log = lambda *_: {}


def log_to_stream() -> None:
    api._pool = functools.cache(_pool)  # noqa: SLF001
    listener.http_access_log = lambda *given: _streamed(http_access_log(*given), "http")
    listener.tcp_access_log = lambda *given: _streamed(tcp_access_log(*given), "tcp")
    engine.bootstrap = lambda machine: _with_cluster(bootstrap(machine))
    serve.Server.parts = lambda server: [*parts(server), _receive()]


bootstrap, parts = engine.bootstrap, serve.Server.parts


def _pool() -> descriptor_pool.DescriptorPool:
    files = descriptor_pb2.FileDescriptorSet.FromString(API.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


def _streamed(options: Any, kind: str) -> Any:
    (log,) = options["access_log"]
    config = {
        "@type": f"{api.TYPE_PREFIX}{_CONFIG}.{kind.title()}GrpcAccessLogConfig",
        "common_config": {
            "log_name": kind,
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": "stream"}},
            "buffer_flush_interval": "0.1s",
        },
    }
    return options | {"access_log": [log | {"name": f"envoy.access_loggers.{kind}_grpc", "typed_config": config}]}


def _with_cluster(wire: Any) -> Any:
    """As Envoy is told where its configuration is, so where the stream goes."""
    clusters = wire["static_resources"]["clusters"]
    cluster = copy.deepcopy(next(one for one in clusters if "pipe" in str(one)))
    cluster["name"] = cluster["load_assignment"]["cluster_name"] = "stream"
    endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    endpoint["address"] = {"pipe": {"path": str(SOCKET)}}
    clusters.append(cluster)
    wire["stats_config"]["stats_matcher"]["inclusion_list"]["patterns"].append({"prefix": "access_logs."})
    return wire


async def _receive() -> None:
    message = api.message_type("envoy.service.accesslog.v3.StreamAccessLogsMessage")
    seen: Counter[tuple[Any, ...]] = Counter()

    async def stream(requests: Any, _: Any) -> bytes:
        async for data in requests:
            told: Any = message.FromString(data)
            seen.update(_key(entry) for entry in told.http_logs.log_entry)
        return b""

    handler = grpc.method_handlers_generic_handler(
        _SERVICE, {"StreamAccessLogs": grpc.stream_unary_rpc_method_handler(stream)}
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    SOCKET.unlink(missing_ok=True)
    server.add_insecure_port(f"unix:{SOCKET}")
    await server.start()
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            received(os.getpid()).write_text(str(seen.total()))
            await asyncio.sleep(RECEIVED_SECONDS)
    await server.stop(0)


def _key(entry: Any) -> tuple[Any, ...]:
    common, request, response = entry.common_properties, entry.request, entry.response
    local = common.downstream_local_address.socket_address
    return (
        request.authority,
        local.address,
        local.port_value,
        response.response_code.value,
        response.response_code_details,
    )


if __name__ == "__main__":
    {"off": log_nothing, "stream": log_to_stream, "file": lambda: None}[sys.argv[1]]()
    cli(["serve"], prog_name="exitway")
