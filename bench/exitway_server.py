"""Exitway as the bench uses it: the command line for what users do, the API socket for the server's own share of the time."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from process import PROXY_CORE, RUN, all_pids, command_of, find, on
from world import ORIGIN

NAMESPACE = "bench"
RULES = RUN / "rules.json"
RUNTIME, STATE = RUN / "exitway", RUN / "exitway-state"

ENVIRONMENT = {
    "EXITWAY_RUNTIME_DIR": str(RUNTIME),
    "EXITWAY_STATE_DIR": str(STATE),
    "EXITWAY_RESOLVERS": ORIGIN,
    "EXITWAY_CONCURRENCY": "1",
}


def rule(name: str, hosts: list[str]) -> dict[str, Any]:
    """An egress rule for ports 80 (HTTP) and 443 (TLS) of these hosts."""
    return egress_rule(
        name, hosts=hosts, ports=[{"number": 80, "protocol": "HTTP"}, {"number": 443, "protocol": "TLS"}]
    )


def egress_rule(name: str, **to: Any) -> dict[str, Any]:
    """An egress rule with one destination, in the words of ``exitway.dev/v1``."""
    return {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"to": [to]},
    }


def rules(hosts: int) -> list[dict[str, Any]]:
    """Rules of up to 100 hosts each."""
    names = [f"host{number}.example.test" for number in range(hosts)]
    return [rule(f"hosts{start}", names[start : start + 100]) for start in range(0, hosts, 100)]


class Exitway:
    """A server in the background (`up`), with nothing in its store."""

    def __init__(self) -> None:
        os.environ.update(ENVIRONMENT)
        self.command = find("exitway") or "exitway"

    def up(self, *options: str, **environment: str) -> None:
        self.gone()
        subprocess.run(["rm", "-rf", str(RUNTIME), str(STATE)], check=True)
        variables = [f"{name}={value}" for name, value in environment.items()]
        self.call("up", *options, prefix=(*on(PROXY_CORE), "env", *variables))

    def down(self) -> None:
        """Also where it did not start."""
        subprocess.run([self.command, "down"], capture_output=True, check=False)
        self.gone()

    @staticmethod
    def gone() -> None:
        """Return when no server's Envoy runs any more, also not that of an `exitway run` which brought its own."""
        deadline = time.monotonic() + 10
        while any(command_of(pid) == "envoy" for pid in all_pids()):
            if time.monotonic() > deadline:
                raise RuntimeError("an Envoy outlives its server")
            time.sleep(0.02)

    def run(self, *options: str) -> list[str]:
        """What the command line of a workload begins with."""
        return [self.command, "run", "--namespace", NAMESPACE, *options, "--"]

    def create(self, resources: list[dict[str, Any]], path: Path = RULES) -> None:
        path.write_text("\n---\n".join(map(json.dumps, resources)))
        self.call("create", "-f", str(path), "--namespace", NAMESPACE)

    def change(self, verb: str, resource: dict[str, Any]) -> float:
        """Seconds from request to answer on the API socket: every proxy has acknowledged it."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(RUNTIME / "api.sock"))
        body = json.dumps({"verb": verb, "wait": True, "dryRun": False, "objects": [resource]})
        begin = time.perf_counter()
        connection.request("POST", "/exitway/v1/changes", body, {"content-type": "application/json"})
        answer = json.load(connection.getresponse())
        seconds = time.perf_counter() - begin
        connection.close()
        if answer.get("unacknowledged") or "results" not in answer:
            raise RuntimeError(f"{verb}: {answer}")
        return seconds

    def envoy(self) -> int:
        """Envoy's process id."""
        return next(pid for pid in all_pids() if command_of(pid) == "envoy")

    def call(self, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        """``exitway ARGUMENTS``; ``RuntimeError`` with what it said if it fails."""
        finished = subprocess.run([*prefix, self.command, *arguments], capture_output=True, text=True, check=False)
        if finished.returncode:
            raise RuntimeError(f"`exitway {arguments[0]}` failed: {finished.stderr.strip() or finished.stdout.strip()}")
