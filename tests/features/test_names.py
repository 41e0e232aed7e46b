"""A name means one thing: what was asked for, what is said, and where the bytes go, for every protocol."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading

import pytest

from exitway.capture.wall import Wall
from tests.features.conftest import GREETING, eventually

pytestmark = pytest.mark.lab

WEB = [{"number": 80, "protocol": "HTTP"}, {"number": 443, "protocol": "TLS"}]


def allow(server, *hosts, ports=WEB, name="allowed", **to):
    """A rule, created."""
    to = {"hosts": list(hosts), **to} if hosts else to
    rule = {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": {"name": name},
        "spec": {"to": [{**to, "ports": ports}]},
    }
    server("create", "-f", "-", input=json.dumps(rule))


def run(server, command, name="w"):
    return server("run", "--name", name, "--", "sh", "-c", f"exec 2>&1; {command}", check=False)


CURL = "curl -skS -o /dev/null -w '%{http_code}'"
LIES = {
    "the SNI of another allowed name": "--connect-to a.lab.test:443:b.lab.test:443",
    "the same over IPv6": "-6 --connect-to a.lab.test:443:b.lab.test:443",
    "an allowed SNI at an address of its own choice": "--resolve a.lab.test:443:198.18.9.9",
    "an allowed SNI at the right address, not asked for": "--resolve a.lab.test:443:198.18.1.5",
    "an allowed SNI at a refused name's address": "--connect-to a.lab.test:443:other.lab.test:443",
}


@pytest.mark.parametrize("how", LIES)
def test_tls_goes_to_the_name_that_was_asked_for_or_nowhere(server, outside, how):
    allow(server, "a.lab.test", "b.lab.test")
    assert "(35)" in run(server, f"{CURL} {LIES[how]} https://a.lab.test/")
    server.flow(verdict="deny", reason="name-mismatch", name="a.lab.test", protocol="TLS")
    assert not outside.packets()
    assert not outside.queries()


@pytest.mark.parametrize("version", [4, 6])
def test_tls_to_the_name_that_was_asked_for_goes_through(server, outside, version):
    allow(server, "a.lab.test")
    assert run(server, f"{CURL} -{version} https://a.lab.test/") == "200"
    assert {fact["sni"] for fact in outside.requests()} == {"a.lab.test"}


TCP = [{"number": 25, "protocol": "TCP"}, {"number": 7, "protocol": "TCP"}]
ASK = "timeout 5 nc -{version} {name} {port} </dev/null | head -1"


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", ["a.lab.test", "b.lab.test", "x.wild.lab.test"])
def test_tcp_goes_to_the_name_whose_address_was_dialled(server, outside, lab, name, version):
    allow(server, "a.lab.test", "b.lab.test", "*.wild.lab.test", ports=TCP)
    said = run(server, ASK.format(version=version, name=name, port=25))
    assert said == f"220 {name.replace('x.', '*.')} speaks first"
    server.flow(verdict="allow", name=name, protocol="TCP", port=25)
    assert [fact["port"] for fact in outside.connections()] == [25]


@pytest.mark.parametrize(
    ("name", "port"), [("c.lab.test", 25), ("a.lab.test", 3306), ("wild.lab.test", 25), ("198.18.1.5", 25)]
)
def test_tcp_to_another_name_or_port_or_to_the_address_itself_is_refused(server, outside, name, port):
    allow(server, "a.lab.test", "*.wild.lab.test", ports=TCP)
    assert run(server, ASK.format(version=4, name=name, port=port)) == ""
    server.flow(verdict="deny", port=port)
    assert not outside.packets()
    assert not outside.queries()


def test_a_rule_for_tcp_can_come_and_go_while_a_program_holds_the_names_address(server):
    with server.start("run", "--", "sh") as shell:

        def says(command):
            shell.stdin.write(f"{command}; echo\n")
            shell.stdin.flush()
            return shell.stdout.readline().strip()

        address = says("getent ahostsv4 a.lab.test | head -1 | cut -d' ' -f1 | tr -d '\\n'")
        ask = f"timeout 5 nc {address} 25 </dev/null | head -1 | tr -d '\\n'"
        assert says(ask) == ""
        allow(server, "a.lab.test", ports=TCP)
        assert says(ask) == "220 a.lab.test speaks first"
        server("delete", "egressrule.exitway.dev", "allowed")
        assert says(ask) == ""


INSIDE = ["private", "loopback", "metadata", "mapped"]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", INSIDE)
def test_a_name_that_leads_inside_is_refused_whatever_is_spoken(server, outside, name, scheme):
    allow(server, f"{name}.lab.test")
    said = run(server, f"curl -skS -i {scheme}://{name}.lab.test/")
    assert "deny; reason=address" in said if scheme == "http" else "(35)" in said
    server.flow(verdict="deny", reason="address", name=f"{name}.lab.test")
    assert not outside.connections()
    assert {packet["port"] for packet in outside.packets()} <= {53}


def test_a_rule_for_the_network_excepts_the_address_for_that_workload_and_port_only(server, outside):
    allow(server, "private.lab.test", ports=[{"number": 80, "protocol": "HTTP"}, {"number": 8080, "protocol": "HTTP"}])
    allow(server, cidrs=["10.1.0.0/16"], ports=[{"number": 80, "protocol": "TCP"}], name="network")
    fetch = f"{CURL} http://private.lab.test/; {CURL} http://private.lab.test:8080/"
    assert run(server, fetch) == "200503"
    assert [(fact["address"], fact["port"]) for fact in outside.connections()] == [("10.1.2.3", 80)]
    server("delete", "egressrule.exitway.dev", "network")
    assert run(server, f"{CURL} http://private.lab.test/") == "503"


def test_the_kernel_holds_what_the_resolver_should_have_held(server, lab, outside):
    """The mark is that of Envoy's connections to names: nothing but the kernel stands between such a socket and the address."""
    mark = Wall(str(server.settings.runtime_dir)).mark
    answers = {}
    for address in ("10.1.2.3", "169.254.169.254", lab.address("a.lab.test")):
        with socket.socket() as one:
            one.settimeout(5)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            answers[address] = one.connect_ex((address, 80))
    assert [bool(error) for error in answers.values()] == [True, True, False]
    assert {packet["address"] for packet in outside.packets()} == {lab.address("a.lab.test")}


