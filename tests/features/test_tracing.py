"""Spans of requests go to a real collector; a destination is told of them where a rule asks for it, and nowhere else."""

import json
import threading
from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.features.conftest import eventually
from tests.features.test_direct import create

pytestmark = pytest.mark.lab

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TIMES = "for i in $(seq {}); do curl -s 'http://{}/headers?secret=1'; done"


class Collector:
    """Takes OTLP over gRPC, as every collector does, and keeps the spans."""

    def __init__(self):
        self.spans = []
        self._lock = threading.Lock()
        method = grpc.unary_unary_rpc_method_handler(
            self._export, ExportTraceServiceRequest.FromString, ExportTraceServiceResponse.SerializeToString
        )
        service = "opentelemetry.proto.collector.trace.v1.TraceService"
        self.server = grpc.server(futures.ThreadPoolExecutor(1))
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def _export(self, request, _):
        with self._lock:
            self.spans += (
                {
                    "at": span.start_time_unix_nano,
                    "id": span.span_id.hex(),
                    "trace": span.trace_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    **{one.key: one.value.string_value for one in span.attributes},
                }
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            )
        return ExportTraceServiceResponse()

    def wait(self, count):
        """So many spans, in the order of their requests. Envoy sends them every five seconds."""
        eventually(lambda: len(self.spans) >= count, 20)
        return sorted(self.spans, key=lambda span: span["at"])


@pytest.fixture
def collector():
    one = Collector()
    yield one
    one.server.stop(0)


@contextmanager
def traced(exitway, monkeypatch, collector, percent="100"):
    monkeypatch.setenv("EXITWAY_TRACES", f"127.0.0.1:{collector.port}")
    monkeypatch.setenv("EXITWAY_TRACES_PERCENT", percent)
    exitway("up")
    yield exitway


def rule(name, host, **more):
    to = {"hosts": [host], "ports": [{"number": 80, "protocol": "HTTP"}], **more}
    return {"apiVersion": "exitway.dev/v1", "kind": "EgressRule", "metadata": {"name": name}, "spec": {"to": [to]}}


def headers(exitway, *options):
    """What httpbin saw of one request."""
    said = exitway("run", "--name", "w", "--", "curl", "-s", *options, "http://httpbin.org/headers?secret=1")
    return {name.lower(): value for name, value in json.loads(said)["headers"].items()}


def test_spans_say_who_what_and_which_rule_and_nothing_of_them_gets_out(exitway, monkeypatch, collector):
    exitway("up")
    create(exitway, rule("untold", "httpbin.org"))
    before = headers(exitway), headers(exitway, "-H", f"traceparent: {PARENT}", "-H", "x-request-id: mine")
    exitway("down")
    with traced(exitway, monkeypatch, collector):
        assert (
            headers(exitway),
            headers(exitway, "-H", f"traceparent: {PARENT}", "-H", "x-request-id: mine"),
        ) == before
        assert before[1]["traceparent"] == PARENT
        exitway("run", "--name", "w", "--", "curl", "-s", "http://a.lab.test/path?secret=1")
        exitway("run", "--audit", "--name", "w", "--", "curl", "-s", "http://a.lab.test/path?secret=1")
        mine, joined, denied, audited = collector.wait(4)
    told = "exitway.workload", "exitway.rule", "exitway.verdict", "exitway.decision", "http.url", "http.status_code"
    allowed = ("default/w", "egress-rule/default/untold", "allow", None, "http://httpbin.org/headers", "200")
    assert tuple(map(mine.get, told)) == tuple(map(joined.get, told)) == allowed
    refused = ("default/w", None, "deny", "deny; reason=no-rule", "http://a.lab.test/path", "404")
    assert tuple(map(denied.get, told)) == refused
    let_through = ("default/w", None, "audit", "audit; reason=no-rule", "http://a.lab.test/path", "200")
    assert tuple(map(audited.get, told)) == let_through
    assert (mine["parent"], joined["trace"], joined["parent"]) == ("", *PARENT.split("-")[1:3])
    assert "secret" not in repr(collector.spans)


def test_a_destination_is_told_where_its_rule_asks_for_it(exitway, monkeypatch, collector):
    with traced(exitway, monkeypatch, collector):
        create(exitway, rule("told", "httpbin.org", traceContext=True), rule("untold", "a.lab.test"))
        first = headers(exitway)
        second = headers(exitway, "-H", f"traceparent: {PARENT}", "-H", "tracestate: vendor=1")
        untold = json.loads(exitway("run", "--", "curl", "-s", "http://a.lab.test/"))
        spans = collector.wait(3)
    assert "traceparent" not in untold["headers"]
    assert first["traceparent"] == f"00-{spans[0]['trace']}-{spans[0]['id']}-01"
    trace, parent = PARENT.split("-")[1:3]
    assert second["traceparent"] == f"00-{trace}-{spans[1]['id']}-01"  # the program's trace goes on, by way of ours
    assert (spans[1]["parent"], second["tracestate"]) == (parent, "vendor=1")


def test_of_some_requests_only_and_each_destination_knows_of_which(exitway, monkeypatch, collector):
    with traced(exitway, monkeypatch, collector, "30"):
        create(exitway, rule("told", "httpbin.org", traceContext=True))
        said = exitway("run", "--", "sh", "-c", TIMES.format(100, "httpbin.org"))
        parents = [json.loads(one)["headers"]["Traceparent"] for one in said.replace("}\n{", "}\0{").split("\0")]
        sampled = {one.split("-")[2] for one in parents if one.endswith("-01")}
        assert 5 < len(sampled) < 70
        assert {span["id"] for span in collector.wait(len(sampled))} == sampled


def test_without_a_collector_requests_pass_as_ever(exitway, monkeypatch, collector):
    with traced(exitway, monkeypatch, collector):
        collector.server.stop(0).wait()
        create(exitway, rule("untold", "httpbin.org"))
        assert headers(exitway)["host"] == "httpbin.org"


def test_what_a_rule_asks_for_means_nothing_where_nothing_is_traced(server):
    create(server, rule("told", "httpbin.org", traceContext=True))
    assert "traceparent" not in headers(server)
    denying = rule("denying", "a.lab.test", traceContext=True)
    denying["spec"]["action"] = "DENY"
    over_tls = rule("tls", "a.lab.test", traceContext=True, ports=[{"number": 443, "protocol": "TLS"}])
    for wrong in (denying, over_tls):
        assert "EXW2201" in server.result("create", "-f", "-", input=json.dumps(wrong)).stderr
