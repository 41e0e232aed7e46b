"""`exitway explain`, as a user types it: on rules in force, and on files with no server."""

import json

import pytest
import yaml

from tests.features.conftest import EXAMPLES, eventually

pytestmark = pytest.mark.lab

RULE = EXAMPLES / "egress_httpbin.yml"
API = """
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: api, namespace: shop}
spec:
  workloadSelector: {matchLabels: {app: checkout}}
  to:
    - hosts: [a.lab.test]
      ports: [{number: 443, protocol: TLS}]
"""


def test_files_are_asked_without_a_server(exitway, tmp_path):
    allowed = exitway.result("explain", "-f", RULE, "http://httpbin.org/headers")
    assert allowed.returncode == 0, allowed.stderr
    assert f"default/httpbin-egress-rule ({RULE}:" in allowed.stdout
    (tmp_path / "api.yml").write_text(API)
    denied = exitway.result("explain", "-f", tmp_path, "-n", "shop", "-l", "app=cart", "https://a.lab.test/")
    assert denied.returncode == 1
    assert f"shop/api ({tmp_path}/api.yml:8:7)" in denied.stdout
    assert "it is for workloads with app=checkout; this one has app=cart" in denied.stdout
    bad = exitway.result("explain", "-f", RULE, "httpbin.org")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "EXW1704" in bad.stderr
    nobody = exitway.result("explain", "-f", RULE, "-n", "Shop", "-l", "app=a b", "http://httpbin.org/headers")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "EXW0106" in nobody.stderr
    assert "EXW0107" in nobody.stderr
    assert exitway.result("explain", "-f", RULE).returncode == 2
    assert not exitway.settings.runtime_dir.exists()


def test_the_rules_in_force_are_asked_and_what_it_offers_lets_the_call_out(server):
    call = "http://httpbin.org/headers"
    denied = server.result("explain", "-n", "shop", call)
    assert denied.returncode == 1
    assert "no-rule: no rule allows the destination" in denied.stdout
    offered = server.result("explain", "-n", "shop", call, "-o", "yaml")
    assert offered.returncode == 1
    assert yaml.safe_load(offered.stdout)["spec"]["to"][0]["paths"] == ["/headers"]
    server("create", "-f", "-", input=offered.stdout)
    allowed = json.loads(server("explain", "-n", "shop", call, "-o", "json"))
    assert (allowed["verdict"], allowed["rule"]["rule"]) == ("allow", "egress-rule/shop/httpbin-org-80")
    sealed = server.result("run", "-n", "shop", "--", "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", call)
    assert sealed.stdout == "200"
    assert server.result("explain", "-n", "shop", call.replace("headers", "get")).returncode == 1


def test_a_workload_that_runs_is_asked_with_its_labels_and_its_own_rules(server, tmp_path):
    (tmp_path / "api.yml").write_text(API)
    server("create", "-f", tmp_path / "api.yml")
    own = ["-f", RULE, "--excludeIPRanges", "198.51.100.0/24"]
    with server.start("run", "-n", "shop", "--name", "till", "-l", "app=checkout", *own, "--", "cat") as till:
        eventually(lambda: server.status()["workloads"])
        for call in ("https://a.lab.test/", "http://httpbin.org/get", "198.51.100.7:25"):
            assert server.result("explain", "--workload", "till", call).returncode == 0, call
            assert server.result("explain", "-n", "shop", call).returncode == 1, call
        assert "asked by shop/till (app=checkout)" in server("explain", "--workload", "shop/till", "https://a.lab.test")
        till.stdin.close()
    gone = server.result("explain", "--workload", "nobody", "https://a.lab.test")
    assert (gone.returncode, "EXW1708" in gone.stderr) == (1, True)


def test_an_audit_is_said(server):
    with server.start("run", "--name", "watched", "--audit", "--", "cat") as watched:
        eventually(lambda: server.status()["workloads"])
        said = server.result("explain", "--workload", "watched", "https://a.lab.test/")
        assert said.returncode == 1
        assert "under audit: this is recorded, and let through all the same" in said.stdout
        for call in ("http://169.254.169.254/", "http://host.exitway.internal:9/", "CONNECT http://a.lab.test:443"):
            said = server.result("explain", "--workload", "watched", call, "--verify")
            assert "not even an audit" in said.stdout
            assert "HTTP/1.1 2" not in said.stdout
        assert "sent: CONNECT a.lab.test:443 with Host" in said.stdout
        assert "came back: HTTP/1.1 404" in said.stdout
        watched.stdin.close()


@pytest.mark.parametrize("offline", [True, False], ids=["files", "in force"])
def test_the_proxy_itself_is_asked(exitway, offline, outside):
    rules = ["-f", RULE] if offline else []
    if not offline:
        exitway("up")
        exitway("create", "-f", RULE)
    allowed = exitway.result("explain", "--verify", *rules, "http://httpbin.org/headers")
    assert allowed.returncode == 0, allowed.stderr
    assert "the proxy allowed it; sent: GET /headers with Host: httpbin.org" in allowed.stdout
    assert [request["host"] for request in outside.requests()] == ["httpbin.org"]
    denied = exitway.result("explain", "--verify", *rules, "https://httpbin.org/", "-o", "json")
    assert denied.returncode == 1
    assert json.loads(denied.stdout)["verified"]["verdict"] == "deny"
    assert exitway.result("explain", "--verify", *rules, "udp://httpbin.org:53").stdout.count("denied it (not-proxied)")
    unread = exitway.result("explain", "--verify", *rules, "QUERY http://httpbin.org/headers")
    assert (unread.returncode, unread.stderr) == (1, "")
    assert "answers 400" in unread.stdout
    assert len(outside.requests()) == 1


def test_where_a_name_leads_is_seen_when_it_is_tried(server, tmp_path):
    text = API.replace("a.lab.test", "private.lab.test")
    (tmp_path / "private.yml").write_text(text)
    server("create", "-f", tmp_path / "private.yml")
    said = server.result("explain", "--verify", "-n", "shop", "-l", "app=checkout", "https://private.lab.test/")
    assert (said.returncode, said.stderr) == (1, "")
    assert "the proxy denied it (address)" in said.stdout


def test_what_has_happened_is_explained_as_it_was_and_as_it_would_be(server):
    server("create", "-n", "shop", "-f", RULE)
    server.result("run", "-n", "shop", "-l", "app=checkout", "--", "curl", "-sS", "http://httpbin.org:8080/get?secret")
    flow = server.flow(verdict="deny", port=8080)
    said = server.result("explain", "--flow", flow["id"])
    then, _, now = said.stdout.partition("By the rules as they are now:")
    for part in (then, now):
        assert "denied: GET http://httpbin.org:8080/get, asked by" in part
        assert "port: a rule allows the destination, at other ports" in part
    assert (said.returncode, "nearest  shop/httpbin-egress-rule" in then) == (1, True)
    server("create", "-f", "-", input=server.result("explain", "--flow", flow["id"], "-o", "yaml").stdout)
    assert server.result("explain", "--flow", flow["id"]).returncode == 0
    server.down()
    without = server.result("explain", "--flow", flow["id"])
    assert (without.returncode, without.stdout.startswith(then), "EXW0901" in without.stderr) == (1, True, True)
    missing = server.result("explain", "--flow", 4711)
    assert (missing.returncode, missing.stdout, "EXW1711" in missing.stderr) == (1, "", True)
