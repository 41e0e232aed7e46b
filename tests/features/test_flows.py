"""What a program has called is told: each destination, each denial, how much, and by which process; also of a flood, and when the server is killed."""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.features.conftest import EXAMPLES, eventually

pytestmark = pytest.mark.lab

CALLS = """
import http.client, socket, sys
allowed = http.client.HTTPConnection("httpbin.org")
for _ in range(5):
    allowed.request("POST", "/post?secret=1", b"x" * 1000)
    assert allowed.getresponse().read()
denied = http.client.HTTPConnection("denied.lab.test")
for _ in range(3):
    denied.request("PUT", "/some/where", headers={"Host": "denied.lab.test"})
    assert denied.getresponse().read()
open_ = socket.create_connection(("a.lab.test", 7))
open_.sendall(b"hello")
assert open_.recv(9) == b"hello"
print("called", flush=True)
sys.stdin.readline()
"""

FLOOD = """
import http.client, sys
connection = http.client.HTTPConnection("denied.lab.test")
for number in range(int(sys.argv[1])):
    for host in ("denied.lab.test", f"n{number}.lab.test"):
        connection.request("GET", "/", headers={"Host": host})
        connection.getresponse().read()
    if number % 100 == 0:
        print(number, flush=True)
"""

HOSTILE = r"""
import socket
from exitway.attack.wire import PREFACE, client_hello, frame, get, headers, settings
def say(port, data):
    with socket.create_connection(("denied.lab.test", port), 5) as connection:
        connection.sendall(data)
        connection.settimeout(5)
        try:
            while connection.recv(65536):
                pass
        except OSError:
            pass
def request(path=b"/", host=b"denied.lab.test", method=b"GET"):
    return method + b" " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
goaway = frame(7, 0, 0, bytes(8))
for path in (b'/a","z":{"at":"x","workload":"y', b"/\xff\xfe", b"/\x1b[31m", b"*", b"/" + b"p" * 9000):
    say(80, request(path))
for host in (b"h" * 30000, b"\x1b[31mred", b'a","z":{', b"u@denied.lab.test", b"denied.lab.test:0", b"a\xff"):
    say(80, request(host=host))
say(80, request(b"denied.lab.test:443", method=b"CONNECT"))
for path in (b"/", b"/\xff\xfe\xc3(", "/\u2028\u202e\U0001f600<b>".encode(), b"/\x1b[31m", b"/a\nb", b"", b"x"):
    say(80, PREFACE + settings() + get(1, b"denied.lab.test", path=path) + goaway)
say(80, PREFACE + settings() + get(1, b"a\nb") + goaway)
for name in (b"denied.lab.test.", b"\xff\xfe", b'a","z":{', b"\x1b[31mred", b"a\nb", b"h" * 255):
    say(443, client_hello(name))
"""

RULES = """
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: echo}
spec: {to: [{hosts: [a.lab.test], ports: [{number: 7, protocol: TCP}]}]}
"""


def test_what_was_called_and_what_became_of_it(server, tmp_path):
    server("create", "-n", "shop", "-f", EXAMPLES / "egress_httpbin.yml", "-f", "-", input=RULES)
    script = tmp_path / "calls.py"
    script.write_text(CALLS)
    run = server.start("run", "-n", "shop", "--name", "calls", "-l", "app=caller", "--", sys.executable, str(script))
    assert run.stdout.readline() == "called\n"
    told = [server.flow(workload="shop/calls", name=name) for name in ("httpbin.org", "denied.lab.test", "a.lab.test")]
    assert [(flow["verdict"], flow["protocol"], flow.get("method"), flow.get("path"), flow.get("status")) for flow in told] == [
        ("allow", "HTTP/1.1", "POST", "/post", 200), ("deny", "HTTP/1.1", "PUT", "/some/where", 404), ("allow", "TCP", None, None, None)
    ]  # fmt: skip
    assert {flow["process"].partition("/")[2] for flow in told} == {Path(sys.executable).name}
    assert {flow["labels"]["app"] for flow in told} == {"caller"}
    assert told[2]["upstream"].endswith(":7")
    run.communicate("\n")
    used = eventually(
        lambda: next((one for one in server.flows() if one["name"] == "httpbin.org" and one.get("count") == 5), None)
    )
    assert used["sent"] > 5000
    assert used["received"] > 5000
    assert eventually(lambda: server.flow(name="a.lab.test").get("received")) == 5
    assert sum(flow.get("count", 1) for flow in server.flows() if flow["name"] == "denied.lab.test") == 3


