"""Who may know what: a proxy proves which pod it is, and is told that pod's policy, by every replica the same."""

import base64
import json
import time
from dataclasses import dataclass

import grpc
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from exitway.names.cluster import CAPTURED
from exitway.xds.message import told
from tests.cluster.cluster import STATE, kubectl, new_namespace, until
from tests.cluster.stream import stream

REFUSED = grpc.StatusCode.UNAUTHENTICATED


@dataclass
class ControlPlane:
    replicas: list[str]
    authorities: bytes
    name: str

    def stream(self, token, replica=0, **more):
        return stream(self.replicas[replica], self.authorities, self.name, token, **more)


@pytest.fixture(scope="module")
def control(installed):
    component = ("-l", "app.kubernetes.io/component=controller")
    kubectl("wait", "-n", installed, "--for=condition=Ready", "pod", *component, "--timeout=60s")
    pods = json.loads(kubectl("get", "pods", "-n", installed, *component, "-o", "json"))["items"]
    release = pods[0]["metadata"]["labels"]["app.kubernetes.io/instance"]
    secret = json.loads(kubectl("get", "secret", "-n", installed, f"{release}-tls", "-o", "json"))
    return ControlPlane(
        [pod["status"]["podIP"] for pod in pods if not pod["metadata"].get("deletionTimestamp")],
        base64.b64decode(secret["data"]["ca.crt"]),
        f"{release}.{installed}.svc",
    )


@pytest.fixture(scope="module")
def namespace(client):
    """Its pods say that they are captured, and need no capture for this."""
    with new_namespace({}) as made:
        for name in ("one", "other"):
            made.pod(name, metadata={"labels": {CAPTURED: "sidecar"}})
            rule(made, name, f"{name}.example", matchLabels={"app": name})
        yield made


def rule(namespace, name, host, **selector):
    namespace.rule(name, to={"hosts": [host], "ports": [{"number": 80, "protocol": "HTTP"}]}, workloadSelector=selector)


def token(namespace, pod="", audience="exitway"):
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}") if pod else ()
    return namespace.kubectl("create", "token", "default", f"--audience={audience}", *bound).strip()


def test_a_proxy_is_told_the_policy_of_the_pod_that_it_is_whatever_it_says_it_is(control, namespace):
    for name, its_other in (("one", "other"), ("other", "one")):
        with control.stream(token(namespace, name), node=f"{namespace.name}/{its_other}") as proxy:
            proxy.wait(f"{name}.example".encode())
            proxy.settle()
            assert not proxy.says(f"{its_other}.example".encode())
            assert set(proxy.bodies) == {"out/pod", "http"}


def test_without_a_token_that_proves_a_pod_nothing_is_told(control, namespace):
    valid = token(namespace, "one")
    head, payload, signature = valid.split(".")
    tampered = f"{head}.{payload}.{signature[:-8]}{'A' * 8}"
    for refused in (
        "",
        "nonsense",
        tampered,
        token(namespace),
        token(namespace, "one", audience="api"),
        expired(valid),
    ):
        with control.stream(refused) as proxy:
            assert proxy.refusal() is REFUSED
            assert proxy.received == []


def expired(valid):
    """The same token as of an hour ago, signed by the cluster's own key."""
    head, payload, _ = valid.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    said |= {"iat": said["iat"] - 7200, "nbf": said["nbf"] - 7200, "exp": said["iat"] - 3600}
    text = f"{head}.{_encoded(json.dumps(said).encode())}"
    key = serialization.load_pem_private_key(SIGNING_KEY.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    pair = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{_encoded(b''.join(number.to_bytes(32) for number in pair))}"


SIGNING_KEY = STATE / "node/etc/sa.key"


def _encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_a_pod_that_is_gone_is_nobody(control, namespace):
    gone = namespace.pod("gone", metadata={"labels": {CAPTURED: "sidecar"}})
    its = token(namespace, "gone")
    with control.stream(its) as proxy:
        until(lambda: proxy.bodies)
        gone.delete()
        assert proxy.refusal() is REFUSED
    namespace.pod("gone", metadata={"labels": {CAPTURED: "sidecar"}})  # another pod of the same name
    with control.stream(its) as proxy:
        assert proxy.refusal() is REFUSED
        assert proxy.received == []


def test_a_pod_that_is_not_captured_is_told_that_there_is_nothing(control, namespace):
    """Were it only refused, a proxy that it has all the same would go on with what it had."""
    namespace.pod("free", metadata={"labels": {CAPTURED: "sidecar"}})
    its = token(namespace, "free")
    with control.stream(its) as proxy:
        until(lambda: proxy.bodies)
        held = proxy.held
        namespace.kubectl("label", "pod", "free", f"{CAPTURED}-")
        assert proxy.refusal() is REFUSED
        assert not proxy.bodies
    with control.stream(its, replica=1, held=held) as proxy:
        until(lambda: not any(proxy.held.values()))
    namespace.kubectl("label", "pod", "free", f"{CAPTURED}=sidecar")
    with control.stream(its) as proxy:
        until(lambda: proxy.bodies)


def test_all_replicas_say_the_same_and_a_proxy_that_goes_over_is_sent_nothing(control, namespace):
    its = token(namespace, "one")
    with control.stream(its, replica=0) as one, control.stream(its, replica=1) as other:
        for proxy in (one, other):
            proxy.wait(b"one.example")
            proxy.settle()
    assert one.held == other.held
    assert sorted(one.received) == sorted(other.received)
    with control.stream(its, replica=1, held=one.held) as again:
        again.settle(3)
        assert [told(data).changed for data in again.received] == [()], "there are no clusters: no more is said"
        assert sum(map(len, again.received)) < 100
        rule(namespace, "more", "more.example")
        again.wait(b"more.example")
        assert not any(b"out/pod" in data for data in again.received), "a rule for HTTP changes the routes alone"


def test_a_label_moves_a_pod_to_another_policy_and_a_rule_ends_by_the_clock(control, namespace):
    with control.stream(token(namespace, "one")) as proxy:
        proxy.wait(b"one.example")
        namespace.kubectl("label", "pod", "one", "--overwrite", "app=other")
        proxy.wait(b"other.example")
        assert not proxy.says(b"one.example")
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 20))
        to = {"hosts": ["brief.example"], "ports": [{"number": 80, "protocol": "HTTP"}]}
        namespace.rule("brief", to=to, expires=ends)
        proxy.wait(b"brief.example")
        proxy.wait(b"brief.example", gone=True, seconds=40)
