"""The real Envoy at the gRPC shell, as a sidecar: over TLS, with a token that is renewed."""

import asyncio
import json
import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exitway.cluster.authority import renewed
from exitway.cluster.counts import Count
from exitway.cluster.pods import Pod
from exitway.cluster.program import Program, sidecar_proxy
from exitway.cluster.publisher import Publisher
from exitway.envoy.cluster import clusters
from exitway.envoy.control import ControlPlane, ads_config, over_tls
from exitway.envoy.wire import ADS
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.proxy.binary import find_envoy
from exitway.resources.kinds import read
from exitway.resources.registry import Registry
from exitway.xds.client import Reporter
from exitway.xds.proxies import STREAMS_OF_ONE, Peer, Proxies
from exitway.xds.server import DiscoveryServer, RefusedError
from tests.rules import rule

NAME, RESOLVER, MARK = "exitway.exitway-system.svc", "127.0.0.1:5354", 0x45580002


class Replica:
    """A replica that knows one pod, whose tokens are good or bad as the test says."""

    def __init__(self):
        self.good = {"first"}
        self.asked = []
        self.discovery = DiscoveryServer(self.authenticate)
        self.program = Program(sidecar_proxy(RESOLVER, MARK, 404))
        self.publisher = Publisher(self.program, self.discovery)
        self.publisher.pods([Pod("uid", "shop", "checkout", {})], [])
        self.registry = Registry()

    def put(self, *rules):
        put = [read(one) for one in rules]
        self.registry = self.registry.changed(put, revision=self.registry.revision + 1)
        versions = {"exitway.dev": str(self.registry.revision)}
        self.publisher.follow(self.registry, {one.key.namespace for one in put}, versions)
        return put[0]

    async def authenticate(self, token, address):
        assert address == "ipv4:127.0.0.1"
        self.asked.append(token)
        if token.startswith("agent "):
            return Peer(token, self.publisher.node(token.removeprefix("agent ")))
        if token not in self.good:
            raise RefusedError(token)
        return Peer("uid", self.program.group_of("uid") or "")

    async def until(self, seek):
        async with asyncio.timeout(10):
            while not seek():  # noqa: ASYNC110 - not all that is sought is told of
                await asyncio.sleep(0.02)


def write(directory: Path, token: str) -> None:
    """As the kubelet writes a projected volume."""
    data = directory / f"..{token}"
    data.mkdir()
    (data / "token").write_text(token)
    (directory / "..new").symlink_to(data.name)
    (directory / "..new").rename(directory / "..data")
    if not (directory / "token").is_symlink():
        (directory / "token").symlink_to("..data/token")


@pytest.mark.lab
def test_an_envoy_proves_who_it_is_at_each_connection_and_acknowledges_what_it_is_told(tmp_path):
    asyncio.run(scene(tmp_path))


async def scene(path):
    replica = Replica()
    made = renewed({}, [NAME], datetime.now(UTC))
    assert made
    port = await replica.discovery.start_tls("127.0.0.1:0", lambda: (made["tls.key"], made["tls.crt"]), 3600)
    tokens = path / "tokens"
    tokens.mkdir()
    write(tokens, "first")
    control = ControlPlane(("127.0.0.1",), port, NAME, made["ca.crt"].decode(), str(tokens / "token"))
    (path / "bootstrap.json").write_text(json.dumps(bootstrap(control)))
    command = [find_envoy(""), "--config-path", path / "bootstrap.json", "--disable-hot-restart", "--concurrency", "1"]
    envoy = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - nobody else waits
    try:
        first = replica.put(rule("api", "api.example", namespace="shop"))
        await replica.until(lambda: replica.publisher.count(first, 1).acknowledged == 1)
        assert replica.asked == ["first"]

        write(tokens, "second")
        replica.good = {"second"}
        replica.discovery.end("uid")
        everywhere = replica.put(rule("db", "db.example", port=3306, protocol="TCP", namespace=SYSTEM_NAMESPACE))
        await replica.until(lambda: replica.publisher.count(everywhere, 2).acknowledged == 1)
        assert replica.asked[-1] == "second"
        assert not replica.publisher.count(everywhere, 2).errors
    finally:
        envoy.terminate()
        envoy.wait()
        await replica.discovery.stop()


def bootstrap(control):
    return {
        "node": {"id": "whoever", "cluster": "whatever"},
        "dynamic_resources": {"ads_config": ads_config(), "lds_config": ADS, "cds_config": ADS},
        "static_resources": {
            "clusters": [over_tls(control), *clusters(RESOLVER, "/etc/ssl/certs/ca-certificates.crt", MARK)]
        },
    }


def test_a_renewed_certificate_is_served_at_the_next_connection():
    async def presented():
        server, certificates = DiscoveryServer(), [renewed({}, [NAME], datetime.now(UTC)) for _ in range(2)]
        serving = iter([certificates[0], certificates[0], certificates[1], certificates[1]])
        port = await server.start_tls("127.0.0.1:0", lambda: pair(next(serving)), 3600)
        seen = [await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port)) for _ in range(3)]
        await server.stop()
        return seen, [one["tls.crt"].decode() for one in certificates if one]

    seen, (old, new) = asyncio.run(presented())
    assert seen == [old, new, new]


def test_an_agent_acknowledges_when_its_node_has_the_rules_in_force_and_says_what_it_refused(tmp_path):
    asyncio.run(asyncio.wait_for(agent_scene(tmp_path), 20))


async def agent_scene(path):
    replica = Replica()
    replica.publisher.pods([Pod("on-node", "shop", "web", {}, "n1")], [])
    made = renewed({}, [NAME], datetime.now(UTC))
    assert made
    port = await replica.discovery.start_tls("127.0.0.1:0", lambda: pair(made), 3600)
    (path / "ca.crt").write_bytes(made["ca.crt"])
    (path / "token").write_text("agent n1")
    asked, allowed = [], asyncio.Event()
    refused: list[str] = []

    async def in_force(versions):
        asked.append(versions)
        await allowed.wait()
        return refused

    reporter = Reporter(f"127.0.0.1:{port}", NAME, path / "ca.crt", path / "token", "n1")
    reporting = asyncio.create_task(reporter.run(in_force))
    first = replica.put(rule("api", namespace="shop"))
    await replica.until(lambda: replica.publisher.count(first, 1) == Count(1, 0) and asked)
    allowed.set()
    await replica.until(lambda: replica.publisher.count(first, 1) == Count(1, 1))
    refused.append("its Envoy said no")
    second = replica.put(rule("db", namespace="shop"))
    await replica.until(lambda: replica.publisher.count(second, 2).errors)
    assert replica.publisher.count(second, 2) == Count(1, 0, ("node n1: its Envoy said no",))
    assert asked[-1] == {"exitway.dev": "2"}
    reporting.cancel()
    await replica.discovery.stop()


def pair(data):
    return data["tls.key"], data["tls.crt"]


def test_a_pod_has_few_streams_and_the_oldest_ends():
    proxies = Proxies()
    streams = [proxies.join(Peer("uid", "group")) for _ in range(STREAMS_OF_ONE + 1)]
    assert [one.over for one in streams] == [True] + [False] * STREAMS_OF_ONE
    for one in streams:
        proxies.gone(one)
    assert proxies.connected == 0
