"""Who reaches the API: the user, from the server's own network; over TCP those with the token. Everybody else is told no."""

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse

from exitway.api.guard import is_local, token
from exitway.api.listen import serve_tls, tcp_socket, unix_socket
from exitway.cluster.authority import renewed
from exitway.cluster.certificates import load_chain
from exitway.resources.problem import Problems

ANOTHER_USER = pytest.mark.skipif(
    os.geteuid() != 0 or int(Path("/proc/self/uid_map").read_text().split()[2]) <= 65534,
    reason="only the machine's root can play another user",
)
SERVER = """
import asyncio, sys
from pathlib import Path
from exitway.api.app import create_app
from exitway.api.listen import serve, unix_socket
from exitway.store.store import Store

async def programmed(revision): return []

async def main(directory):
    with Store(directory / "store.db") as store, unix_socket(directory / "run" / "api.sock") as unix:
        print("ready", flush=True)
        await serve(create_app(store, programmed), unix, asyncio.Event())

asyncio.run(main(Path(sys.argv[1])))
"""
CLIENT = """
import os, socket, sys
directory, name, uid = sys.argv[1:]
os.chdir(directory)
if uid != str(os.geteuid()):
    os.setresuid(int(uid), int(uid), int(uid))
client = socket.socket(socket.AF_UNIX)
client.connect(name)
client.sendall(b"GET /version HTTP/1.0\\r\\n\\r\\n")
print(client.makefile("rb").read().decode().splitlines()[0])
"""


