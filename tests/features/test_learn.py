"""The rules that are learned from a real program let it do the same again, and nothing else; the tests that are learned with them are green."""

import contextlib
import functools
import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from exitway.lab import database, zone
from tests.features.conftest import EXAMPLES, Exitway, eventually
from tests.features.ordinary import ordinary_user

pytestmark = pytest.mark.lab

CLIENTS = Path(__file__).parent / "clients"
CODE = "curl -sS -m 10 -o /dev/null -w '%{http_code} '"


def get(*calls):
    """Each as curl is told of it."""
    return "; ".join(f"{CODE} {call}" for call in calls)


FOURTH = get("http://wild.lab.test:8080/")


def entries(file):
    """What the rules of a file let out."""
    return [to for rule in yaml.safe_load_all(file.read_text()) for to in rule["spec"]["to"]]


def let_out(file):
    """Of each name or network, the ports with what is spoken there, and of requests what is asked."""
    said: dict[str, list[str]] = {}
    for to in entries(file):
        requests = [f"{method} {path}" for method in to.get("methods", []) for path in to.get("paths", [])]
        for destination in to.get("hosts") or to["cidrs"]:
            ports = [f"{port['number']}/{port['protocol']}" for port in to["ports"]]
            said.setdefault(destination, []).extend(
                f"{port} {one}".strip() for port in ports for one in requests or [""]
            )
    return {destination: sorted(of) for destination, of in said.items()}


@pytest.fixture
def learn(exitway, tmp_path):
    return Lesson(exitway, tmp_path / "rules.yml", tmp_path / "tests.yml")


@dataclass
class Lesson:
    """Runs a shell command with ``--learn``, and checks what holds of every lesson: its proof, its tests, the command under the rules."""

    exitway: Exitway
    rules: Path
    tests: Path

    def __call__(self, command, *options, again=True, check=True):
        exitway, rules, tests = self.exitway, self.rules, self.tests
        files = ["--learn", rules, "--tests", tests, "--overwrite"]
        first = exitway.result("run", *files, *options, "--", "sh", "-c", command)
        assert first.returncode == 0 or not check, first.stderr
        assert "EXW" not in first.stderr or not check, first.stderr
        assert (
            exitway("test", tests)
            .splitlines()[-1]
            .startswith(f"{len(re.findall('^      - ', tests.read_text(), re.MULTILINE))} passed")
        )
        if again:
            once_more = exitway.result(
                "run", "--require-enforce", "-f", rules, "--", "sh", "-c", f"{command}; {FOURTH}"
            )
            assert once_more.stdout == f"{first.stdout}404 ", once_more.stderr
        return first


def test_three_hosts_by_curl(learn, outside):
    said = learn(get("http://httpbin.org/get", "http://a.lab.test:8000/x?secret=1", "-X POST http://b.lab.test:8080/y"))
    assert said.stdout == "200 200 200 "
    assert "3 destinations from 3 different calls; replayed, they pass" in said.stderr
    assert let_out(learn.rules) == {
        "httpbin.org": ["80/HTTP GET /get"],
        "a.lab.test": ["8000/HTTP GET /x"],
        "b.lab.test": ["8080/HTTP POST /y"],
    }
    assert "secret" not in learn.rules.read_text() + learn.tests.read_text()
    assert {fact["name"] for fact in outside.requests()} == {"httpbin.org", "a.lab.test", "b.lab.test"}


