"""`run -p`: a port of the program is one of the machine's, or the program is not begun."""

import socket
from urllib.request import urlopen

import pytest

from tests.features.conftest import EXAMPLES, eventually

pytestmark = pytest.mark.lab


def answers(address):
    try:
        return urlopen(f"http://{address}/", timeout=2).status == 200
    except OSError:
        return False


def test_one_port_of_two_addresses_leads_to_two_programs_ports(server, tmp_path):
    with server.start(
        "run",
        "-p",
        "127.0.0.1:8181:80",
        "-p",
        "127.0.0.2:8181:81",
        "--",
        "python3",
        "-m",
        "http.server",
        "81",
        cwd=tmp_path,
    ) as run:
        eventually(lambda: answers("127.0.0.2:8181"))
        assert not answers("127.0.0.1:8181")
        run.kill()


def test_a_port_that_cannot_be_had_is_said_and_nothing_is_run(server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = server.result("run", "-f", EXAMPLES / "egress_httpbin.yml", "-p", port, "--", "echo", "begun")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"EXW0703 port {port} of 127.0.0.1 cannot be published: Address already in use")
    assert server.result("run", "-p", f"198.18.200.200:{port}", "--", "true").stderr.startswith("EXW0703")


def test_a_port_that_another_run_publishes_is_free_when_that_run_has_ended(server):
    with server.start("run", "-p", "8182", "--", "sleep", "600") as first:
        eventually(lambda: server.status()["workloads"])
        assert server.result("run", "-p", "8182", "--", "true").stderr.startswith("EXW0703")
        first.kill()
    eventually(lambda: server.result("run", "-p", "8182", "--", "true").returncode == 0)
