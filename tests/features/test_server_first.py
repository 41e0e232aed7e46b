"""TCP to networks: no protocol is looked for where a TCP rule speaks of the address and the port, so servers may speak first."""

import json
import sys

import pytest

pytestmark = pytest.mark.lab

GREETED = """
import socket, sys, time
for address, port in (("198.18.5.7", 25), ("2001:db8::5", 3306)):
    began = time.monotonic()
    with socket.create_connection((address, port), 5) as connection:
        print(connection.recv(3), time.monotonic() - began)
"""

HALF_CLOSED = """
import socket, threading
with socket.create_connection(("198.18.5.7", 7), 5) as connection:
    total, chunk = %d * 2**20, bytes(2**20)
    def send():
        for _ in range(total // len(chunk)):
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)
    threading.Thread(target=send).start()
    received = 0
    while data := connection.recv(2**20):
        received += len(data)
    print(received == total)
"""


def cidr_rule(*cidrs, ports=(7, 25, 3306), action="ALLOW", name="networks"):
    to = {"cidrs": list(cidrs), "ports": [{"number": port, "protocol": "TCP"} for port in ports]}
    metadata = {"name": name, "namespace": "default"}
    return {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": metadata,
        "spec": {"action": action, "to": [to]},
    }


@pytest.fixture
def rule(tmp_path):
    path = tmp_path / "rule.json"
    path.write_text(json.dumps(cidr_rule("198.18.0.0/15", "198.18.5.0/24", "2001:db8::/32")))
    return path


def test_a_server_that_speaks_first_is_heard_without_a_sniffing_delay(server, rule):
    said = server("run", "-f", rule, "--", sys.executable, "-c", GREETED).split()
    assert said[::2] == ["b'220'"] * 2
    assert all(float(seconds) < 0.5 for seconds in said[1::2])  # the inspectors would have waited for a second


def test_what_is_said_to_such_a_server_arrives_and_the_use_is_recorded(server, rule, outside):
    command = "printf 'EHLO x\\r\\n' | nc -q 1 198.18.5.7 25"
    assert "250 EHLO x" in server("run", "--name", "mail", "-f", rule, "--", "sh", "-c", command)
    assert [(fact["address"], fact["port"]) for fact in outside.connections()] == [("198.18.5.7", 25)]
    assert server.flow(workload="default/mail", address="198.18.5.7", port=25)["verdict"] == "allow"


def test_an_address_inside_an_allowed_network_that_another_rule_denies_is_refused(server, rule, outside, tmp_path):
    denied = tmp_path / "denied.json"
    denied.write_text(json.dumps(cidr_rule("198.18.5.0/24", action="DENY", name="denied")))
    tries = "nc -w 5 198.18.5.7 25; nc -w 5 198.18.6.7 26; nc -w 5 198.20.0.1 25; nc -w 5 198.18.6.7 25 </dev/null"
    said = server("run", "--name", "w", "-f", rule, "-f", denied, "--", "sh", "-c", tries)
    assert said.splitlines() == ["220 198.18.6.7 speaks first"]
    assert {(fact["address"], fact["port"]) for fact in outside.packets()} == {("198.18.6.7", 25)}
    assert server.flow(workload="default/w", address="198.18.5.7")["reason"] == "denied-by-rule"


def test_a_program_that_runs_is_steered_by_a_rule_that_comes_and_goes(server, rule):
    talk = "import subprocess\nwhile True:\n  input()\n  print(subprocess.run(['nc', '-w', '5', '198.18.5.7', '25'], capture_output=True, stdin=subprocess.DEVNULL).stdout[:3], flush=True)"
    with server.start("run", "--", sys.executable, "-c", talk) as program:

        def ask():
            program.stdin.write("\n")
            program.stdin.flush()
            return program.stdout.readline().strip()

        assert ask() == "b''"
        server("create", "-f", rule)
        assert ask() == "b'220'"
        server("delete", "egressrules.exitway.dev", "networks")
        assert ask() == "b''"
        assert [one["error"] for one in server.status()["workloads"]] == [""]
        program.stdin.close()


def test_half_close_works_and_a_gigabyte_goes_through(server, rule):
    assert server("run", "-f", rule, "--", sys.executable, "-c", HALF_CLOSED % 1024) == "True"