def test_which_process_it_was_is_known_when_that_has_ended(server):
    """Most often: a machine that is busy may look too late."""
    call = "import http.client, time; c = http.client.HTTPConnection('denied.lab.test'); c.connect(); time.sleep(1); c.request('GET', '/')"
    server(
        "run", "-n", "shop", "--", "sh", "-c", 'for _ in 1 2 3 4; do "$0" -c "$1"; done; sleep 1', sys.executable, call
    )
    told = [flow["process"] for flow in server.flows() if flow["name"] == "denied.lab.test" and "process" in flow]
    assert told
    assert len(told) == len(set(told))
    assert {one.partition("/")[2] for one in told} == {Path(sys.executable).name}


def test_flows_are_followed_and_are_there_when_no_server_is(server):
    server("create", "-n", "shop", "-f", EXAMPLES / "egress_httpbin.yml")
    with server.start("flows", "-f", "-o", "json", "--verdict", "deny") as following:
        server("run", "-n", "shop", "--", "curl", "-s", "http://httpbin.org/get", "http://evil.lab.test/")
        flow = json.loads(following.stdout.readline())
        assert (flow["name"], flow["rule"]) == ("evil.lab.test", None)
        following.send_signal(signal.SIGINT)
        assert following.wait(10) == 130
    through_api = server.request("GET", "/exitway/v1/flows?verdict=deny")["items"]
    (denied,) = [one for one in server.request("GET", "/exitway/v1/destinations")["items"] if one["verdict"] == "deny"]
    assert (denied["name"], denied["count"]) == ("evil.lab.test", 1)
    server("down")
    assert [json.loads(line) for line in server("flows", "-o", "json", "--verdict", "deny").splitlines()] == through_api
    assert "httpbin.org:80" in server("top", "--once", "--interval", "0.5")


def test_of_a_flood_no_denial_is_lost_and_none_is_told_twice_though_the_server_is_killed(server):
    number = 1500
    with server.start("run", "-n", "shop", "--", sys.executable, "-c", FLOOD, str(number)) as flood:
        while flood.stdout.readline() != "500\n":
            pass
        os.kill(server.status()["pid"], signal.SIGKILL)
        server("up")
        flood.communicate(timeout=60)
    server("down")
    told = [flow for flow in server.flows() if flow["verdict"] == "deny"]
    counts = Counter[str]()
    for flow in told:
        counts[flow["name"]] += flow.get("count", 1)
    assert counts == {"denied.lab.test": number} | {f"n{one}.lab.test": 1 for one in range(number)}
    assert len([flow for flow in told if flow["name"] == "denied.lab.test"]) < number / 2


def test_a_hostile_program_can_neither_forge_nor_lose_a_record(server):
    server("create", "-n", "shop", "-f", EXAMPLES / "egress_httpbin.yml")
    server("run", "-n", "shop", "--name", "hostile", "--", sys.executable, "-c", HOSTILE)
    server("down")
    told = server.flows()
    assert sum(flow.get("count", 1) for flow in told) == 12 + 8 + 6
    assert {(flow["workload"], flow["verdict"], flow["reason"]) for flow in told} == {
        ("shop/hostile", "deny", "no-rule")
    }
    assert max(len(flow["name"]) for flow in told) <= 512
    for table in (server("flows"), server("flows", "-o", "wide"), server("top", "--once", "--interval", "0.5")):
        assert "".join(table.splitlines()).isprintable()
        assert max(map(len, table.splitlines())) < 600
