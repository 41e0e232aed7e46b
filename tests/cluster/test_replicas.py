"""Replicas come and go: no request fails, and a proxy that goes over to another one is sent nothing again."""

from __future__ import annotations

import json
import re

import pytest

from exitway.names.cluster import PLACEMENT, Placement
from tests.cluster.cluster import HTTP, container, kubectl, new_namespace, until

ALLOWED = "a.lab.test"
CONTROLLERS = "-l", "app.kubernetes.io/component=controller"
LOAD = """
import sys, time, urllib.request
while True:
    try:
        said = urllib.request.urlopen(f"http://{sys.argv[1]}/", timeout=10).status
    except OSError as error:
        said = error
    print(said, flush=True)
    time.sleep(0.05)
"""
STATS = """
import http.client, socket
admin = http.client.HTTPConnection("admin")
admin.sock = socket.socket(socket.AF_UNIX)
admin.sock.connect("/run/exitway/admin")
admin.request("GET", "/stats")
print(admin.getresponse().read().decode())
"""


@pytest.fixture(scope="module")
def namespace(installed, client):
    with new_namespace({PLACEMENT: Placement.SIDECAR}) as made:
        yield made


def stats(pod):
    """What its proxy counts: bytes from the control plane, connections to it, and what it took in."""
    said = dict(re.findall(r"^(\S+): (\d+)$", pod("python3", "-c", STATS, container="exitway-proxy"), re.MULTILINE))
    taken = [
        int(said.get(name, 0)) for name in ("listener_manager.lds.update_success", "http.http.rds.http.update_success")
    ]
    return (
        int(said["cluster.xds.upstream_cx_rx_bytes_total"]),
        int(said["cluster.xds.upstream_cx_total"]),
        taken,
        int(said["control_plane.connected_state"]),
    )


def controllers(installed):
    listed = kubectl("get", "pods", "-n", installed, *CONTROLLERS, "-o", "json")
    return [pod["metadata"]["name"] for pod in json.loads(listed)["items"]]


def test_replicas_are_killed_one_after_the_other_and_replaced_under_load(installed, namespace, lab):
    hosts = [ALLOWED, *(f"host-{number}.example" for number in range(400))]
    namespace.rule("allowed", to={"hosts": hosts, "ports": HTTP})
    load = namespace.pod("load", containers=[container("python3", "-u", "-c", LOAD, ALLOWED)])
    until(lambda: load.logs().count("200") > 10)
    first, connections, taken, _ = stats(load)
    for name in controllers(installed):
        kubectl("delete", "pod", "-n", installed, name, "--grace-period=0", "--force")
        until(lambda gone=name: gone not in controllers(installed))  # type: ignore[misc]
        kubectl("wait", "-n", installed, "--for=condition=Ready", "pod", *CONTROLLERS, "--timeout=60s")
    until(lambda: stats(load)[1] > connections and stats(load)[3])
    connections = stats(load)[1]
    release = kubectl(
        "get",
        "pods",
        "-n",
        installed,
        *CONTROLLERS,
        "-o",
        "jsonpath={.items[0].metadata.labels.app\\.kubernetes\\.io/instance}",
    )
    kubectl("rollout", "restart", "-n", installed, f"deployment/{release}")
    kubectl("rollout", "status", "-n", installed, f"deployment/{release}", "--timeout=90s")
    until(lambda: stats(load)[1] > connections and stats(load)[3])
    again, _, now, _ = stats(load)
    assert now == taken
    assert first > 10_000, "what a proxy is told when it starts"
    assert again - first < 3_000, "what it was told since"
    namespace.rule("late", to={"hosts": ["late.example"], "ports": HTTP})
    assert set(load.logs().split()) == {"200"}
