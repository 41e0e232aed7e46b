"""A rule takes effect at once, on connections that are there, and disturbs nothing else."""

import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

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


@contextmanager
def asking(server, *options):
    """A program that asks once each time it is told to, always on the one connection; says the status, and whether it is still that one."""
    with server.start("run", *options, "--", sys.executable, "-c", KEEPS_ALIVE) as program:

        def ask():
            program.stdin.write("\n")
            program.stdin.flush()
            return program.stdout.readline().strip()

        yield ask


def test_a_rule_takes_effect_on_the_next_request_of_a_connection_that_is_there(server):
    with asking(server, "-n", "istioegress") as ask:
        assert ask() == "404 True"
        server("create", "-f", EXAMPLES / "egress_httpbin.yml", "-n", "istioegress")
        assert ask() == "200 True"
        server("delete", "egressrule", "httpbin-egress-rule", "-n", "istioegress")
        assert ask() == "404 True"


def test_rules_of_a_run_end_with_it_and_hold_for_nobody_else(server):
    fetch = ["--", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://httpbin.org/"]
    assert server("run", "-f", EXAMPLES / "egress_httpbin.yml", *fetch) == "200"
    assert server("run", *fetch) == "404"
    assert "httpbin" not in server("get", "egressrules")


def test_a_rule_that_expires_is_as_if_absent(server):
    soon = (datetime.now(UTC) + timedelta(seconds=10)).isoformat()
    rule = {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": {"name": "brief"},
        "spec": {"expires": soon, "to": [{"hosts": ["httpbin.org"], "ports": [{"number": 80, "protocol": "HTTP"}]}]},
    }
    server("create", "-f", "-", input=json.dumps(rule))
    with asking(server) as ask:
        answers = [ask()]
        while answers[-1] == "200 True":
            answers.append(ask())
    assert answers[0] == "200 True"
    assert answers[-1] == "404 True"
