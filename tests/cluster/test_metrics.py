"""Each part tells Prometheus of itself, where the chart's values say so, and proxies of both placements make spans."""

import json
import re
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families as plain

from tests.cluster.cluster import HTTP, IMAGE, SYSTEM, Namespace, helm, kubectl, until

NODE_PORT = 9464
COLLECTOR = """
import grpc, sys, time
from concurrent import futures
def export(request, context):
    print(repr(request), flush=True)
    return b""
server = grpc.server(futures.ThreadPoolExecutor(1))
service = "opentelemetry.proto.collector.trace.v1.TraceService"
handler = grpc.unary_unary_rpc_method_handler(export)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
server.add_insecure_port("[::]:4317")
server.start()
server.wait_for_termination()
"""


@pytest.fixture(scope="module")
def collector(elsewhere: Namespace) -> Namespace:
    """What takes spans, in the cluster: it shows the bytes that came."""
    told = {"name": "app", "image": IMAGE, "imagePullPolicy": "Never", "command": ["python3", "-c", COLLECTOR]}
    elsewhere.pod("collector", containers=[told])
    elsewhere.service("collector", 4317, 4317)
    return elsewhere


@pytest.fixture(scope="module", autouse=True)
def told(installed: str, collector: Namespace) -> Iterator[None]:
    place = f"collector.{collector.name}.svc.cluster.local:4317"
    helm("upgrade", f"metrics.nodePort={NODE_PORT}", f"traces.collector={place}")
    yield
    helm("upgrade")


def samples(path):
    text = kubectl("get", "--raw", path)
    return {(one.name, *sorted(one.labels.items())): one.value for family in plain(text) for one in family.samples}


def pods(part):
    selector = f"app.kubernetes.io/component={part}"
    found = json.loads(kubectl("get", "pods", "-n", SYSTEM, "-l", selector, "-o", "json"))["items"]
    return [one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]]


def read(pod):
    return samples(f"/api/v1/namespaces/{SYSTEM}/pods/{pod}:8081/proxy/metrics")


def total(name, **labels):
    return sum(read(pod).get((name, *sorted(labels.items())), 0) for pod in pods("controller"))


def test_replicas_tell_of_rules_pods_and_how_long_changes_take(namespace, pod):
    before = total("exitway_propagation_seconds_count")
    namespace.rule("told", to={"hosts": ["a.lab.test"], "ports": HTTP})
    until(lambda: total("exitway_propagation_seconds_count") > before)
    for replica in pods("controller"):
        found = read(replica)
        assert found["exitway_rules", ("namespace", namespace.name)] == 1
        assert sum(count for (name, *_), count in found.items() if name == "exitway_pods") >= 1
        assert found["exitway_certificate_expiry_timestamp_seconds",] > 1.7e9
    assert total("exitway_proxies", state="current") >= 1
    annotations = kubectl("get", "pods", "-n", SYSTEM, "-o", "jsonpath={.items[*].metadata.annotations}")
    assert set(re.findall(r'prometheus\.io/port":"(\d+)"', annotations)) == {"8081", str(NODE_PORT)}
    assert all("exitway_build_info" in {name for name, *_ in read(one)} for one in pods("dns"))


def test_the_agent_of_a_node_counts_what_its_pods_do(namespace, pod, placement, lab):
    namespace.rule("told", to={"hosts": ["a.lab.test"], "ports": HTTP})
    assert pod.curl("http://a.lab.test/")[0] == 200
    assert pod.curl("http://b.lab.test/")[0] == 404
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    rule = f"egress-rule/{namespace.name}/told"

    def counted():
        found = samples(f"/api/v1/nodes/{node}:{NODE_PORT}/proxy/metrics")
        ours = {labels: count for labels, count in found.items() if ("namespace", namespace.name) in labels}
        where = ("namespace", namespace.name)
        allowed = ("exitway_requests_total", where, ("reason", "rule"), ("rule", rule), ("verdict", "allow"))
        denied = ("exitway_denials_total", where, ("reason", "no-rule"), ("rule", ""))
        assert (allowed in ours, denied in ours) == (placement == "node", placement == "node"), ours
        return True

    until(counted)


def test_proxies_of_both_placements_make_spans_and_tell_who_asks(namespace, pod, collector, lab):
    namespace.rule("told", to={"hosts": ["a.lab.test"], "ports": HTTP, "traceContext": True})
    said = until(lambda: json.loads(pod.curl("http://a.lab.test/?secret=1")[1]))
    trace = said["headers"]["traceparent"].split("-")[1]
    until(lambda: f"egress-rule/{namespace.name}/told" in collector.kubectl("logs", "collector"))
    logs = collector.kubectl("logs", "collector")
    assert f"{namespace.name}/{pod.name}" in logs
    assert "secret" not in logs
    assert len(trace) == 32
