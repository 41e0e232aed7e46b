"""Where pods are measured: the real node with the installed chart, an HTTP server outside of it, and a namespace for each placement."""

from __future__ import annotations

import fcntl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from exitway.names.cluster import PLACEMENT, Placement
from tests.cluster.cluster import HTTP, IMAGE, KUBE, REPOSITORY, STATE, SYSTEM, Namespace, helm, new_namespace, run

NONE = "no Exitway"
LOAD = "localhost/exitway-load:1"
"""The image of the pods: wrk (which looks up `http` in /etc/services), curl, sh, coreutils."""
ORIGIN, DENIED, ADDRESS = "origin.bench.test", "denied.bench.test", "198.51.100.200"
"""Both names have the address; the rule allows one."""
SLOW = 1800
_CONFIGURATION = f"""
daemon off; master_process off; pid off; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; default_type text/plain;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{ listen {ADDRESS}:80 backlog=4096; return 200 "{"x" * 1024}"; }}
}}
"""


@contextmanager
def ground(directory: Path) -> Iterator[dict[str, Namespace]]:
    """The namespaces, by :data:`NONE` and the placements. No test session runs meanwhile."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "session").open("w") as lock, ExitStack() as stack:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(KUBE / "up", seconds=SLOW)
        run(KUBE / "world")
        images()
        stack.enter_context(installed())
        stack.enter_context(origin(directory))
        spaces = {NONE: stack.enter_context(new_namespace({}))}
        for placement in (Placement.SIDECAR, Placement.NODE):
            spaces[placement] = stack.enter_context(new_namespace({PLACEMENT: placement}))
            spaces[placement].rule("origin", to={"hosts": [ORIGIN], "ports": HTTP})
        yield spaces


def images() -> None:
    """That of this working tree, and that of the pods, on the node."""
    run("deploy/image/build", "--load", IMAGE, seconds=SLOW)
    cache = STATE.parent / "exitway/images"
    archive = cache / "localhost_exitway-load:1.tar"
    command = [".venv/bin/python", "-m", "tests.cluster.kube.image", "--out", archive, "--name", LOAD]
    script = f"--copy={REPOSITORY / 'bench/wrk.lua'}:/wrk.lua"
    run(
        *command,
        "--cache",
        cache / "layers",
        script,
        "--deb",
        "wrk",
        "netbase",
        "curl",
        "dash",
        "coreutils",
        seconds=SLOW,
    )
    run(KUBE / "load", STATE, archive)


@contextmanager
def installed() -> Iterator[None]:
    run("helm", "uninstall", "exitway", "-n", SYSTEM, "--ignore-not-found", "--wait", seconds=SLOW)
    helm("install")
    try:
        yield
    finally:
        run("helm", "uninstall", "exitway", "-n", SYSTEM, "--wait", seconds=SLOW)


@contextmanager
def origin(directory: Path) -> Iterator[None]:
    """nginx in the world outside: one process, 1 kB, no log. The cluster's DNS learns its names."""
    (directory / "nginx.conf").write_text(_CONFIGURATION)
    hosts = STATE / "hosts"
    before = hosts.read_text()
    hosts.write_text(f"{before}{ADDRESS} {ORIGIN}\n{ADDRESS} {DENIED}\n")
    command = ["ip", "netns", "exec", "kube-lab-world", "nginx", "-p", f"{directory}/", "-c", "nginx.conf"]
    server = subprocess.Popen(command)
    try:
        time.sleep(2)  # until the DNS has read the names
        assert server.poll() is None, "nginx did not start in the world"
        yield
    finally:
        server.terminate()
        server.wait()
        hosts.write_text(before)