def client(path, *before, uid=None):
    arguments = [path.parent, path.name, str(os.geteuid() if uid is None else uid)]
    command = [*before, sys.executable, "-c", CLIENT, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.fixture
def server(tmp_path):
    """A server process that can be killed."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, tmp_path], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_only_the_user_and_only_from_the_servers_network_namespace(api):
    assert client(api.socket) == "HTTP/1.1 200 OK"
    assert client(api.socket, "unshare", "--net") == "HTTP/1.1 403 Forbidden"
    assert client(api.socket, "unshare", "--user", "--map-root-user", "--net") == "HTTP/1.1 403 Forbidden"
    assert client(api.socket, "unshare", "--user", "--map-root-user") == "HTTP/1.1 200 OK"


@ANOTHER_USER
def test_another_user_is_refused_even_if_the_files_let_him_pass(api):
    assert client(api.socket, uid=65534).startswith("PermissionError")
    api.socket.parent.chmod(0o711)
    api.socket.chmod(0o666)
    assert client(api.socket, uid=65534) == "HTTP/1.1 403 Forbidden"


def test_a_refused_peer_learns_why(api):
    program = (
        f"import socket; s = socket.socket(1); s.connect({str(api.socket)!r}); print(s.makefile('rb').read().decode())"
    )
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    head, _, body = done.stdout.partition("\n\n")
    assert "connection: close" in head
    assert "network namespace" in json.loads(body)["message"]


def test_the_socket_is_the_users_alone_and_gone_at_the_end(tmp_path):
    path = tmp_path / "run" / "api.sock"
    with unix_socket(path):
        assert [stat.S_IMODE(entry.stat().st_mode) for entry in (path.parent, path)] == [0o700, 0o600]
    assert not path.exists()


def test_a_living_servers_socket_is_not_replaced_and_a_killed_ones_is(server, tmp_path):
    path = tmp_path / "run" / "api.sock"
    with pytest.raises(Problems, match="EXW0602"), unix_socket(path):
        pass
    assert client(path) == "HTTP/1.1 200 OK"
    server.send_signal(signal.SIGKILL)
    server.wait()
    assert path.exists()
    with unix_socket(path) as listener:
        assert listener.getsockname() == str(path)


@pytest.mark.parametrize("what", ["a file", "a link", pytest.param("another user's", marks=ANOTHER_USER), "too long"])
def test_a_directory_that_is_not_ours_is_refused(tmp_path, what):
    run = tmp_path / "run"
    if what == "a file":
        run.write_text("")
    elif what == "a link":
        (tmp_path / "elsewhere").mkdir()
        run.symlink_to("elsewhere")
    elif what == "another user's":
        run.mkdir()
        os.chown(run, 65534, 65534)
    else:
        run = tmp_path / ("x" * 120)
    with pytest.raises(Problems, match="EXW0601"), unix_socket(run / "api.sock"):
        pass


def test_a_stop_ends_watches_lets_requests_finish_and_leaves_signals_alone(tmp_path):
    program = SERVER.replace("asyncio.Event())", "stop)").replace(
        'print("ready"',
        'stop = asyncio.Event()\n        asyncio.get_running_loop().add_signal_handler(15, stop.set)\n        print("ready"',
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process, contextlib.closing(socket.socket(socket.AF_UNIX)) as watch:
        assert process.stdout
        process.stdout.readline()
        watch.connect(str(tmp_path / "run" / "api.sock"))
        watch.sendall(b"GET /apis/exitway.dev/v1/egressrules?watch=true HTTP/1.1\r\nhost: x\r\n\r\n")
        assert watch.recv(4096).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        process.terminate()
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")
        assert time.monotonic() - began < 2
        assert b"".join(iter(lambda: watch.recv(4096), b"")) in (b"", b"0\r\n\r\n")
    assert not (tmp_path / "run" / "api.sock").exists()


def basic(password, user="exitway"):
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def test_over_tcp_the_token_is_asked_for(api):
    cases = [
        ({}, 401),
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Bearer {api.token}x"}, 401),
        ({"authorization": api.token}, 401),
        ({"authorization": basic("wrong")}, 401),
        ({"authorization": "Basic !!"}, 401),
        ({"authorization": f"Bearer {api.token}"}, 200),
        ({"authorization": basic(api.token)}, 200),
        ({"authorization": basic(api.token, user="")}, 200),
    ]
    for headers, status in cases:
        answer = api.ask("GET", "/version", connection=api.tcp(), **headers)
        assert answer.status == status, headers
        assert status == 200 or (answer.json["reason"], answer.headers["www-authenticate"]) == (
            "Unauthorized",
            'Bearer realm="exitway"',
        )


def test_over_tcp_a_name_that_could_be_pointed_here_is_refused(api):
    for host, status in (
        ("evil.example", 403),
        ("evil.example:80", 403),
        ("localhost", 200),
        (f"127.0.0.1:{api.port}", 200),
    ):
        assert (
            api.ask("GET", "/version", connection=api.tcp(), host=host, authorization=f"Bearer {api.token}").status
            == status
        )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST:80", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("[::1]:8001", True),
        ("10.0.0.7:8001", True),
        ("", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("[::1].evil.example", False),
        ("[evil.example]", False),
        ("[127.0.0.1", False),
    ],
)
def test_an_address_or_localhost_is_local(host, expected):
    assert is_local(host) is expected


def test_the_token_is_made_once_for_the_user_alone(tmp_path):
    path = tmp_path / "state" / "token"
    secret = token(path)
    assert (len(secret) > 40, stat.S_IMODE(path.stat().st_mode), token(path)) == (True, 0o600, secret)
    path.chmod(0o640)
    with pytest.raises(Problems, match="EXW0605"):
        token(path)
    path.chmod(0o600)
    path.write_text("\n")
    with pytest.raises(Problems, match="empty"):
        token(path)


@pytest.mark.parametrize(
    "address", ["", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:99999", "198.18.0.9:80", "a..b:80"]
)
def test_a_bad_address_is_a_problem(address):
    with pytest.raises(Problems, match="EXW0603"):
        tcp_socket(address).close()


def test_an_address_without_a_host_is_loopback():
    with tcp_socket(":0") as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_many_clients_at_once(api):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(api.ask("GET", "/version").status)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 50


UVICORNS_OWN_SECONDS = 5


def test_the_connection_of_a_webhook_is_the_callers_to_close(tmp_path):
    made = renewed({}, ["localhost"], datetime.now(UTC))
    assert made
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_chain(context, made["tls.crt"], made["tls.key"])

    async def call_twice():
        stop, listener = asyncio.Event(), socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(serve_tls(PlainTextResponse("here"), listener, context, stop))
        trust = ssl.create_default_context(cadata=made["ca.crt"].decode())
        reader, writer = await asyncio.open_connection(*listener.getsockname(), ssl=trust, server_hostname="localhost")
        answers = []
        for pause in (0, UVICORNS_OWN_SECONDS + 1):
            await asyncio.sleep(pause)
            writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            answers.append((await reader.readuntil(b"here"))[:15])
        writer.close()
        stop.set()
        await serving
        return answers

    assert asyncio.run(call_twice()) == [b"HTTP/1.1 200 OK"] * 2
