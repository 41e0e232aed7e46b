"""An ordinary user: the same boundary, without root anywhere."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from exitway.lab.lab import Lab
from tests.capture.test_job import Terminal
from tests.features.conftest import EXAMPLES, SOON_SECONDS, eventually
from tests.features.ordinary import USER, Ordinary, ordinary_user
from tests.features.test_direct import create, direct, holding, tries

pytestmark = pytest.mark.lab

FETCHES = """
import http.server, urllib.error, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            status = urllib.request.urlopen("http://httpbin.org/headers", timeout=5).status
        except urllib.error.HTTPError as error:
            status = error.code
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"""
RULE = EXAMPLES / "egress_httpbin.yml"
CODE = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "5")


COUNTS = """
import socket
with socket.create_server(("127.0.0.1", 8287)) as listener:
    while True:
        connection, _ = listener.accept()
        count = 0
        while data := connection.recv(65536):
            count += len(data)
        connection.sendall(str(count).encode())
        connection.close()
"""


@pytest.fixture
def user(lab):
    with ordinary_user() as one:
        yield one


@pytest.fixture
def server(user):
    user("up")
    return user


def fetch(address):
    """The status; 0: nobody answers."""
    try:
        return urlopen(f"http://{address}/", timeout=10).status
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


def tcp_rule(cidr, port):
    spec = {"to": [{"cidrs": [cidr], "ports": [{"number": port, "protocol": "TCP"}]}]}
    return json.dumps(
        {"apiVersion": "exitway.dev/v1", "kind": "EgressRule", "metadata": {"name": "network"}, "spec": spec}
    )


def test_the_story(user, outside):
    with user.start("run", "-n", "shop", "-p", "127.0.0.2:8280:8080", "--", sys.executable, "-c", FETCHES) as program:
        eventually(lambda: fetch("127.0.0.2:8280") == 404)
        assert fetch("127.0.0.1:8280") == 0
        assert not outside.packets()
        user("create", "-f", RULE, "-n", "shop")
        assert fetch("127.0.0.2:8280") == 200
        user("delete", "egressrule", "httpbin-egress-rule", "-n", "shop")
        assert fetch("127.0.0.2:8280") == 404
        program.terminate()
    assert [(fact["name"], fact["path"]) for fact in outside.requests()] == [("httpbin.org", "/headers")]
    assert {fact["name"] for fact in outside.connections()} == {"httpbin.org"}
    assert fetch("127.0.0.2:8280") == 0


@pytest.mark.parametrize(
    "try_",
    [
        "echo x | nc -u -w 9 198.18.9.9 443",
        "echo x | nc -u -w 9 198.18.0.53 53",
        "echo x | nc -w 9 198.18.9.9 22",
        "curl -s -f http://[2001:db8::9]/",
        "curl -s -f http://httpbin.org:8000/",
        "curl -s -f http://10.1.2.3/",
        "curl -s -f http://169.254.169.254/",
        "curl -s -f http://198.18.0.1:8283/",  # this machine
        "curl -s -f http://198.18.0.2/",  # its gateway
        "ping -c 1 -w 9 198.18.9.9 2>&1",
    ],
)
def test_a_try_is_refused_at_once(server, outside, try_):
    server("create", "-f", RULE, "-n", "shop")
    answer = server.result(
        "run", "-n", "shop", "--", "timeout", "5", "sh", "-c", f"exec 2>&1; ! {try_} || echo through"
    )
    assert answer.returncode != 124, "it hung"
    assert "through" not in answer.stdout or "nc" in try_  # nc ends well when it is refused
    assert not outside.packets()


def test_this_machines_loopback_is_out_of_reach_whatever_the_rules_say(server):
    spec = {"to": [{"hosts": ["host.exitway.internal"], "ports": [{"number": 8286, "protocol": "HTTP"}]}]}
    rule = {"apiVersion": "exitway.dev/v1", "kind": "EgressRule", "metadata": {"name": "local"}, "spec": spec}
    server("create", "-f", "-", input=json.dumps(rule))
    with socket.create_server(("127.0.0.1", 8286)) as ours:
        ours.settimeout(0)
        assert server("run", "--", *CODE, "http://host.exitway.internal:8286/") == "503"
        with pytest.raises(BlockingIOError):
            ours.accept()
    server.flow(verdict="deny", name="host.exitway.internal", reason="address")


def test_an_allowed_gateway_is_the_gateway_and_not_this_machines_loopback(server, outside):
    """Without --no-map-gw pasta leads what is sent to the gateway to the machine's loopback."""
    server("create", "-f", "-", input=tcp_rule("198.18.0.2/32", 8000))
    with socket.create_server(("127.0.0.1", 8000)) as ours:
        ours.settimeout(0)
        assert server("run", "--", *CODE, "http://198.18.0.2:8000/") == "200"
        with pytest.raises(BlockingIOError):
            ours.accept()
    assert [(fact["address"], fact["port"]) for fact in outside.connections()] == [("198.18.0.2", 8000)]


