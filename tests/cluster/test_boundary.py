"""What a pod may not be, and what a program in one may not do: tried on a real cluster, in both placements."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitway.names.cluster import CAPTURED, MIRROR, PLACEMENT, UNSAFE, UNSAFE_PODS, Placement
from tests.cluster.cluster import Json, Namespace, Pod, container, new_namespace, pod_spec, run, until
from tests.cluster.outside import Seen

OUTSIDE = ("198.51.100.9", "3fff::9")
METADATA = ("169.254.169.254", "fd00:ec2::254")
PRIVILEGED: Json = {"securityContext": {"privileged": True}}
ADMINISTRATOR: Json = {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}


def refused(namespace: Namespace, spec: Json, **metadata: Json) -> str:
    """What kubectl says of a pod that is not let in."""
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "unsafe", **metadata}, "spec": spec}
    return namespace.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body), check=False)


def test_a_pod_that_would_defeat_the_boundary_is_refused_with_all_that_is_wrong(namespace: Namespace) -> None:
    said = refused(
        namespace, pod_spec(hostNetwork=True, shareProcessNamespace=True, containers=[container(**PRIVILEGED)])
    )
    for code, field in (
        ("EXW1113", "spec.hostNetwork"),
        ("EXW1116", "spec.shareProcessNamespace"),
        ("EXW1120", "spec.containers[0]"),
    ):
        assert code in said
        assert field in said
    assert UNSAFE in said


def test_what_is_allowed_by_name_is_let_in_with_a_warning_where_the_namespace_lets_it(
    namespace: Namespace, placement: Placement
) -> None:
    asking = pod_spec(containers=[container(**ADMINISTRATOR)])
    said = refused(namespace, asking, annotations={UNSAFE: "capabilities"})
    assert "EXW1129" in said
    assert f"{UNSAFE_PODS}=allowed" in said
    with new_namespace({PLACEMENT: placement, UNSAFE_PODS: "allowed"}) as lenient:
        said = refused(lenient, asking, annotations={UNSAFE: "capabilities"})
    assert "created" in said
    assert f"Warning: Exitway cannot hold this pod to its rules: {UNSAFE} allows capabilities" in said


def test_what_a_pod_says_of_all_its_containers_does_not_bind_ours(namespace: Namespace) -> None:
    security = {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}
    pod = namespace.pod("ordinary", securityContext=security, automountServiceAccountToken=False)
    assert pod.curl("http://example.com/")[0] == 404


def test_a_pod_opts_out_where_it_may(namespace: Namespace, placement: Placement) -> None:
    out = {"annotations": {PLACEMENT: "none"}}
    assert "EXW1111" in refused(namespace, pod_spec(), **out)
    with new_namespace({PLACEMENT: placement, "exitway.dev/opt-out": "allowed"}) as lenient:
        assert "created" in refused(lenient, pod_spec(), **out)


def test_what_a_node_shows_of_a_static_pod_is_left_as_it_is(namespace: Namespace) -> None:
    node = json.loads(run("kubectl", "get", "nodes", "-o", "json"))["items"][0]["metadata"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": node["name"], "uid": node["uid"], "controller": True}
    metadata = {"name": "static", "annotations": {MIRROR: "a"}, "ownerReferences": [owner]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(nodeName=node["name"])}
    kubelet = ("--as", f"system:node:{node['name']}", "--as-group", "system:nodes")
    made = namespace.kubectl("create", "--dry-run=server", "-o", "json", *kubelet, "-f", "-", stdin=json.dumps(body))
    shown = json.loads(made)
    assert CAPTURED not in shown["metadata"].get("labels", {})
    assert "initContainers" not in shown["spec"]


def test_a_captured_pod_stays_what_it_is(namespace: Namespace, pod: Pod, placement: Placement) -> None:
    ours = {Placement.SIDECAR: "exitway-proxy", Placement.NODE: "exitway-gate"}[placement]
    for change in (
        ("label", "pod", pod.name, f"{CAPTURED}-"),
        ("label", "pod", pod.name, f"{CAPTURED}=none", "--overwrite"),
        ("annotate", "pod", pod.name, f"{UNSAFE}=capabilities"),
        ("annotate", "pod", pod.name, f"{PLACEMENT}=none"),
        (
            "patch",
            "pod",
            pod.name,
            "-p",
            json.dumps({"spec": {"initContainers": [{"name": ours, "image": "localhost/theirs:1"}]}}),
        ),
    ):
        assert "EXW1125" in namespace.kubectl(*change, check=False), change
    namespace.kubectl("label", "pod", pod.name, "of-its-own=yes")


@pytest.mark.parametrize("what", [PRIVILEGED, ADMINISTRATOR, {"targetContainerName": "exitway-proxy"}], ids=str)
def test_no_container_for_debugging_opens_a_captured_pod(namespace: Namespace, pod: Pod, what: Json) -> None:
    path = f"/api/v1/namespaces/{namespace.name}/pods/{pod.name}/ephemeralcontainers"
    body = pod.get()
    body["spec"]["ephemeralContainers"] = [container(name="debugger") | what]
    said = namespace.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(body), check=False)
    assert "EXW11" in said


ATTACKS = """
import ctypes, json, os, socket, struct, subprocess, sys
outside, marks, said = json.loads(sys.argv[1]), (0x45580001, 0x45580002, 0x45580003), {}

