import asyncio
import inspect
import time

import dns.message
import dns.rcode
import dns.rrset
import pytest

from exitway.dns import forward, wire
from exitway.dns.cluster import Cluster, View
from exitway.dns.hashed import HashedAddresses
from exitway.dns.pod import PodNames
from exitway.dns.server import NameServer, loopback_sockets
from exitway.dns.upstream import Upstream

SERVICE = "Db.shop.svc.cluster.local"
HAS = {"db.shop.svc.cluster.local.", "shop.svc.cluster.local.", "nginx.shop.svc.cluster.local.", "x.corp.example."}


class ClusterDns:
    """The cluster's DNS, on loopback. It answers with 50 addresses; ``silent``: how many queries it drops first."""

    def __init__(self):
        self.asked, self.silent = [], 0
        self.sockets = loopback_sockets()
        self._server = NameServer(self.sockets, self._answer)
        self.address = f"127.0.0.1:{self.sockets[0].getsockname()[1]}"
        self.names = PodNames(Cluster((self.address,), search=("corp.example",)), lambda: Upstream((self.address,)))

    def _answer(self, query, source):
        asked = dns.message.from_wire(query)
        name = asked.question[0].name.to_text().lower()
        self.asked.append((name, asked.payload if asked.edns >= 0 else 0, "tcp" if source.stream else "udp"))
        if self.silent:
            self.silent -= 1
            return None
        response = dns.message.make_response(asked)
        if name not in HAS:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif asked.question[0].rdtype == 1:
            addresses = [f"10.0.0.{number}" for number in range(50)]
            response.answer = [dns.rrset.from_text_list(asked.question[0].name, 5, "IN", "A", addresses)]
        largest = 65535 if source.stream else max(512, asked.payload)
        try:
            return response.to_wire(max_size=largest)
        except dns.exception.TooBig:
            return dns.message.make_response(asked).to_wire()[:2] + b"\x83\x80" + query[4:]

    async def ask(self, name, kind="A", *, stream=False, **options):
        query = dns.message.make_query(name, kind, **options)
        answer = self.names.answer(query.to_wire(), View(HashedAddresses(), "shop"), stream=stream)
        response = dns.message.from_wire((await answer if inspect.isawaitable(answer) else answer) or b"")
        assert query.is_response(response)
        assert response.question[0].name.to_text() == query.question[0].name.to_text()  # with its capitals
        return response

    def close(self):
        self.names.close()
        self._server.close()


@pytest.fixture
def play():
    """Run a scene with a cluster's DNS."""

    def run(scene):
        async def main():
            cluster = ClusterDns()
            try:
                await scene(cluster)
            finally:
                cluster.close()

        asyncio.run(main())

    return run


def test_an_answer_too_long_for_a_datagram_is_fetched_over_tcp(play):
    async def scene(cluster):
        assert (await cluster.ask(SERVICE)).flags & dns.flags.TC
        assert len((await cluster.ask(SERVICE, stream=True)).answer[0]) == 50
        assert len((await cluster.ask(SERVICE, use_edns=0, payload=1232)).answer[0]) == 50
        assert [(payload, how) for _, payload, how in cluster.asked] == [(0, "udp"), (0, "tcp"), (1232, "udp")]

    play(scene)


def test_a_lost_query_is_asked_again(play, monkeypatch):
    monkeypatch.setattr(forward, "PATIENCE_SECONDS", (0.1, 0.1, 0.1))

    async def scene(cluster):
        cluster.silent = 2
        assert (await cluster.ask(SERVICE, payload=4096)).answer
        cluster.silent = 3
        began = time.monotonic()
        assert (await cluster.ask(SERVICE)).rcode() == dns.rcode.SERVFAIL
        assert time.monotonic() - began < 1

    play(scene)


@pytest.mark.parametrize("stream", [False, True])
def test_where_there_is_nobody_to_ask_one_hears_it_at_once(stream):
    query = wire.question("db.shop.svc.cluster.local", wire.A)
    assert asyncio.run(forward.Forwarder(()).ask(query, stream=stream)) is None


def test_a_hundred_at_once_get_each_its_own_answer(play):
    async def scene(cluster):
        names = [f"n{number}.shop.svc.cluster.local" for number in range(300)]
        responses = await asyncio.gather(*(cluster.ask(name) for name in names))
        assert {response.rcode() for response in responses} == {dns.rcode.NXDOMAIN}
        assert len(cluster.asked) == 300

    play(scene)


@pytest.mark.parametrize("name", ["db.shop", "web-0.nginx.shop", "web-0.nginx", "y.corp.example"])
def test_what_the_cluster_was_to_have_does_not_exist(play, name):
    async def scene(cluster):
        for _ in range(2):
            assert (await cluster.ask(name)).rcode() == dns.rcode.NXDOMAIN

    play(scene)


def test_other_names_are_asked_of_nobody(play):
    async def scene(cluster):
        for name in ("a.b.secret.example", "secret", "evilcluster.local.example.test", "secret.svc"):
            await cluster.ask(name)
            await cluster.ask(name, "TXT")
        assert (await cluster.ask("api.example")).answer[0][0].address == HashedAddresses().address_of(
            "api.example"
        ).ipv4
        assert {name for name, *_ in cluster.asked} == {"example.svc.cluster.local.", "example.shop.svc.cluster.local."}

    play(scene)


@pytest.mark.parametrize(
    "odd",
    [
        lambda query: query + b"x",
        lambda query: query[:2] + b"\x28" + query[3:],  # UPDATE
        lambda query: query[:-2] + b"\x00\x03",  # CHAOS
        lambda query: query[:4] + b"\x00\x02" + query[6:] + query[12:],
        lambda query: query[:12] + b"\x02\xffx" + query[12:],
    ],
)
def test_what_is_no_plain_question_goes_nowhere(play, odd):
    async def scene(cluster):
        query = odd(dns.message.make_query(SERVICE, "A").to_wire())
        response = cluster.names.answer(query, View(HashedAddresses()))
        assert response[:2] == query[:2]
        assert response[3] & 15 in {dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.REFUSED, dns.rcode.NXDOMAIN}
        assert cluster.asked == []

    play(scene)


def test_a_response_must_be_to_the_question():
    query = wire.question("a.shop.svc.cluster.local", wire.A)
    response = query.response(wire.NOERROR)
    assert query.matches(response)
    assert not wire.question("b.shop.svc.cluster.local", wire.A).matches(response)
    assert not wire.question("a.shop.svc.cluster.local", wire.AAAA).matches(response)
    assert not query.matches(query.forwarded(b"\0\0"))
    assert not query.matches(response[:20])
