"""What Prometheus reads: every number of what really happened, and of how the server is."""

import http.client
import json
import re
import socket
import subprocess

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from exitway.cluster.metrics import ReplicaMetrics, ResolverMetrics
from exitway.names.call import Reason
from tests.cluster_parts.test_publisher import Replica
from tests.features.conftest import EXAMPLES, ROOT, eventually

pytestmark = pytest.mark.lab

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def scrape(port, accept="text/plain", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics", headers={"Accept": accept} | ({"Host": host} if host else {}))
        answer = connection.getresponse()
        return answer.status, answer.headers["content-type"], answer.read().decode()
    finally:
        connection.close()


def samples(port):
    """All that is told, by name and labels."""
    _, _, text = scrape(port)
    return {(one.name, *sorted(one.labels.items())): one.value for family in plain(text) for one in family.samples}


def value(port, name, **labels):
    return samples(port).get((name, *sorted(labels.items())), 0)


@pytest.fixture
def port(exitway):
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    exitway("up", "--metrics", f"127.0.0.1:{number}")
    return number


def test_what_is_allowed_and_denied_is_counted_by_namespace_rule_and_verdict(exitway, port, outside):
    fetch = ("run", "-n", "istioegress", "--", "curl", "-s", "-o", "/dev/null", "http://httpbin.org/headers")
    denied = {"namespace": "istioegress", "rule": "", "verdict": "deny", "reason": "no-rule"}
    exitway(*fetch)
    eventually(lambda: value(port, "exitway_requests_total", **denied) == 1)
    assert value(port, "exitway_denials_total", namespace="istioegress", rule="", reason="no-rule") == 1
    exitway("create", "-f", EXAMPLES / "egress_httpbin.yml", "-n", "istioegress")
    rule = {"namespace": "istioegress", "rule": "egress-rule/istioegress/httpbin-egress-rule", "verdict": "allow"}
    again = "for i in 1 2 3; do curl -s -o /dev/null http://httpbin.org/headers; done"
    exitway("run", "-n", "istioegress", "--", "sh", "-c", again)  # repeats of one use
    eventually(lambda: value(port, "exitway_requests_total", reason="rule", **rule) == 3)
    assert value(port, "exitway_requests_total", **denied) == 1
    assert value(port, "exitway_received_bytes_total", **rule) > 3 * 100  # httpbin says what it was asked
    assert value(port, "exitway_sent_bytes_total", **rule) > 3 * 50
    exitway("run", "-n", "istioegress", "--", "curl", "-s", "https://httpbin.org/", check=False)
    eventually(
        lambda: value(
            port, "exitway_connections_total", namespace="istioegress", rule="egress-rule/istioegress/httpbin-egress-rule",
            verdict="deny", reason="port",
        ) == 1
    )  # fmt: skip


def test_it_says_how_the_server_is(exitway, port):
    eventually(lambda: value(port, "exitway_proxies", state="current") == 1)
    before = value(port, "exitway_propagation_seconds_count")
    with exitway.start("run", "-n", "shop", "--", "sh", "-c", "echo ready; read line") as program:
        program.stdout.readline()
        exitway("create", "-f", EXAMPLES / "egress_httpbin.yml", "-n", "shop")
        now = samples(port)
        assert now["exitway_propagation_seconds_count",] == before + 1
        assert 0 < now["exitway_propagation_seconds_sum",] < 10
        assert now["exitway_rules", ("namespace", "shop")] == 1
        assert now["exitway_workloads", ("mode", "enforce")] == 1
        assert now["exitway_proxy_process_resident_memory_bytes",] > 10 * 2**20
        program.communicate("\n")
    assert now["exitway_proxy_refusals_total",] == now["exitway_proxy_restarts_total",] == now["exitway_problems",] == 0
    subprocess.run(["kill", "-9", str(exitway.status()["proxy"]["pid"])], check=True)
    eventually(lambda: value(port, "exitway_proxy_restarts_total") == 1)
    eventually(lambda: value(port, "exitway_proxies", state="current") == 1)


def test_it_is_in_the_format_that_is_asked_for_and_for_whom_it_is(exitway, port):
    status, content_type, text = scrape(port, OPENMETRICS)
    assert status == 200
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert {"exitway_proxies", "exitway_propagation_seconds"} <= {family.name for family in openmetrics(text)}
    assert scrape(port, "application/openmetrics-text; version=x")[0] == 200
    assert scrape(port, host="evil.test")[0] == 403  # a page of that name, pointed here
    over_the_socket = subprocess.run(
        ["curl", "-s", "--unix-socket", exitway.settings.socket, "http://exitway/metrics"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "exitway_proxies" in over_the_socket.stdout
    secret = exitway.settings.token
    assert not secret.exists() or secret.read_text().strip() not in text


def test_nobody_listens_unless_told_to(exitway):
    exitway("up")
    assert exitway.result("up", "--metrics", "127.0.0.1:9464").returncode == 1
    with pytest.raises(ConnectionRefusedError):
        scrape(9464)


def test_the_dashboard_the_alerts_and_the_docs_speak_of_what_there_is(exitway, port, outside):
    known = labels_of(everything(exitway, port))
    dashboard = json.loads((ROOT / "deploy/grafana/exitway.json").read_text())
    targets = [target for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(targets) > 20
    for target in targets:
        speaks_of(target["expr"], known, re.findall(r"{{(\w+)}}", target["legendFormat"]))
    assert [one["query"]["query"] for one in dashboard["templating"]["list"][1:]] == [
        "label_values(exitway_rules, namespace)"
    ]
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/exitway.rules.yml").read_text())["groups"][0]["rules"]
    for alert in alerts:
        speaks_of(alert["expr"], known, re.findall(r"\$labels\.(\w+)", json.dumps(alert["annotations"])))
    docs = (ROOT / "docs/metrics.md").read_text()
    assert [name for name in known if f"`{re.sub('_(bucket|count|sum|created)$', '', name)}`" not in docs] == []


def everything(exitway, port):
    """What a server says that has seen something, and what a replica and the resolver do."""
    exitway("create", "-f", EXAMPLES / "egress_httpbin.yml", "-n", "shop")
    for url in ("http://httpbin.org/headers", "http://a.lab.test/", "https://a.lab.test/"):
        exitway("run", "-n", "shop", "--", "curl", "-s", url, check=False)
    eventually(
        lambda: value(port, "exitway_connections_total", namespace="shop", rule="", verdict="deny", reason="no-rule")
    )
    replica, resolver = Replica(), ResolverMetrics()
    replica.start("a")
    resolver.asked["pod", "answered"] += 1
    resolver.refusals[Reason.NO_RULE] += 1
    of_it = ReplicaMetrics(replica.proxies, lambda: replica.registry, replica.program.counts, lambda: 0.0)
    for text in (scrape(port)[2], *(one.exposition("")[0].decode() for one in (of_it, resolver))):
        yield from (one for family in plain(text) for one in family.samples)


def labels_of(found):
    known: dict[str, set[str]] = {}
    for one in found:
        known.setdefault(one.name, set()).update(one.labels)
    return {name: labels for name, labels in known.items() if name.startswith("exitway_")}


def speaks_of(expression, known, shown):
    """Whether each metric and each label that a query speaks of is there."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    named = set(re.findall(r"\b(?:exitway|process)_\w+", bare))
    assert named, expression
    labels = {"job", "instance"}.union(*(known[name] for name in named if not name.startswith("process_")))
    matched = {word for inside in re.findall(r"{([^}]*)}", bare) for word in re.findall(r"(\w+)\s*[=!]", inside)}
    grouped = {word for inside in re.findall(r"\b(?:by|on) \(([^)]*)\)", bare) for word in re.findall(r"\w+", inside)}
    assert matched | grouped | set(shown) <= labels, (expression, labels)
