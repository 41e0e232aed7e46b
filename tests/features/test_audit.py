"""Under audit everything is let through and recorded with the verdict it would have had, loudly, and never to metadata addresses."""

import json
import subprocess

import pytest

from tests.features.conftest import EXAMPLES
from tests.features.test_direct import create, direct, proxied, tries

pytestmark = pytest.mark.lab

CODE = "curl -skS -m 5 -o /dev/null -w '%{http_code}'"
TRIES = {
    # what is tried: (the command, what it says, what was let through outside: (address, port), what the record says)
    "what a rule allows": (f"{CODE} http://httpbin.org/get", "200", ("httpbin.org", 80), ("allow", "rule")),
    "HTTP to another name": (f"{CODE} http://a.lab.test/", "200", ("a.lab.test", 80), ("deny", "no-rule")),
    "HTTP at another port": (f"{CODE} http://httpbin.org:8000/get", "200", ("httpbin.org", 8000), ("deny", "port")),
    "TLS": (f"{CODE} https://b.lab.test:8443/", "200", ("b.lab.test", 8443), ("deny", "no-rule")),
    "TLS that is not to the name that was asked for": (
        f"{CODE} --connect-to a.lab.test:443:b.lab.test:443 https://a.lab.test/", "200", ("a.lab.test", 443), ("deny", "no-rule"),
    ),
    "TCP to a name whose server speaks first": ("timeout 5 nc a.lab.test 25 </dev/null | head -1", "220", ("a.lab.test", 25), ("deny", "no-rule")),
    "TCP to an address": ("timeout 5 nc 198.18.1.5 25 </dev/null | head -1", "220", ("a.lab.test", 25), ("deny", "no-rule")),
    "a private address": (f"{CODE} http://private.lab.test/", "200", ("private.lab.test", 80), ("deny", "no-rule")),
    "the metadata service by name": (f"{CODE} http://metadata.lab.test/", "503", None, ("deny", "no-rule")),
    "the metadata service by address": (f"{CODE} http://169.254.169.254/", "000", None, ("deny", "no-rule")),
    "the metadata service within an IPv6 address": (f"{CODE} -g 'http://[64:ff9b::a9fe:a9fe]/'", "000", None, ("deny", "no-rule")),
    "Google's metadata service over IPv6": (f"{CODE} -g 'http://[fd20:ce::254]/'", "000", None, ("deny", "no-rule")),
    "this machine by a name": (f"{CODE} http://loopback.lab.test/", "503", None, ("deny", "no-rule")),
}  # fmt: skip


@pytest.mark.parametrize("what", TRIES)
def test_everything_is_let_through_and_recorded_with_its_verdict(server, outside, what):
    command, said, reached, (verdict, reason) = TRIES[what]
    rule = EXAMPLES / "egress_httpbin.yml"
    answer = server.result("run", "--audit", "-f", rule, "--name", "w", "--", "sh", "-c", f"exec 2>&1; {command}")
    assert said in answer.stdout
    assert "AUDIT" in answer.stderr
    assert {(fact["name"], fact["port"]) for fact in outside.connections()} == ({reached} if reached else set())
    flow = server.flow(workload="default/w", verdict=verdict, reason=reason)
    assert flow["audit"] is True


@pytest.mark.parametrize(("port", "host"), [(80, "a.lab.test"), (8080, "a.lab.test:8080")])
def test_what_is_let_through_arrives_as_it_was_said(server, outside, port, host):
    server("run", "--audit", "--", "curl", "-s", f"http://a.lab.test:{port}/")
    assert [fact["host"] for fact in outside.requests()] == [host]


def test_what_is_direct_goes_past_the_proxy_under_audit_as_well(server, outside):
    create(server, direct("network", cidrs=["198.18.5.0/24"]), direct("name", hosts=["a.lab.test"]))
    assert set(tries(server, "198.18.5.7:7", "a.lab.test:7", "198.18.9.9:7", options=["--audit"]).values()) == {"hello"}
    assert "198.18.5.7:7" not in proxied(server)
    assert "198.18.9.9:7" in proxied(server)
    server.flow(verdict="allow", address="198.18.5.7", direct=True)
    assert server.flow(verdict="deny", address="198.18.9.9")["audit"] is True


def test_a_namespace_can_be_under_audit_and_it_is_loud(exitway, monkeypatch):
    monkeypatch.setenv("EXITWAY_AUDIT_NAMESPACES", "dev, try")
    exitway("up")
    with exitway.start("run", "-n", "dev", "--name", "loud", "--", "sh", "-c", "echo ready; read line") as loud:
        loud.stdout.readline()
        assert "dev/loud" in exitway("status")
        assert "AUDIT" in exitway("status")
        socket, url = exitway.settings.socket, "http://exitway/metrics"
        metrics = subprocess.run(
            ["curl", "-s", "--unix-socket", socket, url], capture_output=True, text=True, check=True
        )
        assert 'exitway_workloads{mode="audit"} 1.0' in metrics.stdout.splitlines()
    assert "404" in exitway("run", "-n", "prod", "--", "curl", "-s", "-i", "http://httpbin.org/")


@pytest.mark.parametrize("options", [["--audit"], ["-n", "dev"]])
def test_require_enforce_refuses_it(exitway, monkeypatch, options):
    monkeypatch.setenv("EXITWAY_AUDIT_NAMESPACES", "dev")
    exitway("up")
    answer = exitway.result("run", "--require-enforce", *options, "--", "echo", "it ran")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "EXW0705" in answer.stderr
    assert exitway("run", "--require-enforce", "--", "echo", "it ran") == "it ran"


def test_another_workload_is_held_as_ever_while_one_is_under_audit(server, outside):
    rule = {
        "apiVersion": "exitway.dev/v1", "kind": "EgressRule", "metadata": {"name": "private"},
        "spec": {"to": [{"hosts": ["private.lab.test"], "ports": [{"number": 80, "protocol": "HTTP"}]}]},
    }  # fmt: skip
    server("create", "-f", "-", input=json.dumps(rule))
    with server.start("run", "--audit", "--", "sh", "-c", "echo ready; read line") as audited:
        audited.stdout.readline()
        assert "reason=address" in server("run", "--", "curl", "-s", "-i", "http://private.lab.test/")
        assert not outside.connections()
