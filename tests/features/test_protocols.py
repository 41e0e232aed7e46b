"""Every protocol, with the clients that people use: through with a rule; without one, refused at once and nothing reaches the outside.

A client that this machine lacks is skipped, with the reason. ``clients/`` holds those that are programs of our own.
"""

import json
import re
import resource
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from exitway.lab import database, world, zone
from exitway.lab.lab import Lab
from tests.features.conftest import GREETING, command, running

pytestmark = pytest.mark.lab

CLIENTS = Path(__file__).parent / "clients"
PYTHON = f"{sys.executable} {CLIENTS}"
NODE = f"node --experimental-websocket {CLIENTS}/client.mjs"
PLAIN, SECURE = "{host}:8080", "{host}"
GET = r"printf 'GET / HTTP/1.0\r\nHost: {host}\r\n\r\n'"
BRIEF = "echo hello | nc -N {host} 7"
"""It has ended before Envoy knows what it speaks: closed, and by then there is nothing to record (docs/limits.md)."""
QUERY = "psql -h {host} -U lab -d postgres -tc 'select 6 * 7'"


@dataclass(frozen=True)
class Row:
    """What a person runs (``needs``: the program that must be there), what the rule says, and what must have arrived.

    ``said``: what the answer holds. ``version``: of HTTP, as it arrived; none: what arrived is not HTTP to the world.
    """

    client: str
    command: str
    needs: str
    protocol: str
    port: int
    version: str = ""
    said: str = '"host": "{host}'
    host: str = ""

    @property
    def slug(self):
        return "-".join(re.findall("[a-z0-9]+", f"{self}".lower()))

    def at(self, host):
        """The same, to this host."""
        return replace(
            self, host=host, command=self.command.replace("{host}", host), said=self.said.replace("{host}", host)
        )

    def __str__(self) -> str:
        return f"{self.protocol} {self.client}"


def plain(client, command, needs, version="HTTP/1.1", said='"host": "{host}'):
    return Row(client, command, needs, "HTTP2" if version == "HTTP/2" else "HTTP", 8080, version, said)


def tls(client, command, needs, version="HTTP/1.1", said='"host": "{host}'):
    return Row(client, command, needs, "TLS", 443, version, said)


def tcp(client, command, needs, port, said):
    """By address: the rule names a network."""
    return Row(client, command, needs, "TCP", port, said=said, host=Lab.address("db.lab.test"))


def named(client, command, needs, port, said, version=""):
    """TCP by name: the address that is dialled says which."""
    return Row(f"{client}, by name", command, needs, "TCP", port, version, said)


