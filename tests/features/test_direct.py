"""Past the proxy, through the kernel: only what rules call direct, cut when they go, and the rest as sealed as before."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.features.conftest import SOON_SECONDS, eventually

pytestmark = pytest.mark.lab

TRIES = """
import socket, sys
for what in sys.argv[1:]:
    host, _, port = what.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 5) as connection:
            connection.settimeout(5)
            connection.sendall(b"hello")
            print(what, connection.recv(99).decode() or "closed")
    except TimeoutError:
        print(what, "timeout")
    except ConnectionResetError:
        print(what, "closed")
    except OSError as error:
        print(what, type(error).__name__)
"""

HOLDS = """
import socket, sys, threading, time
def say(line):
    sys.stdout.write(line + "\\n")
    sys.stdout.flush()
def transfer(what):
    host, _, port = what.rpartition(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(b"x")
        connection.recv(1)
        say(f"open {what}")
        moved = 0
        try:
            while True:
                if sys.argv[1] == "busy":
                    connection.sendall(b"x" * 1000)
                    time.sleep(0.01)
                moved += len(connection.recv(65536))
        except OSError as error:
            say(f"cut {what} {time.time()}")
for what in sys.argv[2:]:
    threading.Thread(target=transfer, args=(what,)).start()
"""


def direct(name, *, hosts=(), cidrs=(), port=7, protocol="TCP", action="ALLOW", is_direct=True):
    to = {"ports": [{"number": port, "protocol": protocol}]} | ({"direct": True} if is_direct else {})
    to |= {"hosts": list(hosts)} if hosts else {"cidrs": list(cidrs)}
    metadata = {"name": name, "namespace": "default"}
    spec = {"action": action, "to": [to]}
    return {"apiVersion": "exitway.dev/v1", "kind": "EgressRule", "metadata": metadata, "spec": spec}


def create(server, *rules):
    for rule in rules:
        server("create", "-f", "-", input=json.dumps(rule))


def tries(server, *what, options=()):
    said = server("run", *options, "--", sys.executable, "-c", TRIES, *what)
    return dict(line.split(" ", 1) for line in said.splitlines())


@contextmanager
def holding(server, how, *what):
    """A program with a connection to each that it never lets go; yields a function that reads its next line."""
    with server.start("run", "--", sys.executable, "-c", HOLDS, how, *what) as program:
        try:
            opened = {program.stdout.readline() for _ in what}
            assert opened == {f"open {one}\n" for one in what}
            yield lambda: program.stdout.readline().split()
        finally:
            program.kill()


def links():
    found = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    return [one["ifname"] for one in found if one["ifname"].startswith("exw")]


def tables():
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout.split("\n")


def proxied(server):
    log = server.settings.runtime_dir / "access.log"
    return log.read_text() if log.exists() else ""


def test_a_direct_network_is_reached_past_the_proxy_and_only_it_and_its_port(server, outside):
    create(server, direct("echo", cidrs=["198.18.5.0/24", "2001:db8::5/128"]))
    said = tries(server, "198.18.5.7:7", "2001:db8::5:7", "198.18.5.7:25", "198.18.6.7:7", "2001:db8::6:7")
    assert said == {
        "198.18.5.7:7": "hello",
        "2001:db8::5:7": "hello",
        "198.18.5.7:25": "closed",
        "198.18.6.7:7": "closed",
        "2001:db8::6:7": "closed",
    }
    reached = {(fact["address"], fact["port"]) for fact in outside.packets()}
    assert reached == {("198.18.5.7", 7), ("2001:db8::5", 7)}
    assert "198.18.5.7:7" not in proxied(server)
    flow = server.flow(address="198.18.5.7", port=7, verdict="allow")
    assert (flow["rule"], flow["direct"], flow["reason"]) == ("egress-rule/default/echo", True, "rule")


def test_a_direct_name_is_dialled_by_its_synthetic_address_and_cannot_be_used_to_dial_another(server, lab, outside):
    create(server, direct("name", hosts=["a.lab.test"], port=443, protocol="TLS"))
    fetch = "curl -s -o /dev/null -w '%{http_code}' https://a.lab.test/ -H 'Host: whoever'; echo"
    elsewhere = "curl -s -k --resolve a.lab.test:443:198.18.1.5 https://a.lab.test/; curl -sk --connect-to ::b.lab.test https://a.lab.test/"
    assert server("run", "--", "sh", "-c", f"{fetch}; {elsewhere}; true") == "200"
    assert {(fact["address"], fact["port"]) for fact in outside.packets() if fact["protocol"] == "tcp"} <= {
        (lab.address("a.lab.test"), 443),
        (lab.address("a.lab.test", 6), 443),
    }
    assert len(outside.connections()) == 1
    assert set(outside.queries()) == {"a.lab.test"}
    flow = server.flow(name="a.lab.test", port=443, verdict="allow")
    assert (flow["rule"], flow["direct"]) == ("egress-rule/default/name", True)


def test_a_direct_name_follows_its_records(server, lab, outside):
    create(server, direct("name", hosts=["b.lab.test"], port=7))
    with server.start(
        "run",
        "--",
        sys.executable,
        "-c",
        f"for line in __import__('sys').stdin:\n {TRIES.replace(chr(10), chr(10) + ' ').replace('sys.argv[1:]', '[line.strip()]')}\n sys.stdout.flush()",
    ) as program:

        def ask():
            program.stdin.write("b.lab.test:7\n")
            program.stdin.flush()
            return program.stdout.readline().strip()

        assert ask() == "b.lab.test:7 hello"
        lab.move("b.lab.test", "198.18.7.7")
        eventually(lambda: ask() and any(fact["address"] == "198.18.7.7" for fact in outside.connections()))
        lab.move("b.lab.test")
        eventually(lambda: ask() == "b.lab.test:7 ConnectionRefusedError")
        program.stdin.close()


@pytest.mark.parametrize("name", ["private", "loopback", "metadata", "mapped"])
def test_a_direct_name_that_leads_where_no_name_may_lead_is_refused_at_once(server, outside, name):
    create(server, direct("name", hosts=[f"{name}.lab.test"], port=7))
    assert tries(server, f"{name}.lab.test:7") == {f"{name}.lab.test:7": "ConnectionRefusedError"}
    server.flow(verdict="deny", reason="address", name=f"{name}.lab.test")
    assert not [fact for fact in outside.packets() if fact["protocol"] == "tcp"]


def test_a_direct_name_may_lead_to_a_private_address_that_a_network_rule_allows(server, outside):
    create(
        server,
        direct("name", hosts=["private.lab.test"], port=7),
        direct("net", cidrs=["10.1.0.0/16"], is_direct=False),
    )
    assert tries(server, "private.lab.test:7") == {"private.lab.test:7": "hello"}
    assert {fact["address"] for fact in outside.connections()} == {"10.1.2.3"}


def test_whatever_is_not_tcp_and_direct_stays_refused(server, outside):
    create(server, direct("echo", cidrs=["198.18.5.0/24", "2001:db8::5/128"]))
    commands = [
        "nc -w 2 198.18.5.7 7 </dev/null",
        "echo x | nc -u -w 2 198.18.5.7 7",
        "echo x | nc -u -w 2 2001:db8::5 7",
        "ping -c 1 -w 2 198.18.5.7",
        "ping -c 1 -w 2 240.242.0.0",
        "nc -w 2 240.242.0.0 7 </dev/null",
        "nc -w 2 169.254.169.254 80 </dev/null",
        "ip link set direct down",
        "ip rule del pref 1",
        "nft flush ruleset",
    ]
    bound = "import socket; s = socket.socket(socket.AF_INET, socket.{kind}); s.setsockopt(socket.SOL_SOCKET, 25, b'direct'); s.settimeout(2); {do}"
    marked = "import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, 36, 0x4557); s.settimeout(2); s.connect(('198.18.6.7', 7))"
    programs = [
        bound.format(kind="SOCK_DGRAM", do="s.sendto(b'x', ('198.18.5.7', 7))"),
        bound.format(kind="SOCK_DGRAM", do="s.sendto(b'x', ('240.242.0.0', 7))"),
        bound.format(kind="SOCK_STREAM", do="s.connect(('198.18.6.7', 7))"),
        bound.format(kind="SOCK_STREAM", do="s.connect(('240.242.0.0', 7))"),
        bound.format(kind="SOCK_STREAM", do="s.bind(('198.18.9.9', 0)); s.connect(('198.18.6.7', 7))"),
        marked,
    ]
    quoted = [f'{sys.executable} -c "{program}"' for program in programs]
    server("run", "--", "sh", "-c", "; ".join(f"({one}) >/dev/null 2>&1" for one in [*commands, *quoted]) + "; true")
    assert {(fact["protocol"], fact["address"], fact["port"]) for fact in outside.packets()} == {
        ("tcp", "198.18.5.7", 7)
    }


def test_a_deny_wins_over_direct(server, outside):
    create(
        server,
        direct("echo", cidrs=["198.18.5.0/24"]),
        direct("no", cidrs=["198.18.5.7/32"], action="DENY", is_direct=False),
        direct("name", hosts=["a.lab.test"]),
        direct("none", hosts=["*.lab.test"], protocol="HTTP", action="DENY", is_direct=False),
    )
    assert tries(server, "198.18.5.7:7", "198.18.5.8:7", "a.lab.test:7") == {
        "198.18.5.7:7": "closed",
        "198.18.5.8:7": "hello",
        "a.lab.test:7": "closed",
    }
    assert {fact["address"] for fact in outside.connections()} == {"198.18.5.8"}


@pytest.mark.parametrize("how", ["busy", "silent"])
def test_what_loses_its_permission_is_cut_soon_and_nothing_else(server, how):
    create(
        server,
        direct("kept", cidrs=["198.18.6.0/24"]),
        direct("gone", cidrs=["198.18.5.0/24"]),
        direct("name", hosts=["a.lab.test"]),
        direct("proxied", cidrs=["198.18.8.0/24"], is_direct=False),
    )
    kept = ["198.18.6.7:7", "198.18.8.7:7"]
    with holding(server, how, "198.18.5.7:7", "a.lab.test:7", *kept) as line:
        for rule, what in (("gone", "198.18.5.7:7"), ("name", "a.lab.test:7")):
            create(server, direct(f"unrelated-{rule}", cidrs=["198.19.0.0/24"]))
            began = time.time()
            server("delete", "egressrules.exitway.dev", rule)
            word, cut, when = line()
            assert (word, cut) == ("cut", what)
            assert float(when) - began < SOON_SECONDS
            server.flow(verdict="deny", reason="revoked", port=7, rule=f"egress-rule/default/{rule}")
        inside = server.status()["workloads"][0]["pid"]
        table = Path(f"/proc/{inside}/net/tcp").read_text()
        assert all(
            f"{bytes(map(int, one.split(':')[0].split('.')))[::-1].hex().upper()}:0007 01" in table for one in kept
        )


@pytest.mark.parametrize("end", ["DENY", "expires"])
def test_it_ends_with_a_deny_and_with_the_hour_as_well(server, end):
    networks, name = direct("network", cidrs=["198.18.5.0/24"]), direct("name", hosts=["a.lab.test"])
    ends = time.time() + 15  # the program has to be there before
    if end == "expires":
        for rule in (networks, name):
            rule["spec"]["expires"] = datetime.fromtimestamp(ends, UTC).isoformat()
    create(server, networks, name)
    with holding(server, "busy", "198.18.5.7:7", "a.lab.test:7") as line:
        if end == "DENY":
            ends = time.time()
            for what in ({"cidrs": ["198.18.5.7/32"]}, {"hosts": ["a.lab.test"]}):
                denied = direct(f"no-{next(iter(what))}", action="DENY", is_direct=False, **what)
                server.request("POST", "/apis/exitway.dev/v1/namespaces/default/egressrules", denied)
        cuts = [line() for _ in range(2)]
        assert {(word, what) for word, what, _ in cuts} == {("cut", "198.18.5.7:7"), ("cut", "a.lab.test:7")}
        assert all(0 <= float(when) - ends < SOON_SECONDS for _, _, when in cuts)
    server.flow(verdict="deny", reason="revoked", port=7, rule="egress-rule/default/network")


def test_a_killed_server_leaves_it_as_it_was_and_the_next_one_takes_it_over(server):
    create(server, direct("echo", cidrs=["198.18.5.0/24"]), direct("name", hosts=["a.lab.test"]))
    with holding(server, "busy", "198.18.5.7:7", "a.lab.test:7") as line:
        before = links()
        os.kill(server.status()["pid"], signal.SIGKILL)
        assert links() == before
        server("up")
        assert links() == before
        eventually(lambda: server.status()["workloads"])
        server("delete", "egressrules.exitway.dev", "echo")
        assert line()[:2] == ["cut", "198.18.5.7:7"]
        server("delete", "egressrules.exitway.dev", "name")
        assert line()[:2] == ["cut", "a.lab.test:7"]


def test_nothing_is_left_behind(server):
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    assert forwarding.read_text() == "0\n"
    create(server, direct("echo", cidrs=["198.18.5.0/24"]))
    with holding(server, "silent", "198.18.5.7:7"):
        assert len(links()) == 1
        assert forwarding.read_text() == "1\n"
        assert "table ip exitway-forward" in tables()
    eventually(lambda: not links() and forwarding.read_text() == "0\n")
    eventually(lambda: not [table for table in tables() if "exitway-direct" in table or "exitway-forward" in table])
    with holding(server, "silent", "198.18.5.7:7") as line:
        server("down")
        assert line()[:2] == ["cut", "198.18.5.7:7"]
        assert not links()
        assert not [table for table in tables() if "exitway" in table]
        assert forwarding.read_text() == "0\n"
    server("up")


def test_ip_ranges_go_past_the_proxy_as_istio_has_it(server, outside):
    excluded = ["--excludeIPRanges", "198.18.5.0/24,2001:db8::5/128,169.254.0.0/16"]
    said = tries(server, "198.18.5.7:7", "2001:db8::5:7", "198.18.6.7:7", "169.254.169.254:7", options=excluded)
    assert said == {
        "198.18.5.7:7": "hello",
        "2001:db8::5:7": "hello",
        "198.18.6.7:7": "closed",
        "169.254.169.254:7": "closed",
    }
    included = ["--includeIPRanges", "198.18.5.0/24"]
    said = tries(server, "198.18.5.7:7", "198.18.6.7:7", "169.254.169.254:7", "100.100.100.200:7", options=included)
    assert list(said.values()) == ["closed", "hello", "closed", "closed"]
    assert {fact["address"] for fact in outside.connections()} == {"198.18.5.7", "2001:db8::5", "198.18.6.7"}
    assert server.flow(address="198.18.6.7", verdict="allow")["reason"] == "ip-range"


def test_the_status_is_loud_about_what_goes_past_the_proxy(server):
    create(server, direct("name", hosts=["a.lab.test"]))
    with server.start("run", "--excludeIPRanges", "198.18.5.0/24", "--", "cat"):
        eventually(lambda: server.status()["workloads"])
        assert "PAST THE PROXY: 198.18.5.0/24, a.lab.test:7" in server("status")


def test_a_rule_that_becomes_direct_leaves_connections_through_the_proxy_alone(server):
    create(server, direct("echo", cidrs=["198.18.5.0/24"], is_direct=False))
    with holding(server, "busy", "198.18.5.7:7"):
        server("replace", "-f", "-", input=json.dumps(direct("echo", cidrs=["198.18.5.0/24"])))
        assert tries(server, "198.18.5.7:7") == {"198.18.5.7:7": "hello"}
        pid = next(one["pid"] for one in server.status()["workloads"])
        assert "070512C6:0007 01" in Path(f"/proc/{pid}/net/tcp").read_text()
        server("delete", "egressrules.exitway.dev", "echo")
