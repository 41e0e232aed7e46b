"""A collector of traces that throws them away, and a Prometheus that reads all the time: ``collector.py OTLP_PORT [METRICS_PORT]``."""

from __future__ import annotations

import sys
import time
import urllib.request
from concurrent import futures

import grpc

SECONDS = 1.0


def main() -> None:
    export = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    server = grpc.server(futures.ThreadPoolExecutor(1), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": export}),))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    while True:
        time.sleep(SECONDS)
        for port in sys.argv[2:]:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read()


if __name__ == "__main__":
    main()
