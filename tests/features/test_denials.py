"""Whatever is not allowed is refused at once, never reaches the outside, and is recorded with the name that was asked for."""

import json
import sys
from typing import Any

import pytest

from tests.features.conftest import EXAMPLES

pytestmark = pytest.mark.lab

TRIES: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    # what is tried: (the command, what its output must hold, what the record must say)
    "HTTP to a name": (
        "curl -s -i http://other.lab.test/",
        "404",
        {"name": "other.lab.test", "port": 80, "reason": "no-rule"},
    ),
    "HTTP on another port": (
        "curl -s -i http://httpbin.org:8000/",
        "404",
        {"name": "httpbin.org", "port": 8000, "reason": "port"},
    ),
    "HTTP to an address": ("curl -s -i http://198.18.9.9/", "404", {"name": "198.18.9.9", "reason": "no-rule"}),
    "HTTP over IPv6": ("curl -s -i http://[2001:db8::9]/", "404", {"address": "2001:db8::9", "reason": "no-rule"}),
    "TLS by name": (
        "curl -sS https://other.lab.test/",
        "curl: (35)",
        {"name": "other.lab.test", "protocol": "TLS", "reason": "no-rule"},
    ),
    "TLS where only HTTP is allowed": (
        "curl -sS https://httpbin.org:80/",
        "curl: (35)",
        {"protocol": "TLS", "reason": "protocol"},
    ),
    "not HTTP": (
        "echo SSH-2.0-x | nc -w 9 other.lab.test 22",
        "",
        {"name": "other.lab.test", "protocol": "TCP", "port": 22},
    ),
    "CONNECT": (
        "curl -s -i -X CONNECT --request-target httpbin.org:80 http://httpbin.org/",
        "404",
        {"reason": "no-rule"},
    ),
    "UDP": (
        "echo x | nc -u -w 9 198.18.9.9 443; echo done",
        "done",
        {"address": "198.18.9.9", "protocol": "udp", "reason": "not-proxied"},
    ),
    "DNS to somebody": ("echo x | nc -u -w 9 198.18.0.53 53; echo done", "done", {"protocol": "udp", "port": 53}),
    "ICMP": (
        "ping -c 1 -w 9 198.18.9.9 2>&1; echo done",
        "done",
        None,
    ),  # without a raw socket there is no packet to record
}


@pytest.mark.parametrize("what", TRIES)
def test_a_try_is_refused_at_once_and_recorded(server, outside, what):
    command, output, record = TRIES[what]
    server("create", "-f", EXAMPLES / "egress_httpbin.yml", "-n", "shop")
    # 5 s is less than any time-out that could be mistaken for a refusal
    answer = server.result(
        "run", "-n", "shop", "--name", "tries", "--", "timeout", "5", "sh", "-c", f"exec 2>&1; {command}"
    )
    assert answer.returncode != 124, "it hung"
    assert output in answer.stdout
    if record is not None:
        server.flow(verdict="deny", workload="shop/tries", **record)
    assert not outside.queries()
    assert not outside.packets()


def test_a_denial_over_http_says_who_what_why_and_what_to_do(server):
    said = server("run", "-n", "shop", "--name", "w", "--", "curl", "-s", "-i", "http://httpbin.org/")
    assert "x-exitway-decision: deny; reason=no-rule" in said
    for word in ("shop/w", "httpbin.org", "port 80", "no egress rule", "exitway explain"):
        assert word in said


def test_what_was_denied_just_before_the_server_stops_is_recorded(server):
    server("run", "-n", "shop", "--name", "last", "--", "curl", "-s", "http://other.lab.test/")
    server("down")
    assert [flow["name"] for flow in server.flows()] == ["other.lab.test"]


