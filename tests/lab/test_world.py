"""The world is real: what a test finds missing there was stopped on the way."""

import ipaddress
import json
import socket
import ssl
import subprocess
import urllib.request

import grpc
import httpx
import pytest
from websockets.sync.client import connect

from exitway.lab import zone
from exitway.lab.lab import Arrivals, Lab
from exitway.names.guard import NEVER, PRIVATE

pytestmark = pytest.mark.lab


def get(url: str, context: ssl.SSLContext | None = None) -> dict[str, object]:
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def test_httpbin_answers_by_its_name(outside: Arrivals) -> None:
    assert get("http://httpbin.org/headers")["headers"]["Host"] == "httpbin.org"  # type: ignore[index]
    assert "httpbin.org" in outside.queries()
    assert [fact["path"] for fact in outside.requests()] == ["/headers"]


def test_an_unknown_name_does_not_exist_and_the_question_is_recorded(outside: Arrivals) -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("secret.nowhere.test", 80)
    assert "secret.nowhere.test" in outside.queries()


@pytest.mark.parametrize(
    "url", ["http://9.9.9.9/", "http://10.1.2.3:8080/", "http://169.254.169.254/", "http://[2001:db8::99]:8000/"]
)
def test_the_world_answers_at_every_address(lab: Lab, url: str) -> None:
    assert str(get(url)["address"]) in url


def test_tls_is_trusted_inside_the_lab_except_where_nobody_signed(lab: Lab) -> None:
    trusting = ssl.create_default_context(cafile=lab.ca_file)
    assert get("https://api.github.com/users", trusting)["sni"] == "api.github.com"
    with pytest.raises(OSError, match="self-signed"):
        get("https://untrusted.lab.test/", trusting)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:db8::88"])
def test_echo_answers_over_tcp_and_udp(lab: Lab, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as client:
            client.settimeout(5)
            client.connect((address, 7))
            client.sendall(b"hello")
            assert client.recv(10) == b"hello"


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:db8::88"])
def test_the_world_answers_though_it_has_forgotten_where_we_are(lab: Lab, address: str) -> None:
    world = subprocess.check_output(["pgrep", "-f", f"exitway.lab.world {lab.directory}"], text=True).split()[0]
    for _ in range(2):  # the second time we know the way and do not ask for it: nobody tells the world where we are
        with socket.create_connection((address, 7), timeout=3) as client:
            client.sendall(b"hello")
            assert client.recv(10) == b"hello"
        subprocess.run(["nsenter", "-t", world, "-n", "ip", "neigh", "flush", "dev", "world0"], check=True)


def test_some_servers_speak_first(lab: Lab) -> None:
    with socket.create_connection(("a.lab.test", 3306), timeout=5) as client:
        assert client.recv(100) == b"220 a.lab.test speaks first\r\n"


def test_the_witness_sees_every_attempt_whether_or_not_somebody_listens(lab: Lab, outside: Arrivals) -> None:
    assert outside.packets() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("198.18.9.9", 81), timeout=5)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("2001:db8::9", 443))
    subprocess.run(["ping", "-c1", "-W1", "198.18.9.9"], check=True, capture_output=True)
    assert [(fact["protocol"], fact["address"], fact["port"]) for fact in outside.packets()] == [
        ("tcp", "198.18.9.9", 81),
        ("udp", "2001:db8::9", 443),
        ("icmp", "198.18.9.9", 0),
    ]


def test_a_test_can_move_a_name(lab: Lab, outside: Arrivals) -> None:
    lab.move("a.lab.test", "198.18.7.7")
    assert {item[4][0] for item in socket.getaddrinfo("a.lab.test", 80)} == {"198.18.7.7"}
    lab.restore()
    assert lab.address("a.lab.test") in {item[4][0] for item in socket.getaddrinfo("a.lab.test", 80)}


@pytest.mark.parametrize("url", ["http://a.lab.test:8080/", "https://a.lab.test/"])
def test_http_2_is_spoken_with_whoever_speaks_it(lab: Lab, outside: Arrivals, url: str) -> None:
    with httpx.Client(http1=False, http2=True, verify=ssl.create_default_context(cafile=lab.ca_file)) as client:
        assert client.post(url, content=b"x" * 3_000_000).json()["length"] == 3_000_000
        assert len(client.get(url + "bytes/3000000").content) == 3_000_000
    assert [(fact["connection"], fact["version"]) for fact in outside.requests()] == [
        (outside.requests()[0]["connection"], "HTTP/2")
    ] * 2


def test_grpc_is_answered_message_by_message(outside: Arrivals) -> None:
    with grpc.insecure_channel("a.lab.test:8080") as channel:
        chat = channel.stream_stream("/lab.Echo/Chat")(iter([b"one", b"", b"three"]), timeout=5)
        assert list(chat) == [b"one", b"", b"three"]
        assert list(channel.unary_stream("/lab.Echo/Repeat")(b"x", timeout=5)) == [b"x"] * 3
    assert [fact["path"] for fact in outside.requests()] == ["/lab.Echo/Chat", "/lab.Echo/Repeat"]


def test_a_websocket_says_what_is_said_to_it() -> None:
    with connect("ws://a.lab.test:8080/") as stream:
        for said in ("x", "y" * 126, b"z" * 70_000, ""):
            stream.send(said)
            assert stream.recv(5) == said


def test_bulk_goes_both_ways_and_a_half_closed_connection_is_answered() -> None:
    with socket.create_connection(("a.lab.test", 9), timeout=5) as client:
        client.sendall(b"x" * 1_000_000)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"1000000\n"
    with socket.create_connection(("a.lab.test", 19), timeout=5) as client, client.makefile("rb") as stream:
        client.sendall(b"3000000\n")
        assert len(stream.read()) == 3_000_000


def test_aliases_lead_to_the_addresses_of_their_ends() -> None:
    assert {item[4][0] for item in socket.getaddrinfo("alias.lab.test", 80)} == set(zone.ADDRESSES["a.lab.test"])
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("loop.lab.test", 80)


def test_for_each_network_that_no_name_may_lead_to_there_is_a_name_that_does() -> None:
    addresses = [ipaddress.ip_address(address) for found in zone.INSIDE.values() for address in found]
    for network in map(ipaddress.ip_network, (*PRIVATE, *NEVER)):
        assert any(address in network for address in addresses), network
