"""How long a change takes, from `create` to the acknowledgement of every proxy: the whole command, and the server's share of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from exitway_server import NAMESPACE, Exitway, rule, rules
from process import RUN, end
from startup import hyperfine

CASES = [(workloads, hosts) for hosts in (0, 10_000) for workloads in (1, 20)]
"""How many workloads run, and how many hosts are allowed already."""


def measure(repeats: int) -> tuple[dict[tuple[str, int, int], list[float]], list[str]]:
    """(Seconds by what was timed, workloads and hosts; a sentence for each case that could not be measured)."""
    times: dict[tuple[str, int, int], list[float]] = {}
    failures = []
    for case in CASES:
        try:
            whole, server = measure_case(*case, repeats)
        except (RuntimeError, OSError) as error:
            failures.append(f"create with {case[0]} workloads and {case[1]:,} hosts: {error}")
            continue
        times["exitway create", *case] = whole
        times["server's share", *case] = server
    return times, failures


def measure_case(workloads: int, hosts: int, repeats: int) -> tuple[list[float], list[float]]:
    server = Exitway()
    try:
        server.up()
        with running(server, workloads):
            if hosts:
                server.create(rules(hosts))
            extra = rule("extra", ["extra.example.test"])
            path = RUN / "extra.json"
            path.write_text(json.dumps(extra))
            remove = f"{server.command} delete egressrule extra --namespace {NAMESPACE} || true"
            create = [server.command, "create", "-f", str(path), "--namespace", NAMESPACE]
            whole = hyperfine(create, repeats, remove)
            server.change("delete", extra)
            return whole, [create_once(server, extra) for _ in range(repeats)]
    finally:
        server.down()


def create_once(server: Exitway, resource: dict) -> float:
    seconds = server.change("create", resource)
    server.change("delete", resource)
    return seconds


@contextmanager
def running(server: Exitway, workloads: int) -> Iterator[None]:
    """So many sealed programs, each of them under way."""
    command = [*server.run(), "sh", "-c", "echo under way; exec sleep 1000"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(workloads)]
    try:
        for process in processes:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError(f"a workload did not start: {process.communicate()[1].decode().strip()}")
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                end(process)
