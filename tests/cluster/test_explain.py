"""What `exitway explain` says of a pod, from the rules in the API server alone, is what the pod sees."""

import json
import sys

import pytest

from tests.cluster.cluster import STATE, Namespace, Pod, kubectl, run
from tests.cluster.outside import Outside

EXPLAIN = (sys.executable, "-m", "exitway", "--kubeconfig", STATE / "kubeconfig", "explain")
RULES = """
apiVersion: config.istio.io/v1alpha2
kind: EgressRule
metadata: {name: httpbin}
spec: {destination: {service: httpbin.org}, ports: [{port: 80, protocol: http}]}
---
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: a}
spec:
  workloadSelector: {matchLabels: {app: client}}
  to: [{hosts: [a.lab.test], ports: [{number: 80, protocol: HTTP}], methods: [GET], paths: ["/anything/*"]}]
---
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: others}
spec:
  workloadSelector: {matchLabels: {app: other}}
  to: [{hosts: [b.lab.test], ports: [{number: 80, protocol: HTTP}]}]
"""
CALLS = {
    "http://httpbin.org/headers": "rule",
    "http://httpbin.org:8080/headers": "port",
    "http://a.lab.test/anything/x": "rule",
    "http://a.lab.test/headers": "path",
    "http://b.lab.test/headers": "no-rule",
}


@pytest.fixture
def ruled(namespace: Namespace, pod: Pod, lab: Outside) -> Namespace:
    run(*EXPLAIN[:-1], "apply", "-n", namespace.name, "-f", "-", stdin=RULES)
    return namespace


def test_what_is_said_of_a_pod_is_what_it_sees(ruled: Namespace, pod: Pod) -> None:
    for call, reason in CALLS.items():
        whose = ["-n", ruled.name, "--workload", pod.name]
        said = json.loads(run(*EXPLAIN, *whose, call, "-o", "json", check=False))
        assert (said["reason"], said["verdict"] == "allow") == (reason, reason == "rule"), call
        status, body = pod.curl(call)
        assert (status, "Denied by Exitway" in body) == ((200, False) if reason == "rule" else (404, True)), call


def test_labels_stand_for_a_pod_and_the_nearest_rule_is_named(ruled: Namespace) -> None:
    whose = ["-n", ruled.name, "-l", "app=cart"]
    said = run(*EXPLAIN, *whose, "http://a.lab.test/anything/x", check=False)
    assert f"{ruled.name}/a\n    it is for workloads with app=client; this one has app=cart" in said
    assert "cannot be asked" not in said
    missing = run(*EXPLAIN, "-n", ruled.name, "--workload", "nobody", "http://a.lab.test/", check=False)
    assert "EXW1708 no workload nobody runs" in missing


def test_what_stays_in_the_cluster_is_not_decided_by_rules(ruled: Namespace) -> None:
    for name in ("kubernetes.default", "kubernetes.default.svc", "any.where.svc.cluster.local"):
        said = run(*EXPLAIN, "-n", ruled.name, f"https://{name}/", check=False)
        assert f"EXW1707 {name} is a service of the cluster" in said
    assert run(*EXPLAIN, "-n", ruled.name, "https://nobody.default/", check=False).startswith("denied: ")
    assert "warning: if 10.1.2.3" in run(*EXPLAIN, "-n", ruled.name, "10.1.2.3:80", check=False)


def test_who_sees_only_some_namespaces_is_answered_from_those(ruled: Namespace, tmp_path) -> None:
    ruled.kubectl("create", "serviceaccount", "reader")
    for where in (ruled.name, "exitway-system"):
        rules = "egressrules.exitway.dev,egressrules.config.istio.io"
        kubectl("create", "role", f"reader-{ruled.name}", "-n", where, "--verb=get,list", f"--resource={rules}")
        account = f"--serviceaccount={ruled.name}:reader"
        kubectl("create", "rolebinding", f"reader-{ruled.name}", "-n", where, f"--role=reader-{ruled.name}", account)
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    config["users"][0]["user"] = {"token": ruled.kubectl("create", "token", "reader").strip()}
    (tmp_path / "reader.json").write_text(json.dumps(config))
    command = [*EXPLAIN[:3], "--kubeconfig", tmp_path / "reader.json", "explain", "-n", ruled.name]
    assert run(*command, "http://httpbin.org/").startswith("allowed: ")