def test_every_protocol_as_what_it_is(learn):
    greeted = "timeout 5 nc a.lab.test 25 </dev/null | head -1"
    calls = {
        "TLS": f"{CODE} https://b.lab.test/",
        "TLS at another port": f"{CODE} https://b.lab.test:8443/",
        "HTTP/2": f"{CODE} --http2-prior-knowledge http://c.lab.test:8080/z",
        "HTTP/2 within TLS": f"{CODE} --http2 https://c.lab.test/",
        "TCP by name, the server speaks first": f"{greeted}; {greeted}",
    }
    expected = {
        "a.lab.test": ["25/TCP"],
        "b.lab.test": ["443/TLS", "8443/TLS"],
        "c.lab.test": ["443/TLS", "8080/HTTP2 GET /z"],
    }
    if shutil.which("psql") and database.program():
        calls["PostgreSQL"] = "psql -h db.lab.test -U lab -d postgres -tc 'select 6 * 7'"
        expected["db.lab.test"] = ["5432/TCP"]
    learn("; ".join(calls.values()))
    assert let_out(learn.rules) == expected
    assert "a.lab.test  # 2 times" in learn.rules.read_text()


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@pytest.fixture
def packages(lab, tmp_path):
    """A package index of this machine, at two names, as the real one has."""
    name = "exitway_tiny-1.0-py3-none-any.whl"
    (tmp_path / "index/simple/exitway-tiny").mkdir(parents=True)
    (tmp_path / "index/files").mkdir()
    with zipfile.ZipFile(tmp_path / "index/files" / name, "w") as wheel:
        wheel.writestr("exitway_tiny.py", "ANSWER = 42\n")
        wheel.writestr(
            "exitway_tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: exitway-tiny\nVersion: 1.0\n"
        )
        wheel.writestr(
            "exitway_tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("exitway_tiny-1.0.dist-info/RECORD", "")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "index")
    with http.server.ThreadingHTTPServer((zone.HOST_IPV4, 0), handler) as server:
        link = f'<a href="http://files.lab.test:{server.server_port}/files/{name}">{name}</a>'
        (tmp_path / "index/simple/exitway-tiny/index.html").write_text(link)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lab.move_all({"pypi.lab.test": [zone.HOST_IPV4], "files.lab.test": [zone.HOST_IPV4]})
        yield server.server_port
        server.shutdown()
        lab.restore()


def test_pip_installs_from_an_index(learn, packages, tmp_path):
    python = sys.executable
    hosts = f"--index-url http://pypi.lab.test:{packages}/simple/ --trusted-host pypi.lab.test --trusted-host files.lab.test"
    quiet = "--quiet --isolated --no-cache-dir --no-deps --disable-pip-version-check --upgrade"
    learn(
        f"{python} -m pip install {quiet} {hosts} --target {tmp_path}/site exitway-tiny && "
        f"PYTHONPATH={tmp_path}/site {python} -c 'import exitway_tiny; print(exitway_tiny.ANSWER)'"
    )
    assert let_out(learn.rules) == {
        "pypi.lab.test": [f"{packages}/HTTP GET /simple/exitway-tiny/"],
        "files.lab.test": [f"{packages}/HTTP GET /files/exitway_tiny-1.0-py3-none-any.whl"],
    }


def test_a_java_server_that_is_ended_by_a_signal(exitway, learn, free_port):
    def serving(*options):
        command = ["run", *options, "-p", f"{free_port}:8080", "--", "java", EXAMPLES / "java/EgressHttpbin.java"]
        program = stack.enter_context(exitway.start(*command, stderr=subprocess.PIPE))
        stack.callback(program.kill)
        return program

    def fetch():
        return eventually(lambda: _curl(free_port, "/health"), 60) and _curl(free_port, "/")

    with contextlib.ExitStack() as stack:
        program = serving("--learn", learn.rules, "--tests", learn.tests)
        assert '"Host": "httpbin.org"' in fetch()
        program.send_signal(signal.SIGTERM)
        said = program.communicate(timeout=30)[1]
        assert program.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM), said
        assert "replayed, they pass" in said
        assert let_out(learn.rules) == {"httpbin.org": ["80/HTTP GET /headers"]}
        exitway("test", learn.tests)
        again = serving("-f", learn.rules)
        assert '"Host": "httpbin.org"' in fetch()
        again.send_signal(signal.SIGTERM)
        again.communicate(timeout=30)


