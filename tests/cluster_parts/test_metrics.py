"""What a replica and the resolver tell Prometheus, by the port that the kubelet asks."""

import asyncio
import socket
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from exitway.cluster.health import serve_health
from exitway.cluster.metrics import ReplicaMetrics
from tests.cluster_parts.test_publisher import Replica


def read(metrics, path="/metrics", accept="text/plain"):
    def fetch(port):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"aCCept": accept})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.headers["content-type"], answer.read().decode()

    async def served():
        server = await serve_health(0, lambda: "", metrics.exposition)
        async with server:
            ports = {one.family: one.getsockname()[1] for one in server.sockets}
            return await asyncio.to_thread(fetch, ports[socket.AF_INET])

    return asyncio.run(served())


def samples(metrics):
    return {
        (one.name, *sorted(one.labels.items())): one.value
        for family in plain(read(metrics)[1])
        for one in family.samples
    }


def test_a_replica_tells_of_rules_proxies_and_pods():
    replica = Replica()
    metrics = ReplicaMetrics(replica.proxies, lambda: replica.registry, replica.program.counts, lambda: 4e9)
    replica.start("a")
    replica.start("b", node="n1")
    sidecar = replica.sidecar("a")
    sidecar.answer()
    replica.create("first")
    sidecar.answer()
    found = samples(metrics)
    assert found["exitway_rules", ("namespace", "shop")] == 1
    assert found["exitway_proxies", ("state", "current")] == 1
    assert found["exitway_propagation_seconds_count",] == 1
    assert found["exitway_pods", ("mode", "enforce"), ("placement", "sidecar")] == 1
    assert found["exitway_pods", ("mode", "enforce"), ("placement", "node")] == 1
    assert found["exitway_certificate_expiry_timestamp_seconds",] == 4e9
    content_type, text = read(metrics, accept="application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert "exitway_proxies" in {family.name for family in openmetrics(text)}
    assert read(metrics, "/readyz") == ("text/plain", "OK\n")
