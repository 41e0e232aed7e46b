"""The bench's small internet: this process's network namespace is the clients' side, the namespace ``world`` the other.

Everything is in mount, network and process namespaces of the bench's own. What it starts, makes or mounts ends with it, and the
machine's own network, ``/run`` and ``resolv.conf`` are not touched.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from process import BENCH, LOAD_CORES, RUN, end, find, on, spawn

CLIENT, ORIGIN, OTHER = "198.18.0.1", "198.18.0.2", "198.18.0.3"
"""The origin answers at the other address too, which nothing allows."""
BULK_BYTES = 1 << 30
ALLOWED = [f"host{number}.bench.test" for number in range(10)]
DENIED = "denied.bench.test"
INSIDE = "EXITWAY_BENCH_INSIDE"


def enclose() -> None:
    """Start this program again in namespaces of its own; return where that has been done. The shell between reaps orphans."""
    if os.environ.get(INSIDE):
        return
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    program = [sys.executable, *sys.argv]
    os.environ[INSIDE] = "1"
    os.execvp(namespaces[0], [*namespaces, "sh", "-c", '"$@"; exit $?', "sh", *program])


@contextmanager
def world() -> Iterator[None]:
    """The origin (nginx) and its DNS (dnsmasq; every name has the origin's address) at 198.18.0.2, in sight of this network namespace."""
    private_files()
    for command in (
        f"ip link set lo up; ip netns add world; ip link add out type veth peer name in netns world; ip addr add {CLIENT}/24 dev out",
        f"ip -n world addr add {OTHER}/24 dev in",
        f"ip link set out up; ip -n world addr add {ORIGIN}/24 dev in; ip -n world link set in up; ip -n world link set lo up",
        f"ip route add default via {ORIGIN}",
    ):
        subprocess.run(["sh", "-ec", command], check=True)
    inside = ["ip", "netns", "exec", "world", *on(LOAD_CORES)]
    nginx = spawn("origin", [*inside, find("nginx") or "nginx", "-c", str(BENCH / "peers/origin.conf")])
    names = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file",
        "--user=root",
        "--no-resolv",
        "--no-hosts",
        f"--address=/test/{ORIGIN}",
        "--local=/test/",  # no IPv6 address, instead of a refusal to say so
    ]
    dns = spawn("nameserver", [*inside, find("dnsmasq") or "dnsmasq", *names])
    try:
        wait_for_origin()
        yield
    finally:
        end(nginx)
        end(dns)


def private_files() -> None:
    subprocess.run(["mount", "-t", "tmpfs", "bench", "/run"], check=True)
    (RUN / "www").mkdir(parents=True)
    RUN.chmod(0o755)
    (RUN / "www/index.html").write_text("x" * 1023 + "\n")
    with (RUN / "www/bulk").open("wb") as bulk:
        bulk.truncate(BULK_BYTES)  # zeros, that take no memory
    make_certificate()
    (RUN / "allowed").write_text("".join(f"{host}\n" for host in ALLOWED))
    (RUN / "allowed.regex").write_text("".join(f"^{re.escape(host)}$\n" for host in ALLOWED))
    backends = (f"backend {host}\n  server {host} {host}:80\n" for host in ALLOWED)
    (RUN / "haproxy-backends.cfg").write_text("".join(backends))
    backends = (f"backend {host}\n  server {host} {host}:443\n" for host in ALLOWED)
    (RUN / "haproxy-tls-backends.cfg").write_text("".join(backends))
    (RUN / "resolv.conf").write_text(f"nameserver {ORIGIN}\n")
    target = Path("/etc/resolv.conf").resolve()
    if not target.exists():  # it was a link into the /run that is now covered
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    subprocess.run(["mount", "--bind", str(RUN / "resolv.conf"), str(target)], check=True)


def make_certificate() -> None:
    """Of the origin, and for Squid, which wants one even where it only looks: one key, signed by itself."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(RUN / "origin.key")]
    name = ["-subj", "/CN=origin", "-addext", "subjectAltName=DNS:*.bench.test", "-out", str(RUN / "origin.pem")]
    subprocess.run(["openssl", "req", "-x509", "-days", "30", *key, *name], check=True, capture_output=True)
    (RUN / "origin.key").chmod(0o644)  # peers that run as another user read it


def wait_for_origin() -> None:
    """Return when the origin answers, by name."""
    for _ in range(100):
        if status([], [], DENIED) == "200":
            return
        time.sleep(0.1)
    raise RuntimeError(f"the origin does not answer; see its log: {(RUN / 'origin.log').read_text()}")


def status(prefix: list[str], curl_options: list[str], host: str, scheme: str = "http") -> str:
    """HTTP status of ``GET scheme://host/`` as a client sees it; ``000`` where no answer came. The certificate is not looked at."""
    curl = [
        "curl",
        "--silent",
        "--insecure",
        "--output",
        "/dev/null",
        "--max-time",
        "10",
        "--write-out",
        "%{http_code}",
        *curl_options,
    ]
    return subprocess.run([*prefix, *curl, f"{scheme}://{host}/"], capture_output=True, text=True, check=False).stdout
