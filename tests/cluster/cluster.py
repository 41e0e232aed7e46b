"""A running Kubernetes as a test sees it: kubectl, namespaces, pods."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Json = dict[str, Any]
T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]
KUBE = REPOSITORY / "tests/cluster/kube"
CHART = REPOSITORY / "deploy/helm/exitway"
SYSTEM = "exitway-system"
IMAGE = "localhost/exitway:test"
"""Of this working tree."""
STATE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kube-lab"
CLIENT = "localhost/exitway-client:1"
"""The image of a test's own pods: python3 with dnspython, curl, sh, coreutils, ip, nft, busybox."""


def environment() -> dict[str, str]:
    """Where kubectl and helm are, and the cluster that they speak to."""
    return os.environ | {"KUBECONFIG": str(STATE / "kubeconfig"), "PATH": f"{STATE / 'bin'}:{os.environ['PATH']}"}


def run(*words: object, stdin: str | None = None, check: bool = True, seconds: float = 120) -> str:
    """What a command prints, run in the repository, with kubectl and helm at hand; stderr too where it need not end well."""
    done = subprocess.run(
        [str(word) for word in words],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if check else subprocess.STDOUT,
        text=True,
        check=False,
        timeout=seconds,
        env=environment(),
        cwd=REPOSITORY,
    )
    assert not check or done.returncode == 0, f"{' '.join(map(str, words))[:300]}: {done.stdout}{done.stderr}"
    return done.stdout


def kubectl(*words: object, **options: Any) -> str:
    return run("kubectl", *words, **options)


def helm(verb: str, *more: str) -> None:
    """Install or upgrade the chart, with the image of this working tree."""
    repository, _, tag = IMAGE.partition(":")
    values = [
        f"image.repository={repository}",
        f"image.tag={tag}",
        "image.pullPolicy=Never",
        "uninstall.keep=false",
        *more,
    ]
    settings = [word for value in values for word in ("--set", value)]
    run("helm", verb, "exitway", CHART, "-n", SYSTEM, "--create-namespace", *settings, "--wait", seconds=180)


def until(seek: Callable[[], T], seconds: float = 30) -> T:
    """What ``seek`` gives as soon as it is true; until then it may fail an assertion."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = seek()
        except AssertionError:
            if time.monotonic() > end:
                raise
        else:
            if found:
                return found
            assert time.monotonic() < end, f"still {found!r} after {seconds:.0f} s"
        time.sleep(0.1)


def on_node(*words: object, **options: Any) -> str:
    """A command in the node's network."""
    return run("ip", "netns", "exec", "kube-lab", *words, **options)


@dataclass(frozen=True)
class Pod:
    """A pod by its name."""

    namespace: str
    name: str

    def __call__(self, *command: object, container: str = "app", **options: Any) -> str:
        """What a command prints in one of its containers."""
        return kubectl("exec", "-n", self.namespace, self.name, "-c", container, "--", *command, **options)

    def curl(self, url: str, *options: str) -> tuple[int, str]:
        """The status and the body; 0 and the reason if there is no answer."""
        said = self("curl", "-sS", "-m", "10", "-w", "\nstatus %{http_code}\n", *options, url, check=False)
        body, _, rest = said.rpartition("\nstatus ")  # where it fails, its complaint may come before or after this
        return int(rest[:3]), body + rest[4:]

    def logs(self, container: str = "app") -> str:
        return kubectl("logs", "-n", self.namespace, self.name, "-c", container)

    def get(self) -> Json:
        found: Json = json.loads(kubectl("get", "pod", "-n", self.namespace, self.name, "-o", "json"))
        return found

    def address(self, version: int = 4) -> str:
        addresses: list[str] = [entry["ip"] for entry in self.get()["status"]["podIPs"]]
        return next(address for address in addresses if (":" in address) == (version == 6))

    def wait(self, condition: str = "condition=Ready", seconds: int = 60) -> Pod:
        """Wait until it is so; the error says what became of it."""
        try:
            kubectl("wait", "-n", self.namespace, f"pod/{self.name}", f"--for={condition}", f"--timeout={seconds}s")
        except AssertionError as error:
            told = kubectl("describe", "pod", "-n", self.namespace, self.name, check=False)
            said = kubectl("logs", "-n", self.namespace, self.name, "--all-containers", "--prefix", check=False)
            raise AssertionError(f"{error}\n{told}\n{said}") from None
        return self

    def delete(self) -> None:
        kubectl("delete", "pod", "-n", self.namespace, self.name, "--wait")


