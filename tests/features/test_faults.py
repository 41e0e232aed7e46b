"""Parts are killed while requests flow: nothing gets out that may not, and service comes back."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exitway.server.supervise import stray_threads
from tests.features.conftest import EXAMPLES, Exitway, eventually

pytestmark = pytest.mark.lab

ASKS_ALL_THE_TIME = """
import http.client, select, sys
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        connection = http.client.HTTPConnection("httpbin.org", timeout=2)
        connection.request("GET", "/status/204")
        status = connection.getresponse().status
        connection.close()
    except OSError as error:
        status = type(error).__name__
    print(status, flush=True)
"""

TAKES_THE_PROXYS_PORT = """
import socket
print("trying", flush=True)
while True:
    try:
        taken = socket.create_server(("127.0.0.1", 1))
        break
    except OSError:
        pass
print("taken", flush=True)
input()
"""


@dataclass
class Outcomes:
    """What a program says, read as it comes: what stands in a pipe is of the past."""

    all: list[str] = field(default_factory=list)

    def __call__(self, count):
        """So many outcomes from now on."""
        start = len(self.all)
        eventually(lambda: len(self.all) >= start + count, 30)
        return self.all[start : start + count]


@contextmanager
def load(server, *options):
    """A program that sends one request after another, each on a connection of its own; yields its outcomes."""
    with server.start("run", *options, "--", sys.executable, "-c", ASKS_ALL_THE_TIME) as program:
        outcomes = Outcomes()
        reader = threading.Thread(target=lambda: outcomes.all.extend(map(str.strip, program.stdout)))
        reader.start()
        try:
            yield outcomes
        finally:
            program.stdin.close()
            reader.join()


def test_envoy_killed_under_load_lets_nothing_out_and_is_back(server, outside):
    server("create", "-f", EXAMPLES / "egress_httpbin.yml", "-n", "shop")
    with load(server, "-n", "shop") as outcomes:
        assert outcomes(20) == ["204"] * 20
        os.kill(eventually(lambda: server.status()["proxy"]["pid"]), signal.SIGKILL)
        eventually(lambda: server.status()["proxy"]["restarts"] == 1 and outcomes(1) == ["204"])
        assert outcomes(20) == ["204"] * 20
    assert "ended; starting it again" in (server.settings.runtime_dir / "server.log").read_text()
    assert all(fact["host"] == "httpbin.org" for fact in outside.requests())


def _kill_proxy(server):
    """Returns when the server knows: what the program says next may have stood in its pipe before."""
    killed = eventually(lambda: server.status()["proxy"]["pid"])
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: server.status()["proxy"]["pid"] != killed)


def test_a_denied_program_stays_denied_while_envoy_is_killed(server, outside):
    with load(server, "-n", "shop") as outcomes:
        assert outcomes(5) == ["404"] * 5
        for _ in range(3):
            _kill_proxy(server)
            seen = outcomes(5)
            assert not {"200", "204"} & set(seen)
            eventually(lambda: outcomes(1) == ["404"])
    assert not outside.connections()
    assert not outside.queries()


def test_the_server_killed_under_load_fails_no_request_and_the_next_one_takes_over(server):
    server("create", "-f", EXAMPLES / "egress_httpbin.yml", "-n", "shop")
    with load(server, "-n", "shop") as outcomes:
        assert outcomes(20) == ["204"] * 20
        envoy = server.status()["proxy"]["pid"]
        os.kill(server.status()["pid"], signal.SIGKILL)
        assert outcomes(50) == ["204"] * 50
        server("up")
        assert outcomes(50) == ["204"] * 50
        assert set(outcomes.all) == {"204"}
        assert server.status()["proxy"]["pid"] == envoy
        assert len(server.status()["workloads"]) == 1
        server("delete", "egressrule", "httpbin-egress-rule", "-n", "shop")
        eventually(lambda: outcomes(1) == ["404"])  # the program was ahead of us
        assert outcomes(5) == ["404"] * 5


def test_an_envoy_that_cannot_listen_inside_does_not_stay_there(server):
    """A bind that fails inside leaves threads of Envoy inside (seen with 1.40): they would ask and dial from there for everybody."""
    server("create", "-f", EXAMPLES / "egress_httpbin.yml", "-n", "shop")
    with server.start("run", "--", "sleep", "600") as elsewhere, load(server, "-n", "shop") as outcomes:
        inside = eventually(lambda: [one for one in server.status()["workloads"] if one["namespace"] == "default"])[0]
        enter = ["nsenter", "-n", "-t", str(inside["pid"]), sys.executable, "-c", TAKES_THE_PROXYS_PORT]
        with subprocess.Popen(enter, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as thief:
            assert thief.stdout and thief.stdout.readline() == "trying\n"  # before the next Envoy does
            os.kill(server.status()["proxy"]["pid"], signal.SIGKILL)
            assert thief.stdout.readline() == "taken\n"
            eventually(lambda: server.status()["proxy"]["restarts"] >= 2)
            thief.communicate("\n")
        eventually(lambda: outcomes(5) == ["204"] * 5)
        assert not stray_threads(server.status()["proxy"]["pid"])
        elsewhere.kill()


def test_run_killed_takes_everything_with_it(server):
    program = server.start("run", "--", "sleep", "600")
    pid = eventually(lambda: server.status()["workloads"])[0]["pid"]
    program.kill()
    program.communicate()
    eventually(lambda: not server.status()["workloads"])
    eventually(lambda: not Path(f"/proc/{pid}").exists())  # whoever took it over reaps it
    for kept in ("netns", "workloads"):
        eventually(lambda kept=kept: not list((server.settings.runtime_dir / kept).iterdir()))


def test_what_a_killed_server_and_a_killed_run_left_the_next_start_removes(server):
    program = server.start("run", "--", "sleep", "600")
    eventually(lambda: server.status()["workloads"])
    os.kill(server.status()["pid"], signal.SIGKILL)
    program.kill()
    program.communicate()
    assert list((server.settings.runtime_dir / "netns").iterdir())
    server("up")
    assert not server.status()["workloads"]
    assert not list((server.settings.runtime_dir / "netns").iterdir())


def test_a_full_disk_costs_records_but_no_service(exitway):
    disk = exitway.directory / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        full = Exitway(disk)
        full("up")
        full("create", "-f", EXAMPLES / "egress_httpbin.yml", "-n", "shop")
        with load(full, "-n", "shop") as outcomes:
            assert outcomes(5) == ["204"] * 5
            pid = full.status()["pid"]
            with pytest.raises(OSError, match="No space left"):
                (disk / "filler").write_bytes(bytes(2**21))
            assert full.result("run", "--", "true").stderr.startswith("error: the workload cannot be served: ")
            assert outcomes(200) == ["204"] * 200
            assert full.status()["pid"] == pid
            (disk / "filler").unlink()
            assert full("run", "--", "echo", "begun") == "begun"
        full.down()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_twenty_at_once_without_a_server_share_the_one_that_comes_up_and_it_goes_with_the_last(exitway):
    fetch = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "http://httpbin.org/"]
    with ThreadPoolExecutor(20) as pool:
        runs = [
            pool.submit(exitway, "run", "-f", EXAMPLES / "egress_httpbin.yml", "--", "curl", *fetch) for _ in range(20)
        ]
        assert [run.result() for run in runs] == ["200"] * 20
    locks_and_logs = {
        "api.sock.lock",
        "arrivals.lock",
        "server.lock",
        "starting.lock",
        "server.log",
        "envoy.log",
        "netns",
        "workloads",
    }
    eventually(lambda: {path.name for path in exitway.settings.runtime_dir.iterdir()} <= locks_and_logs)
    assert not list((exitway.settings.runtime_dir / "netns").iterdir())