def test_a_rule_reaches_the_machines_own_loopback_by_its_name_and_nothing_else_does(server, own_port):
    url = f"http://host.exitway.internal:{own_port}/"
    ports = [{"number": own_port, "protocol": "HTTP"}]
    assert "reason=no-rule" in run(server, f"curl -sS -i {url}")
    allow(server, "*.exitway.internal", "*.internal", "loopback.lab.test", ports=ports, name="wide")
    assert "deny; reason=" in run(server, f"curl -sS -i {url}")
    assert "deny; reason=address" in run(server, f"curl -sS -i http://loopback.lab.test:{own_port}/")
    allow(server, "host.exitway.internal", ports=ports, name="exact")
    assert run(server, f"curl -sS {url}") == GREETING
    assert "Failed to connect" in run(server, f"curl -sS http://localhost:{own_port}/")  # stays inside
    assert "deny; reason=" in run(server, f"curl -sS -i http://loopback.lab.test:{own_port}/")


def test_names_are_found_again_when_the_process_that_serves_them_is_killed(server, outside):
    allow(server, "a.lab.test", "b.lab.test")
    with server.start("run", "--", "sh") as shell:

        def says(command):
            shell.stdin.write(f"{command}; echo\n")
            shell.stdin.flush()
            return shell.stdout.readline().strip()

        assert says(f"{CURL} https://a.lab.test/") == "200"
        os.kill(name_process(server), signal.SIGKILL)
        eventually(lambda: says(f"{CURL} -m 5 https://b.lab.test/ 2>/dev/null") == "200")


def name_process(server):
    path = str(server.settings.runtime_dir / "names.sock")
    found = subprocess.run(["pgrep", "-f", f"name_process {path}"], capture_output=True, text=True, check=True)
    return int(found.stdout)


class SlowNames(threading.Thread):
    """A DNS server on the machine's loopback that asks the world's, once ``let_go`` is set."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.let_go = threading.Event()
        self.asked = set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))

    def run(self):
        while True:
            try:
                query, asker = self.socket.recvfrom(4096)
            except OSError:
                return
            self.asked |= {label for label in (b"secret", b"stays") if label in query}
            threading.Thread(target=self.answer, args=(query, asker), daemon=True).start()

    def answer(self, query, asker):
        self.let_go.wait()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
            outside.settimeout(5)
            outside.sendto(query, ("198.18.0.53", 53))
            with contextlib.suppress(OSError):
                self.socket.sendto(outside.recv(4096), asker)


@pytest.mark.parametrize(("scheme", "address"), [("http", "127.0.0.9"), ("https", "127.0.0.10")])
def test_what_waits_for_a_name_when_its_rule_goes_does_not_leave(exitway, outside, monkeypatch, scheme, address):
    names = SlowNames(address)
    names.start()
    monkeypatch.setenv("EXITWAY_RESOLVERS", address)
    exitway("up")
    allow(exitway, "*.wild.lab.test", name="goes")
    allow(exitway, "stays.wild.lab.test", name="stays")
    commands = [f"{CURL} -m 20 {scheme}://{name}.wild.lab.test/ 2>/dev/null" for name in ("secret", "stays")]
    with (
        exitway.start("run", "--", "sh", "-c", commands[0]) as gone,
        exitway.start("run", "--", "sh", "-c", commands[1]) as kept,
    ):
        eventually(lambda: len(names.asked) == 2)
        exitway("delete", "egressrule.exitway.dev", "goes")
        names.let_go.set()
        assert kept.stdout.read() == "200"
        assert gone.stdout.read() in ("503", "000")
    exitway.flow(verdict="deny", reason="revoked", name="secret.wild.lab.test")
    assert {fact["host"].partition(":")[0] for fact in outside.requests()} == {"stays.wild.lab.test"}
    names.socket.close()
