"""Names in TLS and HTTP, and DNS, through a real sealed connection to the real Envoy: nothing but what is allowed arrives, and nothing dies."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitway.attack import wire
from exitway.attack.judge import leaks
from tests.attacks.conftest import boundary  # noqa: F401 - a fixture
from tests.fuzz.budget import while_there_is_time
from tests.fuzz.test_readers import messages

pytestmark = pytest.mark.lab

SENDER = r"""
import base64, concurrent.futures, json, socket, sys

def send(one):
    name, port, data = one
    data = base64.b64decode(data)
    try:
        if port == 53:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                datagrams.settimeout(0.1)
                datagrams.connect((name, port))
                datagrams.send(data)
                return len(datagrams.recv(65536))
        with socket.create_connection((name, port), 1) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(0.5)
            return len(connection.recv(1000))
    except OSError:
        return -1

with concurrent.futures.ThreadPoolExecutor(16) as pool:
    for line in sys.stdin:
        print(json.dumps(list(pool.map(send, json.loads(line)))), flush=True)
"""

ALLOWED, REFUSED, BARRED = "a.lab.test", "b.lab.test", "denied.wild.lab.test"
ODD = st.sampled_from(
    [
        "\0",
        "\r",
        "\n",
        "\r\n",
        " ",
        "\t",
        ".",
        "..",
        "@",
        "#",
        "?",
        "/",
        "\\",
        ":",
        ":80",
        ":443",
        "[",
        "]",
        "%00",
        "%2e",
        "%",
        "*",
        ",",
        ";",
        "\x7f",
        "\x80",
        "\u3002",
        "_",
        "-",
    ]
)
PARTS = st.sampled_from(
    [
        ALLOWED,
        REFUSED,
        BARRED,
        "wild.lab.test",
        "x.wild.lab.test",
        "lab.test",
        "198.18.9.9",
        "[2001:db8::9]",
        "127.0.0.1",
        "localhost",
        "exitway",
        "h-80",
        "host.exitway.internal",
    ]
)


@st.composite
def names(draw):
    """Two names grown together, or one grown upon."""
    text = "".join(draw(st.lists(PARTS | ODD, min_size=1, max_size=4)))
    return draw(st.sampled_from([str, str, str.upper, str.title]))(text)


TARGETS = (
    st.just("/")
    | names().map(lambda name: f"http://{name}/")
    | names()
    | st.sampled_from(["*", "", "//x", "/../", "/%2e%2e/", "/\0"])
)
METHODS = st.sampled_from(["GET", "GET", "POST", "CONNECT", "TRACE", "PRI", "get", "G\0ET", "OPTIONS", "FOO"])
HEADERS = st.one_of(
    names().map("Host: {}".format),
    st.tuples(
        st.sampled_from(
            [
                "Host ",
                " Host",
                "hOST",
                "Host\t",
                "\tHost",
                "Host\0",
                "X-Forwarded-Host",
                "x-envoy-original-dst-host",
                ":authority",
                "x-envoy-original-path",
            ]
        ),
        names(),
    ).map(": ".join),
    st.sampled_from(
        [
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: x",
            "Content-Length: 5",
            "Content-Length: 0",
            "Content-Length: -1",
            "Connection: Upgrade",
            "Upgrade: h2c",
            "Upgrade: websocket",
            "Connection: close",
        ]
    ),
)
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n "])


@st.composite
def requests(draw):
    """One or two heads, ended in any way."""
    text = ""
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2", ""]))
        text += f"{draw(METHODS)} {draw(TARGETS)} {version}" + draw(ENDS)
        text += "".join(header + draw(ENDS) for header in draw(st.lists(HEADERS, max_size=5))) + "\r\n"
    return text.encode("utf-8", "surrogateescape")


@st.composite
def streams(draw):
    """HTTP/2 by hand."""
    pseudo = st.tuples(
        st.sampled_from(
            [b":authority", b":method", b":scheme", b":path", b":protocol", b"host", b"connection", b"te", b"x"]
        ),
        names().map(lambda name: name.encode()[:120]) | st.sampled_from([b"GET", b"CONNECT", b"http", b"/"]),
    )
    frames = wire.PREFACE + wire.settings()
    for stream in (1, 3):
        fields = draw(st.lists(pseudo, max_size=6))
        frames += (
            wire.get(stream, draw(names()).encode()[:120], *fields)
            if draw(st.booleans())
            else wire.headers(stream, *fields)
        )
    return frames + draw(st.binary(max_size=30))


@st.composite
def hellos(draw):
    """A ClientHello with one name, none or several, whole or cut into records, with some bytes changed."""
    name = draw(st.none() | names().map(lambda text: text.encode()[:300]))
    further = draw(
        st.lists(
            st.builds(
                wire.extension,
                st.sampled_from([0, 0, 16, 0xFE0D, 43, 51, 21]) | st.integers(0, 65535),
                st.binary(max_size=40),
            ),
            max_size=3,
        )
    )
    hello = bytearray(wire.records(wire.client_hello(name, *further)[5:], draw(st.sampled_from([1, 3, 50, 16384]))))
    for at, byte in draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3)):
        hello[at % len(hello)] = byte
    return bytes(hello)


def to(names_, port, payloads):
    return st.tuples(st.sampled_from(names_), st.just(port), payloads)


SENT = st.lists(
    to((ALLOWED, REFUSED, "198.18.9.9"), 80, requests() | streams() | hellos())
    | to((ALLOWED, REFUSED, "198.18.9.9"), 443, hellos() | requests())
    | to(("127.0.0.1",), 53, messages()),
    min_size=4,
    max_size=16,
)


@pytest.fixture
def sender(boundary) -> Iterator[subprocess.Popen[str]]:  # noqa: F811
    with boundary.server.start("run", "-n", "shop", "--name", "fuzz", "--", sys.executable, "-c", SENDER) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@while_there_is_time
@given(SENT)
def test_nothing_but_what_is_allowed_arrives_and_nothing_dies(boundary, sender, sent):  # noqa: F811
    proxy = boundary.server.status()["proxy"]
    outside = boundary.lab.watch()
    sender.stdin.write(json.dumps([(name, port, base64.b64encode(data).decode()) for name, port, data in sent]) + "\n")
    sender.stdin.flush()
    assert len(json.loads(sender.stdout.readline())) == len(sent)
    assert not leaks(outside.facts(), boundary.target)
    assert boundary.server.status()["proxy"] == proxy
