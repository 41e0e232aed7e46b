"""What a pod says within the cluster, and what is said to it, is as if there were no Exitway."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.cluster import SERVE, Json, Namespace, Pod, container, environment, kubectl, on_node, run, until
from tests.cluster.outside import Seen

PROBES: dict[str, Json] = {
    "http": {"httpGet": {"path": "/", "port": 8080}},
    "tcp": {"tcpSocket": {"port": 8080}},
    "exec": {"exec": {"command": ["curl", "-sf", "http://localhost:8080"]}},
}


@pytest.fixture(scope="module")
def server(elsewhere: Namespace) -> Pod:
    """A server that is not captured, with a service and a headless service before it."""
    serving = elsewhere.pod("server", containers=[container(*SERVE)])
    elsewhere.service("server")
    headless: Json = {"selector": {"app": "server"}, "clusterIP": "None", "ports": [{"name": "web", "port": 8080}]}
    elsewhere.service("headless", 8080, **headless)
    return serving


@pytest.fixture(scope="module")
def captured_server(namespace: Namespace) -> str:
    """A server that is captured: the name of its service."""
    namespace.pod("server", containers=[container(*SERVE)])
    namespace.service("server")
    return f"server.{namespace.name}.svc.cluster.local"


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("way", ["address", "service", "short name", "full name", "headless"])
def test_a_pod_reaches_pods_and_services(pod: Pod, server: Pod, way: str, version: int, outside: Seen) -> None:
    space = server.namespace
    to = {
        "address": f"[{server.address(6)}]:8080" if version == 6 else f"{server.address()}:8080",
        "service": service_address(space, version),
        "short name": f"server.{space}",
        "full name": f"server.{space}.svc.cluster.local",
        "headless": f"headless.{space}.svc:8080",
    }[way]
    answer = 200, f"server saw {pod.address(version)}"
    assert until(
        lambda: pod.curl(f"http://{to}", f"-{version}") == answer
    )  # the cluster hears of a new service by and by
    assert outside.facts() == []


def service_address(space: str, version: int) -> str:
    addresses = kubectl("get", "service", "-n", space, "server", "-o", "jsonpath={.spec.clusterIPs}")
    found: list[str] = [
        part for part in addresses.strip("[]").replace('"', "").split(",") if (":" in part) == (version == 6)
    ]
    return f"[{found[0]}]" if version == 6 else found[0]


def test_a_pod_speaks_udp_with_another(pod: Pod, server: Pod) -> None:
    echo = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7)); [s.sendto(*s.recvfrom(99)) for _ in range(99)]"
    ask = "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5); s.sendto(b'ping', (sys.argv[1], 7)); print(s.recv(99).decode())"
    server("sh", "-c", f'python3 -c "{echo}" >/dev/null 2>&1 &')
    assert until(lambda: pod("python3", "-c", ask, server.address())) == "ping\n"


def test_a_pod_calls_the_api(pod: Pod) -> None:
    script = (
        "cd /var/run/secrets/kubernetes.io/serviceaccount;"
        'curl -sS --cacert ca.crt -H "Authorization: Bearer $(cat token)" https://kubernetes.default.svc/version'
    )
    assert '"gitVersion"' in pod("sh", "-c", script)


@pytest.mark.parametrize("whence", ["pod", "captured pod", "node", "machine"])
def test_a_captured_server_is_reached(
    whence: str, pod: Pod, elsewhere: Namespace, captured_server: str, namespace: Namespace, server: Pod
) -> None:
    address = service_address(namespace.name, 4)
    ask = {
        "pod": lambda: server.curl(f"http://{captured_server}")[1],
        "captured pod": lambda: pod.curl(f"http://{captured_server}")[1],
        "node": lambda: on_node("curl", "-sS", "-m", "5", f"http://{address}"),
        "machine": lambda: run("curl", "-sS", "-m", "5", f"http://{address}"),
    }[whence]
    assert until(lambda: ask().startswith("server saw "))


@pytest.mark.parametrize("kind", PROBES)
def test_the_kubelet_probes(kind: str, namespace: Namespace) -> None:
    often = PROBES[kind] | {"periodSeconds": 1, "timeoutSeconds": 10}
    probes: Json = {
        "startupProbe": often | {"failureThreshold": 30},
        "readinessProbe": often,
        "livenessProbe": often | {"failureThreshold": 1},
    }
    probed = namespace.pod(f"probed-{kind}", containers=[container(*SERVE, **probes)])
    states = {state["name"]: state["restartCount"] for state in probed.get()["status"]["containerStatuses"]}
    assert states == {"app": 0}
    probed.delete()


@contextmanager
def forwarded(namespace: Namespace) -> Iterator[str]:
    command = ["kubectl", "port-forward", "-n", namespace.name, "pod/server", ":8080"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().split()[2]  # Forwarding from 127.0.0.1:40123 -> 8080
        finally:
            process.terminate()


def test_port_forward_exec_and_logs(namespace: Namespace, captured_server: str, pod: Pod) -> None:
    with forwarded(namespace) as address:
        assert run("curl", "-sS", "-m", "5", f"http://{address}").startswith("server saw ")
    assert pod("echo", "said") == "said\n"
    assert "GET / HTTP/1.1" in Pod(namespace.name, "server").logs()
