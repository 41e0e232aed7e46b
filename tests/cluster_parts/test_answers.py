import asyncio
from ipaddress import ip_network

import dns.message
import dns.rcode
import dns.reversename
import dns.rrset
import pytest

from exitway.cluster import answers as module
from exitway.cluster.answers import Answers
from exitway.cluster.sidecars import Sidecars
from exitway.dns.cluster import Cluster
from exitway.dns.hashed import HashedAddresses
from exitway.dns.server import NameServer, Source, loopback_sockets
from exitway.dns.share import BURST
from exitway.dns.upstream import Upstream
from exitway.names.call import Reason
from exitway.resources.kinds import read
from exitway.resources.registry import Registry
from tests.rules import rule

ADDRESSES = {
    "api.example.": "198.51.100.7",
    "db.example.": "198.51.100.8",
    "rebound.example.": "10.0.0.7",
    "inside.example.": "203.0.113.9",
    "metadata.example.": "169.254.169.254",
}
SHOP, OTHER, NOBODY = "192.0.2.1", "192.0.2.2", "192.0.2.3"
API, DB = HashedAddresses().address_of("api.example"), HashedAddresses().address_of("db.example")


class World:
    """Answers, two pods, and the outside with what it was asked. ``slow``: it answers when this is set."""

    def __init__(self):
        self.asked = []
        self.slow = asyncio.Event()
        self.slow.set()
        self.reached = asyncio.Event()
        sockets = loopback_sockets()
        self._server = NameServer(sockets, self._outside)
        upstream = Upstream((f"127.0.0.1:{sockets[0].getsockname()[1]}",))
        self.sidecars = Sidecars(None)  # type: ignore[arg-type]  # nothing is followed here
        cluster = Cluster((), ranges=(ip_network("203.0.113.0/24"),))
        self.answers = Answers(cluster, upstream, self.sidecars)
        self.pod("shop", "one", SHOP)
        self.pod("other", "two", OTHER)

    async def _outside(self, query, _):
        asked = dns.message.from_wire(query)
        name = asked.question[0].name.to_text()
        self.asked.append(name)
        self.reached.set()
        await self.slow.wait()
        response = dns.message.make_response(asked)
        if asked.question[0].rdtype == 1 and name in ADDRESSES:
            response.answer = [dns.rrset.from_text(name, 5, "IN", "A", ADDRESSES[name])]
        return response.to_wire()

    def pod(self, namespace, name, address, phase="Running", created="2026-01-01T00:00:00Z"):
        metadata = {"namespace": namespace, "name": name, "labels": {"app": name}, "creationTimestamp": created}
        status = {"phase": phase, "podIPs": [{"ip": address}]}
        self.sidecars.reflector.objects[namespace, name] = {"metadata": metadata, "status": status}
        self.sidecars._changed({(namespace, name)})

    def rules(self, *rules):
        registry = Registry().changed(map(read, rules), revision=self.answers.policies.registry.revision + 1)
        self.answers.pins.follow(registry, {"shop", "other"})
        self.answers.policies.registry = registry
        self.sidecars.tell()

    async def ask(self, text, source=SHOP):
        query = dns.message.make_query(f"{text}.pod.exitway", "A")
        answer = self.answers.to_proxy(query.to_wire(), Source(source, stream=False))
        response = dns.message.from_wire((answer and await answer) or b"")
        return dns.rcode.to_text(response.rcode()), *(record.to_text() for rrset in response.answer for record in rrset)

    def close(self):
        self._server.close()


def dashed(pair):
    return pair.ipv4.replace(".", "-")