ROWS = [
    plain("curl", f"curl -sSf http://{PLAIN}", "curl"),
    plain("curl, HTTP/1.0", f"curl -sSf --http1.0 http://{PLAIN}", "curl"),
    plain(
        "curl, 100 MB up", f"head -c 100000000 /dev/zero | curl -sSf -T - http://{PLAIN}", "curl", said=": 100000000"
    ),
    plain("curl, 500 MB down", f"curl -sSf http://{PLAIN}/bytes/500000000 | wc -c", "curl", said="500000000"),
    plain("urllib", f"{PYTHON}/fetch.py urllib http://{PLAIN}", "python"),
    plain("requests", f"{PYTHON}/fetch.py requests http://{PLAIN}", "python"),
    plain("httpx", f"{PYTHON}/fetch.py httpx http://{PLAIN}", "python"),
    plain("Java", f"{{java}} http://{PLAIN} HTTP_1_1", "java"),
    plain("Java, offering h2c by upgrade", f"{{java}} http://{PLAIN} HTTP_2", "java"),
    plain("Node fetch", f"{NODE} fetch http://{PLAIN}", "node"),
    plain("Go", f"{{go}} http://{PLAIN}", "go"),
    plain("curl", f"curl -sSf --http2-prior-knowledge http://{PLAIN}", "curl", "HTTP/2"),
    plain("httpx", f"{PYTHON}/fetch.py httpx-http2 http://{PLAIN}", "python", "HTTP/2"),
    plain("Node http2", f"{NODE} http2 http://{PLAIN}", "node", "HTTP/2"),
    plain("Go", f"{{go}} http://{PLAIN} h2c", "go", "HTTP/2"),
    Row("grpcio", f"{PYTHON}/call.py http://{PLAIN}", "python", "GRPC", 8080, "HTTP/2", "one two three"),
    plain("websockets", f"{PYTHON}/converse.py ws://{PLAIN}", "python", said="hello"),
    plain("Java WebSocket", f"{{java}} ws://{PLAIN}", "java", said="hello"),
    plain("Node WebSocket", f"{NODE} websocket ws://{PLAIN}", "node", said="hello"),
    tls("curl, HTTP/1.1", f"curl -sSf --http1.1 https://{SECURE}", "curl"),
    tls("curl", f"curl -sSf https://{SECURE}", "curl", "HTTP/2"),
    tls("curl, TLS 1.2", f"curl -sSf --tls-max 1.2 https://{SECURE}", "curl", "HTTP/2"),
    tls(
        "curl, 100 MB up",
        f"head -c 100000000 /dev/zero | curl -sSf -T - https://{SECURE}",
        "curl",
        "HTTP/2",
        ": 100000000",
    ),
    tls("curl, 500 MB down", f"curl -sSf https://{SECURE}/bytes/500000000 | wc -c", "curl", "HTTP/2", "500000000"),
    tls("urllib", f"{PYTHON}/fetch.py urllib https://{SECURE}", "python"),
    tls("requests", f"{PYTHON}/fetch.py requests https://{SECURE}", "python"),
    tls("httpx", f"{PYTHON}/fetch.py httpx https://{SECURE}", "python"),
    tls("httpx, HTTP/2", f"{PYTHON}/fetch.py httpx-http2 https://{SECURE}", "python", "HTTP/2"),
    tls("Java, HTTP/1.1", f"{{java}} https://{SECURE} HTTP_1_1", "java"),
    tls("Java", f"{{java}} https://{SECURE} HTTP_2", "java", "HTTP/2"),
    tls("Node fetch", f"{NODE} fetch https://{SECURE}", "node"),
    tls("Node http2", f"{NODE} http2 https://{SECURE}", "node", "HTTP/2"),
    tls("Go", f"{{go}} https://{SECURE}", "go", "HTTP/2"),
    tls(
        "openssl", f"{GET} | openssl s_client -quiet -connect {SECURE}:443 -verify_return_error", "openssl", "HTTP/1.0"
    ),
    tls("grpcio", f"{PYTHON}/call.py https://{SECURE}:443", "python", "HTTP/2", "one two three"),
    tls("websockets", f"{PYTHON}/converse.py wss://{SECURE}", "python", said="hello"),
    tls("Java WebSocket", f"{{java}} wss://{SECURE}", "java", said="hello"),
    tls("Node WebSocket", f"{NODE} websocket wss://{SECURE}", "node", said="hello"),
    tcp("psql", QUERY, "psql", 5432, "42"),
    tcp("nc, which closes its half", "head -c 20000000 /dev/zero | nc -N {host} 9", "nc", 9, "20000000"),
    tcp("nc, which has said all it has to say at once", BRIEF, "nc", 7, "hello"),
    tcp(
        "a client of a server that speaks first", f"{PYTHON}/greeting.py {{host}} 3306", "python", 3306, "speaks first"
    ),
    named("psql", QUERY, "psql", 5432, "42"),
    named("nc", BRIEF, "nc", 7, "hello"),
    named("nc, which closes its half", "head -c 20000000 /dev/zero | nc -N {host} 9", "nc", 9, "20000000"),
    named(
        "a client of a server that speaks first", f"{PYTHON}/greeting.py {{host}} 3306", "python", 3306, "speaks first"
    ),
    named("curl, TLS on a TCP rule", "curl -sSf https://{host}", "curl", 443, '"host": "{host}', "HTTP/2"),
    tcp("nc, 1 GB", "echo 1000000000 | nc {host} 19 | wc -c", "nc", 19, "1000000000"),
]


