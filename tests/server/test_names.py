import asyncio
import contextlib
import gc
import os
import signal
import socket
import struct

import dns.exception
import dns.message
import dns.query
import dns.rrset
import pytest

from exitway.dns.cluster import Cluster
from exitway.dns.server import NameServer, loopback_sockets
from exitway.names.address import RESOLVER_IPV4
from exitway.names.call import Reason
from exitway.names.host import Host
from exitway.names.question import Kind
from exitway.processes import Process
from exitway.server.names import Names
from tests.features.conftest import eventually

# the server never waits for the process that it starts: it is to outlive it
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")

MANY = [f"{'x' * 60}.{'y' * 60}.{number}.example" for number in range(500)]


@contextlib.asynccontextmanager
async def serving(directory):
    names = Names(directory, ())
    running = asyncio.create_task(names.run())
    yield names
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    if names._connection:
        names._connection.close()
    names.close()
    gc.collect()  # here, where the warning of the process is expected


def name_process(names):
    """The id of the one that we are connected to; None: there is none now."""
    if names._connection is None:
        return None
    credentials = names._connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return struct.unpack("iII", credentials)[0]


async def until(question):
    """However long it takes on a machine that has much to do."""
    await asyncio.to_thread(eventually, question, 60)


async def pinned(names):
    while not await names.pinned("one"):
        pass


async def kill(names):
    """Returns when another one is there."""
    killed = name_process(names)
    os.kill(killed, signal.SIGKILL)
    await until(lambda: name_process(names) not in (None, killed))


def play_out(play):
    return asyncio.run(asyncio.wait_for(play(), 120))


def test_names_are_pinned_to_addresses_of_their_own_which_outlive_the_name_process(tmp_path):
    async def play():
        async with serving(tmp_path) as names:
            assert names.pin("one", MANY) == {}
            await pinned(names)
            before = names.pin("one", MANY)
            await kill(names)
            assert names.pin("one", MANY) == before
            await pinned(names)
            assert names.pin("one", MANY) == before
            return before

    before = play_out(play)
    assert set(before) == set(MANY)
    assert len({addresses.ipv4 for addresses in before.values()} - {RESOLVER_IPV4}) == len(MANY)


def test_a_name_that_is_not_wanted_any_more_is_let_go(tmp_path):
    async def play():
        async with serving(tmp_path) as names:
            names.pin("one", ["a.example", "b.example"])
            await pinned(names)
            assert names.pin("one", ["b.example", "c.example"]).keys() == {"b.example"}
            await pinned(names)
            assert names.pin("one", ["b.example", "c.example"]).keys() == {"b.example", "c.example"}
            assert names.pin("one", []) == {}
            await pinned(names)

    play_out(play)


def test_what_was_lost_is_held_by_a_name_process_that_comes_later_too(tmp_path):
    """Larger than a message may be: it goes in a file."""
    question = dns.message.make_query("x.example.h-80.one.exitway", "A")
    entries = [(f"{number}.{'x' * 60}.example", 80, Kind.HTTP, True) for number in range(2000)]

    async def play():
        async with serving(tmp_path) as names:
            names.lose("one", [*entries, ("x.example", 80, Kind.HTTP, True)])
            for _ in range(2):
                while names.refusal("one", "x.example", 80) is None:
                    await asyncio.to_thread(ask, question, names.proxy_port)
                assert names.refusal("one", "x.example", 80) is Reason.REVOKED
                await kill(names)
                names._refusals.clear()

    play_out(play)


def test_a_server_that_does_not_read_what_it_is_told_holds_up_nobody(tmp_path):
    workload, sockets = Process.of(os.getpid()), loopback_sockets()
    port = sockets[0].getsockname()[1]
    assert workload

    async def play():
        async with serving(tmp_path) as names:
            await until(names._handed_over.is_set)
            names._send({"add": "one", "pid": workload.pid, "start_time": workload.start_time}, sockets)
            for one in sockets:
                one.close()
            for number in range(1000):  # more than fits into a socket that nobody reads
                await asyncio.to_thread(answer, dns.message.make_query(f"{number}.example", "A"), port)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as deaf:
                deaf.connect(str(tmp_path / "names.sock"))
                names._names.clear()
                names._announced.clear()
                # it waits for a second, not for one with each name
                await asyncio.to_thread(answer, dns.message.make_query("1.example", "A"), port)
            while not names._announced.is_set():
                await names.known()
            return names.names_of("one", [Host.parse("*.example")])

    assert len(play_out(play)) == 1000  # whoever reads is told all


def ask(question, port):
    with contextlib.suppress(dns.exception.Timeout):
        return dns.query.udp(question, "127.0.0.1", port=port, timeout=1)
    return None


def answer(question, port):
    """Of the first of many questions that is answered in time."""
    answers = (ask(question, port) for _ in range(60))
    return next(filter(None, answers))


def test_a_pod_of_a_cluster_asks_the_name_process_and_that_asks_the_cluster(tmp_path):
    """Also after the name process was killed, which the pod's names depend on."""
    workload = Process.of(os.getpid())
    assert workload

    def cluster_dns(query, _):
        asked = dns.message.from_wire(query)
        response = dns.message.make_response(asked)
        response.answer = [dns.rrset.from_text(asked.question[0].name, 5, "IN", "A", "10.0.0.1")]
        return response.to_wire()

    async def answers(names, sockets):
        port = sockets[0].getsockname()[1]
        await until(names._handed_over.is_set)
        names._send({"add": "one", "pid": workload.pid, "start_time": workload.start_time}, sockets)
        queries = [
            dns.message.make_query(name, "A") for name in ("db.shop.svc.cluster.local", "a.corp.test", "b.corp.test")
        ]
        responses = [await asyncio.to_thread(answer, query, port) for query in queries]
        return [str(response.answer[0][0]) if response.answer else "" for response in responses]

    async def play():
        sockets = loopback_sockets()
        server = NameServer(sockets, cluster_dns)
        async with serving(tmp_path) as names:
            names.join(Cluster((f"127.0.0.1:{sockets[0].getsockname()[1]}",), search=("corp.test",)))
            names.view("one", "shop", (), [Host("a.corp.test")])
            for _ in range(2):
                own = loopback_sockets()
                assert await answers(names, own) == ["10.0.0.1", "240.240.0.2", ""]
                for one in own:
                    one.close()
                await kill(names)
        server.close()

    play_out(play)