def test_the_status_of_a_denial_can_be_set(exitway, monkeypatch):
    monkeypatch.setenv("EXITWAY_DENIED_STATUS", "403")
    exitway("up")
    assert exitway("run", "--", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://httpbin.org/") == "403"


def test_the_first_use_of_an_allowed_destination_is_recorded_with_its_rule(server):
    fetch = "import urllib.request as u\nfor _ in range(5): u.urlopen('http://httpbin.org/get').read()"
    server(
        "run", "-n", "shop", "--name", "uses", "-f", EXAMPLES / "egress_httpbin.yml", "--", sys.executable, "-c", fetch
    )
    flow = server.flow(verdict="allow", workload="shop/uses")
    assert (flow["name"], flow["port"], flow["rule"]) == ("httpbin.org", 80, "egress-rule/shop/httpbin-egress-rule")
    assert len([flow for flow in server.flows() if flow["workload"] == "shop/uses"]) == 1


@pytest.mark.parametrize("name", ["private", "loopback", "metadata", "mapped"])
def test_an_allowed_name_that_leads_to_an_address_no_name_may_lead_to_is_denied(server, outside, name):
    rule = {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": {"name": "named"},
        "spec": {"to": [{"hosts": [f"{name}.lab.test"], "ports": [{"number": 80, "protocol": "HTTP"}]}]},
    }
    server("create", "-f", "-", input=json.dumps(rule))
    assert "503" in server("run", "--", "curl", "-s", "-i", f"http://{name}.lab.test/")
    server.flow(verdict="deny", reason="address", name=f"{name}.lab.test")
    assert not outside.connections()


@pytest.mark.parametrize("host", ["httpbin.org", "httpbin.org:8000", "HTTPBIN.org.:443", "httpbin.org:80"])
def test_the_port_that_is_dialled_is_the_port_that_was_allowed_whatever_the_host_header_says(server, outside, host):
    server("create", "-f", EXAMPLES / "egress_httpbin.yml", "-n", "shop")
    assert "200" in server(
        "run", "-n", "shop", "--", "curl", "-s", "-i", "-H", f"Host: {host}", "http://httpbin.org/get"
    )
    assert [fact["port"] for fact in outside.connections()] == [80]


@pytest.mark.parametrize(("port", "host"), [(80, "a.lab.test"), (8080, "a.lab.test:8080")])
def test_the_host_header_arrives_as_a_client_would_have_sent_it_itself(server, outside, port, host):
    rule = {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": {"name": "named"},
        "spec": {"to": [{"hosts": ["a.lab.test"], "ports": [{"number": port, "protocol": "HTTP"}]}]},
    }
    server("create", "-f", "-", input=json.dumps(rule))
    server("run", "--", "curl", "-s", "-f", f"http://a.lab.test:{port}/")
    assert [(fact["host"], fact["port"]) for fact in outside.requests()] == [(host, port)]


def test_root_cannot_change_what_the_proxy_resolves_names_with(server, lab, outside):
    """Envoy's resolver reads /etc/hosts before it asks a server."""
    tries = "echo 198.18.9.9 httpbin.org >> /etc/hosts; mv /etc/hosts /etc/hosts.old; mv /etc /etc.old; ln -sf /dev/null /etc/x; true"
    fetch = "curl -s -o /dev/null http://httpbin.org/"
    server("run", "-f", EXAMPLES / "egress_httpbin.yml", "--", "sh", "-c", f"{tries}; {fetch}")
    assert {fact["address"] for fact in outside.connections()} <= {
        lab.address("httpbin.org"),
        lab.address("httpbin.org", 6),
    }
    assert outside.requests() or outside.connections()


def test_an_allowed_site_cannot_speak_for_exitway(server):
    url = "http://httpbin.org/response-headers?x-exitway-decision=deny;%20reason=bogus"
    rule = EXAMPLES / "egress_httpbin.yml"
    assert "x-exitway-decision" not in server(
        "run", "--name", "w", "-f", rule, "--", "curl", "-s", "-D", "-", "-o", "/dev/null", url
    )
    assert server.flow(workload="default/w")["verdict"] == "allow"
