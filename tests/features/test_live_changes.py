"""A rule takes effect at once, on connections that are there, and disturbs nothing else."""

import json
import sys

import pytest

from tests.features.conftest import EXAMPLES

pytestmark = pytest.mark.lab

KEEPS_ALIVE = """
import http.client, sys
connection = http.client.HTTPConnection("httpbin.org")
connection.connect()
socket = connection.sock
for line in sys.stdin:
    connection.request("GET", "/headers")
    response = connection.getresponse()
    response.read()
    print(response.status, connection.sock is socket, flush=True)
"""


def test_a_rule_takes_effect_on_the_next_request_of_a_connection_that_is_there(server):
    program = server.start("run", "-n", "istioegress", "--", sys.executable, "-c", KEEPS_ALIVE)

    def ask():
        program.stdin.write("\n")
        program.stdin.flush()
        return program.stdout.readline().strip()

    assert ask() == "404 True"
    server("create", "-f", EXAMPLES / "egress_httpbin.yml", "-n", "istioegress")
    assert ask() == "200 True"
    server("delete", "egressrule", "httpbin-egress-rule", "-n", "istioegress")
    assert ask() == "404 True"
    program.stdin.close()
    assert program.wait(10) == 0


def test_rules_of_a_run_end_with_it_and_hold_for_nobody_else(server):
    fetch = ["--", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://httpbin.org/"]
    assert server("run", "-f", EXAMPLES / "egress_httpbin.yml", *fetch) == "200"
    assert server("run", *fetch) == "404"
    assert server("get", "egressrules") in ("", "No resources found.")


def test_a_rule_that_expires_is_as_if_absent(server):
    from datetime import UTC, datetime, timedelta

    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    rule = {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": {"name": "brief"},
        "spec": {"expires": soon, "to": [{"hosts": ["httpbin.org"], "ports": [{"number": 80, "protocol": "HTTP"}]}]},
    }
    assert server.result("create", "-f", "-", input=json.dumps(rule)).returncode == 0
    program = server.start("run", "--", sys.executable, "-c", KEEPS_ALIVE)
    codes = []
    while not codes or codes[-1] == "200 True":
        program.stdin.write("\n")
        program.stdin.flush()
        codes.append(program.stdout.readline().strip())
    assert codes[0] == "200 True"
    assert codes[-1] == "404 True"
    program.stdin.close()
    program.wait(10)