def tried(name, attempt):
    try:
        said[name] = repr(attempt())
    except OSError as error:
        said[name] = type(error).__name__

def connected(to, port=9, kind=socket.SOCK_STREAM, options=()):
    with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, kind) as one:
        one.settimeout(2)
        for option in options:
            one.setsockopt(*option)
        one.connect((to, port))
        one.send(b"out")
        return one.recv(100)

def entered():
    one = socket.socket()
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000):  # CLONE_NEWUSER
        raise PermissionError
    one.setsockopt(socket.SOL_SOCKET, 36, marks[1])

def flushed():
    if subprocess.run(["nft", "flush", "ruleset"], capture_output=True).returncode:
        raise PermissionError

def asked():
    number = {"x86_64": 249, "aarch64": 218}[os.uname().machine]  # request_key(2): the node would ask its own name server
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, b"dns_resolver", b"keys.lab.test", None, 0) < 0:
        raise OSError(ctypes.get_errno(), "request_key")

for to in outside:
    for link in ("", "eth0", "lo"):
        bound = [(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())] if link else []
        tried(f"tcp {to} {link}", lambda: connected(to, options=bound))
        tried(f"udp {to} {link}", lambda: connected(to, 443, socket.SOCK_DGRAM, bound))
for mark in marks:
    tried(f"mark {mark:x}", lambda: connected(outside[0], options=[(socket.SOL_SOCKET, 36, mark)]))
tried("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 255))
tried("raw6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 255))
tried("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
tried("transparent", lambda: socket.socket().setsockopt(socket.SOL_IP, 19, 1))
tried("netlink", flushed)
tried("user namespace", entered)
tried("keys", asked)
print(json.dumps(said))
"""


@pytest.mark.parametrize("user", [0, 1000, 1337, 65532])
def test_a_program_does_not_get_past_the_proxy_as_anybody(namespace: Namespace, user: int, outside: Seen) -> None:
    """Whoever it is: a bare uid, as other sidecars have it, exempts nobody."""
    pod = namespace.pod(f"as-{user}", containers=[container(securityContext={"runAsUser": user})])
    said = json.loads(pod("python3", "-c", ATTACKS, json.dumps([*OUTSIDE, *METADATA])))
    got_out = {name: what for name, what in said.items() if what.startswith("b'") and what != "b''"}
    assert got_out == {}
    refused_at_once = {
        name: what
        for name, what in said.items()
        if name.split()[0] in ("mark", "raw", "raw6", "packet", "transparent", "netlink", "user", "keys")
    }
    assert set(refused_at_once.values()) == {"PermissionError"}, refused_at_once
    arrived = [
        fact for fact in (*outside.connections(), *outside.packets()) if fact["address"] in (*OUTSIDE, *METADATA)
    ]
    assert arrived == []


@pytest.fixture(scope="module")
def sidecars(installed: str, client: str) -> Iterator[Namespace]:
    with new_namespace({PLACEMENT: Placement.SIDECAR}) as made:
        yield made


def test_a_program_sees_nothing_of_its_proxy(sidecars: Namespace) -> None:
    """Neither its process, nor its token, nor a way to its administration."""
    pod = sidecars.pod("curious", containers=[container(securityContext={"runAsUser": 0})])
    commands = pod("sh", "-c", "cat /proc/[0-9]*/cmdline")
    assert "envoy" not in commands
    assert "exitway" not in pod("sh", "-c", "ls /var/run/secrets /run")
    said = pod(
        "python3", "-c", "import socket; socket.socket(socket.AF_UNIX).connect('/run/exitway/admin')", check=False
    )
    assert "FileNotFoundError" in said
    listening = pod("sh", "-c", "cat /proc/net/tcp")
    listeners = {line.split()[1] for line in listening.splitlines() if line.split()[3] == "0A"}
    assert listeners == {"0100007F:0001"}


def test_when_its_proxy_dies_a_pod_is_cut_off_until_it_is_back(sidecars: Namespace) -> None:
    pod = sidecars.pod("orphan")
    assert pod.curl("http://example.com/")[0] == 404
    until(lambda: pod("python3", "-c", "import os; os.kill(1, 9)", container="exitway-proxy", check=False) or True)
    said = pod.curl("http://198.51.100.9/")
    assert said[0] in (0, 404)
    until(lambda: pod.curl("http://example.com/")[0] == 404)


def test_an_older_cluster_has_the_proxy_beside_the_application(
    installed: str, elsewhere: Namespace, tmp_path: Path
) -> None:
    """As ``exitway inject`` writes it: in a namespace without a placement nobody else does."""
    described = json.loads(run(".venv/bin/exitway", "inject", "--show-installation", "-o", "json")) | {"native": False}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "older"}, "spec": pod_spec()}
    description = tmp_path / "installation.json"
    description.write_text(json.dumps(described))
    made = run(
        ".venv/bin/exitway", "inject", "--installation", description, "-f", "-", "-o", "json", stdin=json.dumps(body)
    )
    elsewhere.kubectl("apply", "-f", "-", stdin=made)
    pod = Pod(elsewhere.name, "older").wait()
    assert [one["name"] for one in pod.get()["spec"]["containers"]] == ["exitway-proxy", "app"]
    assert pod.curl("http://example.com/")[0] == 404
