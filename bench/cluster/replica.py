"""One replica of the control plane with simulated pods and no cluster: what is measured is the publishing, from a rule to the last byte.

replica.py PORT FIFO --pods 1000 --hosts 1000 [--namespaces 100]: prints `ready`, then reads lines from FIFO: `add NAMESPACE NAME HOST`, `remove NAMESPACE NAME`.
A pod's token is its number: authentication proper is a question to the API server, which is not here.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import exitway.cluster.controller  # noqa: F401 - what a replica has in memory
from exitway.cluster.authority import renewed
from exitway.cluster.pods import Pod
from exitway.cluster.program import Program, sidecar_proxy
from exitway.cluster.publisher import Publisher
from exitway.resources.kinds import read
from exitway.resources.registry import Registry
from exitway.xds.proxies import Peer
from exitway.xds.server import DiscoveryServer

EVERYWHERE = "exitway-system"


PORTS = {"http": {"number": 80, "protocol": "HTTP"}, "tls": {"number": 443, "protocol": "TLS"}}


def rule(namespace: str, name: str, protocols: list[str], *hosts: str) -> dict:
    ports = [PORTS[one] for one in protocols]
    return {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"to": [{"hosts": list(hosts), "ports": ports}]},
    }


def rules(hosts: int, namespaces: int, protocols: list[str]):
    """A rule for each host: in one namespace that all pods see, or spread over namespaces."""
    for number in range(hosts):
        namespace = EVERYWHERE if namespaces == 1 else f"ns{number % namespaces}"
        yield rule(namespace, f"rule-{number}", protocols, f"api-{number:06}.svc{number % 97}.example.com")


class Replica:
    def __init__(self, options: argparse.Namespace) -> None:
        self.program = Program(sidecar_proxy("198.19.0.10:5354", 1, 404))
        self.discovery = DiscoveryServer(self.authenticate)
        self.publisher = Publisher(self.program, self.discovery)
        self.registry = Registry()
        self.protocols = options.protocols.split(",")
        pods = [
            Pod(f"uid-{i}", f"ns{i % options.namespaces}", f"pod-{i}", {"app": f"app-{i}"}) for i in range(options.pods)
        ]
        self.publisher.pods(pods, [])
        self.change([read(one) for one in rules(options.hosts, options.namespaces, self.protocols)], [])

    async def authenticate(self, token: str, _: str) -> Peer:
        uid = f"uid-{token}"
        return Peer(uid, self.program.group_of(uid))

    def change(self, put, deleted) -> None:
        touched = {one.key.namespace for one in put} | {key.namespace for key in deleted}
        self.registry = self.registry.changed(put, deleted, revision=self.registry.revision + 1)
        began = time.perf_counter()
        self.publisher.follow(self.registry, touched, {"exitway.dev": str(self.registry.revision)})
        print(f"published revision {self.registry.revision} in {time.perf_counter() - began:.4f} s", file=sys.stderr)

    def command(self, line: str) -> None:
        verb, namespace, name, *hosts = line.split()
        resource = read(rule(namespace, name, self.protocols, *(hosts or ["x.example"])))
        self.change(*(([resource], []) if verb == "add" else ([], [resource.key])))


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("fifo", type=Path)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--namespaces", type=int, default=1)
    parser.add_argument("--protocols", default="http")
    options = parser.parse_args()
    replica = Replica(options)
    made = renewed({}, ["exitway"], datetime.now(UTC))
    certificate = made["tls.key"], made["tls.crt"]
    port = await replica.discovery.start_tls(f"127.0.0.1:{options.port}", lambda: certificate, 1800)
    gc.collect()
    gc.freeze()
    options.fifo.unlink(missing_ok=True)
    os.mkfifo(options.fifo)
    commands = os.open(options.fifo, os.O_RDWR | os.O_NONBLOCK)
    asyncio.get_running_loop().add_reader(
        commands, lambda: [replica.command(line) for line in os.read(commands, 65536).decode().splitlines()]
    )
    print(f"ready {port}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
