import asyncio
import socket
import subprocess
import sys
import threading
import time

import dns.message
import dns.query
import pytest

from exitway.capture.netns import in_netns
from exitway.dns.answer import answer
from exitway.dns.server import NameServer, workload_sockets
from exitway.dns.synthetic import SyntheticAddresses
from tests.capture.sealed import started

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def netns():
    """The sealed namespace of a command, with a resolver that serves it from outside."""
    with started("sh", "-c", "echo ready; read line") as run:
        path = run.netns
        loop, stop, began = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

        async def serve():
            addresses = SyntheticAddresses()

            async def answer_it(query, _):
                return answer(query, addresses)

            resolver = NameServer(in_netns(path, workload_sockets), answer_it)
            began.set()
            await stop.wait()
            resolver.close()

        thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
        thread.start()
        began.wait()
        yield path
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.mark.parametrize("ask", [dns.query.udp, dns.query.tcp])
@pytest.mark.parametrize("server", ["240.240.0.1", "2001:2::1", "127.0.0.1"])
def test_it_answers_at_every_address_over_udp_and_tcp(netns, ask, server):
    query = dns.message.make_query("a.example", "A")
    response = in_netns(netns, lambda: ask(query, server, timeout=5))
    assert response.answer[0][0].address == "240.240.0.2"


def test_programs_resolve_names_there(netns, tmp_path):
    own = tmp_path / "resolv.conf"

    def resolve():
        program = "import socket; print(sorted({info[4][0] for info in socket.getaddrinfo('a.example', 80)}))"
        script = f'mount --bind $1 /etc/resolv.conf; exec {sys.executable} -c "{program}"'
        own.write_text("nameserver 240.240.0.1\nsearch .\n")
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "-", own], capture_output=True, text=True, check=True
        ).stdout

    assert in_netns(netns, resolve) == "['2001:2::2', '240.240.0.2']\n"


def test_a_conversation_holds_many_queries_and_rubbish_ends_it(netns):
    def talk():
        with socket.create_connection(("240.240.0.1", 53), timeout=5) as talk:
            for name in ("a.example", "b.example"):
                query = dns.message.make_query(name, "A").to_wire()
                talk.sendall(len(query).to_bytes(2) + query)
                length = int.from_bytes(talk.recv(2))
                dns.message.from_wire(talk.recv(length))
            talk.sendall(b"\x00\x01x")
            return talk.recv(1)

    assert in_netns(netns, talk) == b""


def test_a_crowd_is_turned_away_and_the_others_are_served(netns):
    def served():
        with socket.create_connection(("240.240.0.1", 53), timeout=5) as talk:
            query = dns.message.make_query("a.example", "A").to_wire()
            try:
                talk.sendall(len(query).to_bytes(2) + query)
                return talk.recv(1) != b""
            except OSError:
                return False

    def crowd():
        talks = [socket.create_connection(("240.240.0.1", 53), timeout=5) for _ in range(32)]
        turned_away = not served()
        for talk in talks:
            talk.close()
        until = time.monotonic() + 5
        while not served():
            assert time.monotonic() < until
        return turned_away

    assert in_netns(netns, crowd)