@pytest.fixture
def link_local():
    """As a usual interface has it: without, pasta believes that there is no IPv6."""
    address = ["fe80::1/64", "dev", "lab0"]
    subprocess.run(["ip", "addr", "add", *address, "nodad"], check=True)
    yield
    subprocess.run(["ip", "addr", "del", *address], check=True)


def test_a_name_that_has_only_an_ipv6_address_is_reached(link_local, server, outside, lab):
    spec = {"to": [{"hosts": ["v6.lab.test"], "ports": [{"number": 80, "protocol": "HTTP"}]}]}
    rule = {"apiVersion": "exitway.dev/v1", "kind": "EgressRule", "metadata": {"name": "six"}, "spec": spec}
    server("create", "-f", "-", input=json.dumps(rule))
    assert server("run", "--", *CODE, "http://v6.lab.test/") == "200"
    assert {fact["address"] for fact in outside.connections()} == {lab.address("v6.lab.test", 6)}


def test_the_program_is_the_user_without_any_privilege(user):
    program = "id -u; id -g; grep -E 'Cap(Prm|Bnd|Amb)|NoNewPrivs' /proc/self/status; echo mine > file; stat -c %u file; ls /run/user"
    seen = user("run", "--", "sh", "-c", program).split()
    assert seen == [str(USER)] * 2 + [
        "CapPrm:",
        "0" * 16,
        "CapBnd:",
        "0" * 16,
        "CapAmb:",
        "0" * 16,
        "NoNewPrivs:",
        "1",
        str(USER),
        str(USER),
    ]
    assert (user.directory / "home/file").stat().st_uid == (user.directory / "home").stat().st_uid


def test_nothing_of_the_session_is_reachable(server):
    """The server's own sockets, another program's, pasta, and the namespaces that hold it all."""
    bound = user_socket(server, "agent")
    tries = f"""
import glob, os, socket
for path in [{str(server.settings.socket)!r}, {str(server.settings.admin_socket)!r}, {str(server.settings.xds_socket)!r}, {str(bound)!r}]:
    try: socket.socket(socket.AF_UNIX).connect(path); print("reached", path)
    except OSError: pass
print([name for name in os.listdir("/proc") if name.isdigit() and "pasta" in open(f"/proc/{{name}}/comm").read()])
for path in glob.glob("/proc/1/ns/*"):
    try: os.open(path, os.O_RDONLY); print("opened", path)
    except OSError: pass
try: os.kill(-1, 0)
except OSError: pass
"""
    assert server("run", "--", sys.executable, "-c", tries) == "[]"
    bound.unlink()


def user_socket(user, name):
    """A socket such as an agent's, which anything that reaches it may use."""
    path = user.directory / "home" / name
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    path.chmod(0o777)
    threading.Timer(30, listener.close).start()
    return path