@pytest.fixture(scope="module")
def shared(lab):
    """One server for the table: each row has a namespace of its own."""
    with running() as one:
        one("up")
        yield one


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """How the program that a row needs is run, once it has been built where it has to be; empty: this machine has it not."""
    directory = tmp_path_factory.mktemp("clients")
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin") or "go"
    built = {
        "java": (["javac", "-d", directory, CLIENTS / "Client.java"], f"java -cp {directory} Client"),
        "go": ([go, "build", "-o", directory / "client", CLIENTS / "client.go"], f"{directory}/client"),
    }

    @cache
    def program(needs):
        make, run = built.get(needs, (["true"], shutil.which(needs) or ""))
        return run if shutil.which(make[0]) and subprocess.run(make, check=False).returncode == 0 else ""

    return program


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_client_gets_through_with_a_rule_and_nothing_does_without_one(shared, lab, outside, programs, tmp_path, row):
    if not programs(row.needs) or (row.needs == "psql" and not database.program()):
        pytest.skip(f"no {row.needs} here, or no server for it: not tried")
    recorded = row.command != BRIEF
    row = row.at(row.host or f"{row.slug}.wild.lab.test")
    program = row.command.format(java=programs("java"), go=programs("go"))
    run = ["run", "-n", row.slug, "--name", "client"]

    refused = shared.result(*run, "--", "timeout", "10", "sh", "-c", program)
    assert refused.returncode != 124, "it hung"
    assert row.said not in refused.stdout
    if recorded:
        shared.flow(verdict="deny", workload=f"{row.slug}/client", reason="no-rule", port=row.port)
    assert row.host not in outside.queries()
    assert all(fact["port"] == world.DNS_PORT for fact in outside.packets())  # names of rows before are kept fresh

    rule = rule_file(tmp_path, row.protocol, row.port, row.host)
    through = shared.result(*run, "-f", rule, "--", "timeout", "30", "sh", "-c", program)
    assert row.said in through.stdout, through.stderr
    assert {fact["port"] for fact in outside.connections()} - {world.DNS_PORT} == {row.port}
    assert {fact["version"] for fact in outside.requests()} == ({row.version} if row.version else set())


def test_of_several_names_on_one_port_only_the_allowed_one_is_reached(shared, lab, outside, tmp_path):
    rule = rule_file(tmp_path, "TCP", 3306, "db.lab.test")
    greet = f"{PYTHON}/greeting.py db.lab.test 3306; {PYTHON}/greeting.py cache.lab.test 3306 2>&1"
    said = shared("run", "-n", "two", "--name", "client", "-f", rule, "--", "sh", "-c", greet, check=False)
    assert "db.lab.test speaks first" in said
    assert "cache.lab.test speaks first" not in said
    assert [fact["name"] for fact in outside.connections()] == ["db.lab.test"]
    assert "cache.lab.test" not in outside.queries()
    shared.flow(verdict="allow", workload="two/client", name="db.lab.test", port=3306, protocol="TCP")
    shared.flow(verdict="deny", workload="two/client", name="cache.lab.test", port=3306, protocol="TCP")


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_a_service_of_the_machine_is_reached_by_a_name_of_its_own_and_a_rule(shared, own_port, tmp_path, protocol):
    rule = rule_file(tmp_path, protocol, own_port, "host.exitway.internal")

    def fetch(host, *options):
        return shared("run", *options, "--", "curl", "-sS", "-m", "5", f"http://{host}:{own_port}/", check=False)

    assert fetch("host.exitway.internal", "-f", rule) == GREETING
    for host, *options in (["host.exitway.internal"], ["localhost", "-f", rule], ["127.0.0.1", "-f", rule]):
        assert fetch(host, *options) != GREETING