@pytest.fixture
def play(monkeypatch):
    """Run a scene."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 1.0)

    def run(scene):
        async def main():
            world = World()
            try:
                await scene(world)
            finally:
                world.close()

        asyncio.run(main())

    return run


def test_a_pod_is_told_what_its_own_rules_let_it_know(play):
    async def scene(world):
        world.rules(
            rule("web", "api.example", "*.wild.example", namespace="shop"),
            rule("http", "api.example", namespace="shop", port=80, protocol="HTTP"),
            rule("db", "db.example", namespace="shop", port=5432, protocol="TCP"),
        )
        for question, address in {
            f"api.example.s-{dashed(API)}-443": "198.51.100.7",
            "api.example.h-80": "198.51.100.7",
            f"t-{dashed(DB)}-5432": "198.51.100.8",
        }.items():
            assert await world.ask(question) == ("NOERROR", address)
        asked = len(world.asked)
        refused = [
            f"api.example.s-{dashed(DB)}-443",  # another name's address
            "api.example.h-81",
            "secret.example.h-80",
            "secret.wild.example.h-443",
            f"t-{dashed(API)}-5432",
            f"t-{dashed(DB)}-443",
            "host.exitway.internal.h-80",
            "nonsense",
        ]
        strangers = [world.ask("api.example.h-80", source) for source in (OTHER, NOBODY)]
        assert set(await asyncio.gather(*map(world.ask, refused), *strangers)) == {("REFUSED",)}
        metrics = world.answers.metrics
        assert metrics.asked["proxy", "answered"] == 3 + len(refused) + len(strangers)
        assert metrics.refusals[Reason.NO_RULE] >= 2  # of them the question says what is asked for
        assert len(world.asked) == asked

    play(scene)


def test_no_name_leads_into_the_cluster_or_to_private_addresses(play):
    async def scene(world):
        names = ("rebound.example", "inside.example", "metadata.example")
        web = rule("web", *names, namespace="shop", port=80, protocol="HTTP")
        world.rules(web)
        answers = await asyncio.gather(*(world.ask(f"{name}.h-80") for name in names))
        assert set(answers) == {("REFUSED",)}
        network = rule("net", namespace="shop")
        ports = [{"number": 80, "protocol": "TCP"}]
        network["spec"] = {"to": [{"cidrs": ["10.0.0.0/24"], "ports": ports}]}
        world.rules(web, network)
        assert await world.ask("rebound.example.h-80") == ("NOERROR", "10.0.0.7")

    play(scene)


def test_what_the_proxy_knows_before_us_is_waited_for(play):
    async def scene(world):
        early = asyncio.create_task(world.ask("api.example.h-80"))
        new = asyncio.create_task(world.ask("api.example.h-80", NOBODY))
        await asyncio.sleep(0.05)
        world.rules(rule("http", "api.example", namespace="shop", port=80, protocol="HTTP"))
        assert await early == ("NOERROR", "198.51.100.7")
        world.pod("shop", "three", NOBODY)
        assert await new == ("NOERROR", "198.51.100.7")

    play(scene)


def test_what_is_lost_while_it_is_asked_for_is_not_told(play):
    async def scene(world):
        world.rules(rule("http", "api.example", namespace="shop", port=80, protocol="HTTP"))
        world.slow.clear()
        question = asyncio.create_task(world.ask("api.example.h-80"))
        await world.reached.wait()
        world.rules()
        world.slow.set()
        assert await question == ("SERVFAIL",)

    play(scene)


def test_an_address_is_of_the_pod_that_has_it_now(play):
    async def scene(world):
        world.rules(rule("http", "api.example", namespace="shop", port=80, protocol="HTTP"))
        world.pod("shop", "one", SHOP, phase="Succeeded")
        assert await world.ask("api.example.h-80") == ("REFUSED",)
        world.pod("other", "heir", SHOP)
        world.pod("shop", "one", SHOP)
        world.pod("shop", "newest", SHOP, created="2026-01-02T00:00:00Z")
        assert await world.ask("api.example.h-80") == ("NOERROR", "198.51.100.7")
        world.sidecars.reflector.objects.clear()
        world.sidecars._changed({("shop", "newest"), ("shop", "one")})
        assert await world.ask("api.example.h-80") == ("REFUSED",)

    play(scene)


def test_a_pod_that_asks_too_much_takes_from_nobody(play):
    async def scene(world):
        query = dns.message.make_query("a.long.name.example", "A").to_wire()
        greedy, other = Source(SHOP, stream=False), Source(OTHER, stream=False)
        answered = [world.answers.to_pod(query, greedy) for _ in range(int(2 * BURST))]
        assert answered[0] is not None
        assert answered[-1] is None
        assert world.answers.to_pod(query, other) == answered[0]

    play(scene)


def test_a_pod_learns_no_names_from_the_rules_of_others(play):
    async def scene(world):
        world.rules(rule("db", "db.example", namespace="shop", port=5432, protocol="TCP"))
        query = dns.message.make_query(dns.reversename.from_address(DB.ipv4), "PTR").to_wire()
        answers = {one: world.answers.to_pod(query, Source(one, stream=False)) for one in (SHOP, OTHER, NOBODY)}
        assert [len(dns.message.from_wire(answer).answer) for answer in answers.values()] == [1, 0, 0]

    play(scene)