def test_it_ends_as_the_command_does(server):
    assert server.result("run", "--", "sh", "-c", "exit 7").returncode == 7
    assert server.result("run", "--", "no-such-command").returncode == 127
    assert server.result("run", "--", "sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM
    assert server.result("run", "--", "sh", "-c", "cat; echo err >&2", input="in").stdout == "in"


def test_a_terminal_is_the_programs(server):
    run = server.command(
        "run",
        "-p",
        "8284",
        "--",
        "sh",
        "-c",
        "trap 'echo inter''rupted; exit 3' INT; echo be''gun; while :; do sleep 0.1; done",
    )
    with Terminal(*run, environment=server.environment) as terminal:
        terminal.expect("begun")
        terminal.type("\x03")
        terminal.expect("interrupted")
        assert terminal.process.wait(10) == 3


def test_twenty_at_once_share_one_server_and_when_it_goes_everything_has_gone(user: Ordinary):
    with ThreadPoolExecutor(20) as pool:
        runs = [pool.submit(user, "run", "-f", RULE, "--", *CODE, "http://httpbin.org/get") for _ in range(20)]
        assert [run.result() for run in runs] == ["200"] * 20
    eventually(lambda: not user.processes(), seconds=20)


def test_envoy_killed_lets_nothing_out_and_is_back(server, outside):
    with server.start(
        "run", "--", "sh", "-c", f"while read x; do {' '.join(CODE)} http://httpbin.org/; done"
    ) as program:
        for _ in range(2):
            assert ask(program) == "404"
            os.kill(eventually(lambda: server.status()["proxy"]["pid"]), signal.SIGKILL)
            eventually(lambda: ask(program) == "404")
        program.stdin.close()
    assert not outside.packets()


def ask(program):
    program.stdin.write("\n")
    program.stdin.flush()
    return program.stdout.read(3)


def test_the_server_killed_the_next_one_takes_over(server):
    server("create", "-f", RULE, "-n", "shop")
    with server.start(
        "run", "-n", "shop", "--", "sh", "-c", f"while read x; do {' '.join(CODE)} http://httpbin.org/; done"
    ) as program:
        assert ask(program) == "200"
        os.kill(server.status()["pid"], signal.SIGKILL)
        assert ask(program) == "200"
        server("up")
        assert ask(program) == "200"
        server("delete", "egressrule", "httpbin-egress-rule", "-n", "shop")
        assert ask(program) == "404"
        program.stdin.close()


def test_what_runs_while_the_server_is_stopped_reaches_nothing_and_the_next_one_serves_it(server):
    server("create", "-f", RULE)
    with server.start(
        "run", "--", "sh", "-c", f"while read x; do {' '.join(CODE)} http://httpbin.org/get; done"
    ) as program:
        assert ask(program) == "200"
        server("down")
        assert ask(program) == "000"
        server("up")
        eventually(lambda: ask(program) == "200")
        program.stdin.close()


def test_what_goes_past_the_proxy_and_what_is_cut_need_no_root_either(server, outside):
    create(
        server,
        direct("network", cidrs=["198.18.5.0/24"]),
        direct("name", hosts=["a.lab.test"]),
        direct("proxied", cidrs=["198.18.8.0/24"], is_direct=False),
    )
    tried = ["198.18.5.7:7", "a.lab.test:7", "198.18.8.7:7"]
    assert tries(server, *tried, "198.18.9.9:7", "198.18.5.7:25") == {
        **dict.fromkeys(tried, "hello"),
        "198.18.9.9:7": "closed",
        "198.18.5.7:25": "closed",
    }
    assert {(fact["address"], fact["port"]) for fact in outside.connections()} == {
        ("198.18.5.7", 7), ("198.18.8.7", 7), (Lab.address("a.lab.test"), 7),
    }  # fmt: skip
    with holding(server, "busy", *tried) as line:
        for rule, what in zip(("network", "name", "proxied"), tried, strict=True):
            began = time.time()
            server("delete", "egressrules.exitway.dev", rule)
            word, cut, when = line()
            assert (word, cut) == ("cut", what)
            assert float(when) - began < SOON_SECONDS


def test_pasta_killed_comes_back(server, outside):
    server("create", "-f", RULE)
    before = [pid for pid, name in server.processes().items() if name.startswith("pasta")]
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: server.result("run", "--", *CODE, "http://httpbin.org/get").stdout == "200")
    assert server("run", "--", *CODE, "http://other.lab.test/") == "404"
    assert {fact["name"] for fact in outside.connections()} == {"httpbin.org"}