def test_each_stream_of_a_connection_is_decided_by_itself(shared, outside, tmp_path):
    """A refused gRPC call gets what its library understands: status 200 and UNIMPLEMENTED (gRPC's HTTP status mapping)."""
    rule = rule_file(tmp_path, "GRPC", 8080, "b.lab.test")
    streams = [sys.executable, CLIENTS / "streams.py", "b.lab.test:8080", "c.lab.test:8080"]
    assert shared("run", "-n", "streams", "--name", "client", "-f", rule, "--", *streams).splitlines() == [
        "call b.lab.test:8080: 200 'said'",
        "call c.lab.test:8080: 200 '' grpc-status 12, deny; reason=no-rule",
        "get c.lab.test:8080: 404 deny; reason=no-rule",
        "call b.lab.test:8080: 200 'said'",
        "connections: 1",
    ]
    assert [fact["host"] for fact in outside.requests()] == ["b.lab.test:8080"] * 2
    assert "c.lab.test" not in outside.queries()
    shared.flow(verdict="deny", workload="streams/client", name="c.lab.test", reason="no-rule", protocol="HTTP/2")


@pytest.mark.parametrize("options", ["-noservername", "-servername c.lab.test"])
def test_tls_that_does_not_say_an_allowed_name_is_refused_whatever_address_it_dials(shared, outside, tmp_path, options):
    rule = rule_file(tmp_path, "TLS", 443, "b.lab.test")
    shake = f"openssl s_client -connect b.lab.test:443 {options} </dev/null 2>&1; echo done"
    assert "no peer certificate" in shared("run", "-n", "names", "-f", rule, "--", "timeout", "5", "sh", "-c", shake)
    assert not {"b.lab.test", "c.lab.test"} & set(outside.queries())


def test_ten_thousand_connections_may_do_nothing_for_a_while(shared, lab, tmp_path):
    count = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 5 - 10)  # what the proxy has files for
    assert hold(shared, lab, tmp_path, count) == f"{count} said it back"


def test_what_the_proxy_has_no_files_for_is_refused_and_harms_nobody(exitway, lab, tmp_path):
    limited = ["sh", "-c", 'ulimit -n 1000 && exec "$@"', "sh", *command("up")]
    subprocess.run(limited, env=exitway.environment, check=True, capture_output=True)
    before = exitway.status()["proxy"]["pid"]
    assert hold(exitway, lab, tmp_path, 900) == "200 said it back"
    assert hold(exitway, lab, tmp_path, 200) == "200 said it back"
    assert exitway.status()["proxy"]["pid"] == before


def hold(server, lab, directory, count):
    rule = rule_file(directory, "TCP", 7, lab.address("db.lab.test"))
    program = [sys.executable, CLIENTS / "hold.py", lab.address("db.lab.test"), 7, count]
    return server("run", "-f", rule, "--", *program)


@pytest.mark.parametrize(("scheme", "protocol", "port"), [("http", "HTTP", 80), ("https", "TLS", 443)])
def test_no_name_leads_inside_whatever_the_form_of_the_address(shared, outside, tmp_path, scheme, protocol, port):
    """All names are allowed; the world would answer at every address, and what this machine has at its own is listened for."""
    rule = rule_file(tmp_path, protocol, port, "*.inside.lab.test")
    names = " ".join(f"{kind}.inside.lab.test" for kind in [*zone.INSIDE, "alias"])
    fetch = f"for name in {names}; do curl -sS -o /dev/null -m 10 -w '%{{http_code}} ' {scheme}://$name/; done"
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as here:
        here.settimeout(0)
        answers = shared("run", "-n", "inside", "-f", rule, "--", "sh", "-c", fetch, check=False)
        with pytest.raises(BlockingIOError):
            here.accept()
    assert set(answers.split()) <= {"503", "000", "200"}
    reached = {fact["address"] for fact in outside.connections()} - {zone.DNS_SERVER}
    assert reached <= {"198.18.2.5", "198.18.2.6"}, "only what is good of a mixed answer may be dialled"


def rule_file(directory, protocol, port, host):
    to = {"cidrs": [f"{host}/32"]} if host[0].isdigit() else {"hosts": [host]}
    spec = {"to": [{**to, "ports": [{"number": port, "protocol": protocol}]}]}
    path = directory / "rule.json"
    path.write_text(
        json.dumps({"apiVersion": "exitway.dev/v1", "kind": "EgressRule", "metadata": {"name": "one"}, "spec": spec})
    )
    return path