@dataclass(frozen=True)
class Namespace:
    """A namespace of the test's own."""

    name: str

    def kubectl(self, *words: object, **options: Any) -> str:
        return kubectl("-n", self.name, *words, **options)

    def apply(self, *objects: Json) -> None:
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))

    def pod(self, name: str = "client", *, wait: bool = True, **spec: Any) -> Pod:
        """Create a pod, with :func:`pod_spec`, and wait until it is ready."""
        metadata = spec.pop("metadata", {}) | {"name": name}
        metadata["labels"] = {"app": name} | metadata.get("labels", {})
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(**spec)})
        pod = Pod(self.name, name)
        return pod.wait() if wait else pod

    def rollout(self, workload: str, seconds: int = 60) -> None:
        """Wait until a Deployment or the like is as it should be; the error says what became of it."""
        try:
            self.kubectl("rollout", "status", workload, f"--timeout={seconds}s")
        except AssertionError as error:
            told = self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False)
            said = self.kubectl("logs", workload, "--all-containers", "--prefix", "--all-pods", check=False)
            raise AssertionError(f"{error}\n{told}\n{said}") from None

    def service(self, name: str, port: int = 80, target: int = 8080, **spec: Any) -> str:
        """A service for the pods whose label ``app`` is its name, of both families; its ClusterIP."""
        ports = [{"port": port, "targetPort": target}]
        dual = {"ipFamilyPolicy": "PreferDualStack"}
        full = {"selector": {"app": name}, "ports": ports} | dual | spec
        self.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": full})
        return self.kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}")

    def rule(self, name: str, *, to: Json, **spec: Any) -> None:
        """Create a rule of our own kind, and wait until it is in force."""
        body = {"apiVersion": "exitway.dev/v1", "kind": "EgressRule", "metadata": {"name": name}}
        self.apply(body | {"spec": {"to": [to]} | spec})
        self.kubectl("wait", "--for=condition=Programmed", f"egressrules.exitway.dev/{name}", "--timeout=30s")


OF_A_TEST = "of-a-test"
"""Label of the namespaces that tests make."""


@contextmanager
def new_namespace(labels: Mapping[str, str], name: str = "") -> Iterator[Namespace]:
    """A namespace with these labels, for as long as the block."""
    name = name or f"test-{uuid.uuid4().hex[:8]}"
    metadata = {"name": name, "labels": {**labels, OF_A_TEST: "true"}}
    kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
    try:
        kubectl("wait", "-n", name, "--for=create", "serviceaccount/default", "--timeout=30s")
        yield Namespace(name)
    finally:
        kubectl("delete", "namespace", name, "--ignore-not-found", "--wait")


@contextmanager
def without_webhooks() -> Iterator[None]:
    """Nobody refuses a bad rule, for as long as the block."""
    kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations"
    found = json.loads(kubectl("get", kinds, "-o", "json"))["items"]
    hooks = [hook for hook in found if hook["metadata"]["name"] == "exitway"]
    for hook in hooks:
        kubectl("delete", hook["kind"], "exitway")
        hook["metadata"] = {name: hook["metadata"].get(name) for name in ("name", "labels", "annotations")}
    try:
        yield
    finally:
        for hook in hooks:
            kubectl("create", "-f", "-", stdin=json.dumps(hook))


HTTP, TLS, TCP_ECHO = (
    [{"number": 80, "protocol": "HTTP"}],
    [{"number": 443, "protocol": "TLS"}],
    [{"number": 7, "protocol": "TCP"}],
)


def container(*command: object, name: str = "app", **more: Any) -> Json:
    """A container of the client image; without a command it sleeps. One that serves is ready when it does."""
    words = [str(word) for word in command] or ["sleep", "infinity"]
    if command == SERVE:
        more = {"readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}} | more
    return {"name": name, "image": CLIENT, "imagePullPolicy": "Never", "command": words} | more


def pod_spec(*command: object, **more: Any) -> Json:
    """A pod of one such container, unless ``containers`` says otherwise."""
    return {"terminationGracePeriodSeconds": 0, "containers": [container(*command)]} | more


SERVE = ("python3", "-u", "-c", """
import http.server, socket
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{socket.gethostname()} saw {self.client_address[0].removeprefix('::ffff:')}".encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
Server(("::", 8080), Answer).serve_forever()
""")  # fmt: skip
"""A server that says who it is and whom it saw, at port 8080, IPv4 and IPv6."""