@pytest.mark.parametrize("and_the_server", [False, True])
def test_the_keeper_killed_ends_the_home_and_the_next_run_has_another(server, outside, and_the_server):
    server("create", "-f", RULE)
    with server.start(
        "run", "--", "sh", "-c", f"while read x; do {' '.join(CODE)} http://httpbin.org/get; done"
    ) as program:
        assert ask(program) == "200"
        holder = json.loads((server.settings.runtime_dir / "home.json").read_text())["pid"]
        keeper = int(Path(f"/proc/{holder}/stat").read_text().rpartition(")")[2].split()[1])
        pid = server.status()["pid"]
        if and_the_server:
            os.kill(pid, signal.SIGKILL)
        os.kill(keeper, signal.SIGKILL)
        eventually(lambda: ask(program) in {"000", "503"})
        if not and_the_server:
            eventually(lambda: pid not in server.processes())
        assert server("run", "--", *CODE, "http://httpbin.org/get") == "200"
        assert server("run", "--", *CODE, "http://other.lab.test/") == "404"
        assert ask(program) in {"000", "503"}
        program.stdin.close()
    assert {fact["name"] for fact in outside.connections()} == {"httpbin.org"}


def test_a_dns_server_on_this_machines_loopback_is_asked(user, outside, lab):
    resolv_conf = user.directory / "resolv.conf"
    resolv_conf.write_text("nameserver 127.0.0.53\n")
    user.setting = [f"mount --bind {resolv_conf} /etc/resolv.conf"]
    asked = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as local:
        local.bind(("127.0.0.53", 53))

        def forward():
            while True:
                try:
                    query, client = local.recvfrom(4096)
                except OSError:
                    return
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
                    upstream.sendto(query, ("198.18.0.53", 53))
                    asked.append(query)
                    local.sendto(upstream.recv(4096), client)

        threading.Thread(target=forward, daemon=True).start()
        assert user("run", "-f", RULE, "--", *CODE, "http://httpbin.org/get") == "200"
    assert asked
    assert {fact["address"] for fact in outside.connections()} == {lab.address("httpbin.org")}


def test_a_published_port_carries_much_and_a_half_closed_connection(server):
    with server.start("run", "-p", "8287", "--", sys.executable, "-c", COUNTS) as program:
        eventually(lambda: said_of(b"x") == b"1")
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(said_of, [bytes(5_000_000)] * 8)) == {b"5000000"}
        program.terminate()


def said_of(data):
    """What the program answers when we have said everything."""
    try:
        with socket.create_connection(("127.0.0.1", 8287), timeout=10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").read()
    except OSError:
        return b""


def test_a_port_that_is_taken_is_said_and_nothing_is_run(server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = server.result("run", "-p", taken.getsockname()[1], "--", "echo", "begun")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("EXW0703 port")


def test_the_api_over_tcp_and_the_metrics_are_at_this_machines_address(user):
    user("up", "--tcp", "127.0.0.1:8285", "--metrics", "127.0.0.1:8286")
    assert fetch("127.0.0.1:8285") == 401
    with urlopen("http://127.0.0.1:8286/metrics", timeout=5) as answer:
        assert b"exitway_build_info" in answer.read()


NO_NAMESPACES = (
    *("unshare", "--user", f"--map-user={USER}", f"--map-group={USER}", "--keep-caps", "sh", "-c"),
    'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"',
    "sh",
)
"""The limit is that of the user namespace in which it is written: one of the test's own."""
LACKS = {
    # what is missing: (the machine's setting, what stands before the user's command, the problem, what to do)
    "pasta": (
        "mount --bind /dev/null $(command -v pasta)",
        (),
        "EXW1102 sealing a command as an ordinary user needs `pasta`",
        "passt",
    ),
    "tun": ("mount -t tmpfs tmpfs /dev/net", (), "EXW1101 /dev/net/tun, which pasta needs, cannot be opened: ", "0666"),
    "namespaces": (
        "",
        NO_NAMESPACES,
        "EXW1101 this system gives an ordinary user no namespaces: ",
        "user.max_user_namespaces",
    ),
}


@pytest.mark.parametrize("arguments", [("run", "--", "echo", "begun"), ("up",), ("serve",)])
@pytest.mark.parametrize("lacking", LACKS)
def test_what_is_missing_is_said_and_nothing_is_run(user, lacking, arguments):
    setting, user.before, problem, hint = LACKS[lacking]
    user.setting = [setting]
    result = user.result(*arguments)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(problem)
    assert hint in result.stderr
    assert not user.processes()