def _curl(port, path):
    asked = ["curl", "-s", "-m", "10", f"http://127.0.0.1:{port}{path}"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


ENDS_AT_ONCE = """
import os, socket, ssl, time
context = ssl._create_unverified_context()
held = [context.wrap_socket(socket.create_connection(("b.lab.test", 443)), server_hostname="b.lab.test")]
held.append(socket.create_connection(("a.lab.test", 8080)))
held[1].sendall(b"GET /slow HTTP/1.1\\r\\nHost: a.lab.test\\r\\n\\r\\n")
held[1].recv(1)
held.append(socket.create_connection(("httpbin.org", 80)))
held[2].sendall(b"GET /delay/9 HTTP/1.1\\r\\nHost: httpbin.org\\r\\n\\r\\n")
time.sleep(0.5)
os.write(1, b"said all\\n")
os.kill(os.getpid(), 9)
"""


def test_nothing_is_missing_of_a_program_that_ends_at_once(exitway, learn):
    """One connection stands, one has been answered, of one the answer is yet to come; and the server ends with the program."""
    for _ in range(3):
        result = exitway.result("run", "--learn", learn.rules, "--overwrite", "--", sys.executable, "-c", ENDS_AT_ONCE)
        assert result.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        assert "the program was ended by SIGKILL" in result.stderr
        assert let_out(learn.rules) == {
            "a.lab.test": ["8080/HTTP GET /slow"],
            "b.lab.test": ["443/TLS"],
            "httpbin.org": ["80/HTTP GET /delay/9"],
        }


def test_what_cannot_be_learned_is_said(exitway, learn):
    tried = get(
        "http://httpbin.org/get",
        "http://198.18.1.5:8000/",
        "http://private.lab.test/",
        "http://metadata.lab.test/",
        "http://169.254.169.254/",
        "'http://a.lab.test/a;b'",
        "--path-as-is http://a.lab.test/a/../b",
        "-k --connect-to a.lab.test:443:b.lab.test:443 https://a.lab.test/",
    )
    tried += "; dig @198.18.0.53 +time=1 +tries=1 x.test >/dev/null; exit 7"
    result = learn(tried, check=False, again=False)
    assert result.returncode == 7
    assert let_out(learn.rules) == {"httpbin.org": ["80/HTTP GET /get"]}
    left = learn.rules.read_text().partition("# Not learned:\n")[2]
    for what, why, went_out in (
        ("TCP 198.18.1.5:8000", "no name stands behind the address", True),
        ("GET http://private.lab.test/", "its name leads to 10.1.2.3", True),
        ("GET http://metadata.lab.test/", "nothing was dialled", False),
        ("TCP 169.254.169.254:80", "loopback, link-local or metadata", False),
        ("GET http://a.lab.test/a;b", "no rule can name its path", True),
        ("GET http://a.lab.test/a/../b", "no rule can name its path", True),
        ("TLS a.lab.test:443", "another name than the program had asked for (b.lab.test)", True),
        ("udp 198.18.0.53 port 53", "it is not TCP", False),
    ):
        assert re.search(rf"#   {re.escape(what)}, .*\n#     .*{re.escape(why)}", left), (what, left)
        assert (f"EXW1904 {what} went out, and is not learned" in result.stderr) is went_out, what


def test_more_is_learned_when_that_is_asked_for(learn):
    calls = get(
        "http://a.lab.test/x",
        "http://b.lab.test/x",
        "http://private.lab.test/",
        "'http://c.lab.test/a;b'",
        "http://198.18.1.5:8000/",
    )
    said = learn(calls, "--hosts-only", "--addresses", "--wildcards")
    assert let_out(learn.rules) == {
        "*.lab.test": ["80/HTTP"],
        "10.1.2.3/32": ["80/TCP"],
        "198.18.1.5/32": ["8000/TCP"],
    }
    assert "beyond the recording: *.lab.test lets out every name under lab.test at 80/HTTP" in said.stderr
    assert "beyond the recording: requests of every method and path to *.lab.test" in said.stderr
    assert "TCP is whatever is spoken there: 10.1.2.3/32:80 and 198.18.1.5/32:8000" in said.stderr


def test_what_rules_did_for_the_program_is_learned_with_it(server, learn, lab, tmp_path):
    """TLS that the proxy spoke, and what went past it."""
    rule = tmp_path / "given.yml"
    rule.write_text(
        """
        {apiVersion: exitway.dev/v1, kind: EgressRule, metadata: {name: given}, spec: {to: [
          {hosts: [api.github.com], ports: [{number: 443, protocol: HTTP}], originateTLS: true},
          {hosts: [c.lab.test], ports: [{number: 7, protocol: TCP}], direct: true}]}}
        """
    )
    learn(f"{CODE} http://api.github.com:443/users; echo hello | nc -N c.lab.test 7", "-f", rule)
    github, echo = entries(learn.rules)
    assert (github["hosts"], github["originateTLS"], github["paths"]) == (["api.github.com"], True, ["/users"])
    assert (echo["hosts"], echo["direct"]) == (["c.lab.test"], True)


def test_a_server_that_is_killed_meanwhile_costs_no_more_than_it_did_not_see(exitway, learn):
    with exitway.start(
        "run",
        "--learn",
        learn.rules,
        "--",
        "sh",
        "-c",
        f"{get('http://a.lab.test/x')}; echo; read line",
        stderr=subprocess.PIPE,
    ) as program:
        assert program.stdout.readline() == "200 \n"
        exitway.flow(name="a.lab.test")
        os.kill(exitway.status()["pid"], signal.SIGKILL)
        said = program.communicate("\n", timeout=60)[1]
    assert program.returncode == 0
    assert "EXW090" in said
    assert "something may be missing" in said
    assert let_out(learn.rules) == {"a.lab.test": ["80/HTTP GET /x"]}
    exitway("up")  # it removes what the killed one has left


def test_what_is_no_file_is_written_to_and_stays_what_it_is(exitway, learn, outside):
    exitway("run", "--learn", learn.rules, "--", "sh", "-c", get("http://a.lab.test/x"))
    os.mkfifo(learn.tests)
    with subprocess.Popen(["cat", learn.tests], stdout=subprocess.PIPE, text=True) as reader:
        exitway("learn", "--write", learn.tests, "--overwrite")
        assert reader.communicate(timeout=30)[0].startswith("# Learned")
    assert learn.tests.is_fifo()
    other = learn.rules.with_name("other.yml")
    other.symlink_to(learn.rules.name)
    exitway("learn", "--write", other, "--overwrite")
    assert other.is_symlink()
    assert learn.rules.read_text().startswith("# Learned from what was recorded")
    assert "EXW1902" in exitway.result("learn", "--write", "/dev/full", "--overwrite").stderr


def test_a_file_is_not_overwritten_unasked(exitway, learn, outside):
    learn.rules.write_text("mine")
    refused = exitway.result("run", "--learn", learn.rules, "--tests", "/nowhere/tests.yml", "--", "echo", "it ran")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert {"EXW1901", "EXW1902"} == set(re.findall(r"EXW\d+", refused.stderr))
    assert learn.rules.read_text() == "mine"
    assert exitway.result("run", "--tests", learn.tests, "--", "echo").returncode == 2
    for nothing in ("true", get("http://198.18.1.5:8000/")):
        result = exitway.result("run", "--learn", learn.rules, "--overwrite", "--", "sh", "-c", nothing)
        assert (result.returncode, learn.rules.read_text()) == (0, "mine")
        assert "EXW1903" in result.stderr


def test_rules_from_what_was_recorded_before(exitway, learn, tmp_path):
    """Also when the server has ended, for each kind of workload what that has done, and denials only where they are wanted."""
    for label, urls in ("app=web", ["http://a.lab.test/x", "http://a.lab.test/y"]), ("app=db", ["https://b.lab.test/"]):
        exitway("run", "--audit", "-n", "shop", "-l", label, "--", "sh", "-c", get(*urls))
    exitway("run", "-n", "shop", "-l", "app=web", "--", "sh", "-c", f"{CODE} http://c.lab.test/denied")
    eventually(lambda: exitway.result("status").returncode == 1)

    result = exitway.result("learn", "--since", "1h", "-n", "shop", "--tests", learn.tests)
    assert result.returncode == 0, result.stderr
    learn.rules.write_text(result.stdout)
    assert [rule["spec"]["workloadSelector"]["matchLabels"] for rule in yaml.safe_load_all(result.stdout)] == [
        {"app": "db"},
        {"app": "web"},
    ]
    assert let_out(learn.rules) == {"a.lab.test": ["80/HTTP GET /x", "80/HTTP GET /y"], "b.lab.test": ["443/TLS"]}
    assert "GET http://c.lab.test/denied" in result.stdout.partition("# Not learned:")[2]
    exitway("test", learn.tests, "-f", learn.rules)

    exitway("learn", "-l", "app=web", "--denied", "--write", learn.rules, "--overwrite")
    assert let_out(learn.rules)["c.lab.test"] == ["80/HTTP GET /denied"]
    assert exitway.result("learn", "-n", "nobody").returncode == 1
    assert exitway.result("learn", "--since", "yesterday").returncode == 2


def test_an_ordinary_user_learns_too(lab, tmp_path):
    with ordinary_user() as user:
        home = user.directory / "home"
        user("run", "--learn", home / "rules.yml", "--", "sh", "-c", f"{CODE} http://httpbin.org/get")
        assert let_out(home / "rules.yml") == {"httpbin.org": ["80/HTTP GET /get"]}
        assert (home / "rules.yml").stat().st_uid == home.stat().st_uid
