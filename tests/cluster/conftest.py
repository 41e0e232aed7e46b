"""One cluster for all of a session: the node, the image, the chart, the outside; and namespaces in it for each test."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exitway.names.cluster import PLACEMENT, Placement
from exitway.resources.kind_names import KIND_NAMES
from tests.cluster import outside as world
from tests.cluster.cluster import (
    CLIENT,
    IMAGE,
    KUBE,
    OF_A_TEST,
    REPOSITORY,
    STATE,
    SYSTEM,
    Namespace,
    Pod,
    helm,
    kubectl,
    new_namespace,
    run,
    without_webhooks,
)
from tests.cluster.outside import Outside, Seen

JAVA = "localhost/exitway-java:1"
SLOW = 1800
"""Seconds for what is built when the caches are cold."""

_took: dict[str, float] = {}


@contextmanager
def _measured(stage: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    _took[stage] = time.monotonic() - start


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(REPOSITORY / "tests/cluster"):
            item.add_marker("cluster")
    # Those that play replicas of their own first: a control plane that is installed would write beside them.
    items.sort(key=lambda item: "installed" in getattr(item, "fixturenames", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _took:
        parts = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in _took.items())
        terminalreporter.write_line(f"brought up in {sum(_took.values()):.1f} s: {parts}")


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """A node that runs, for this session alone."""
    if os.geteuid() != 0:
        pytest.skip("a node needs root: mounts, cgroups and containers of its own")
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "session").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _measured("node"):
            run(KUBE / "up", seconds=SLOW)
            run(KUBE / "world")
            kubectl("delete", "namespaces", "-l", OF_A_TEST)  # of a session that was killed: we would see its rules
        yield


@pytest.fixture(scope="session")
def definitions(cluster: None) -> None:
    """The kinds of rules, whether Exitway is installed or not."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "deploy/helm/exitway/crds")
    for kind in KIND_NAMES:
        kubectl("wait", "--for=condition=Established", f"crd/{kind.plural}.{kind.group}")


@pytest.fixture
def unguarded(cluster: None) -> Iterator[None]:
    """Without the webhooks that refuse bad rules."""
    with without_webhooks():
        yield


@pytest.fixture(scope="session")
def image(cluster: None) -> str:
    """The image of this working tree, on the node."""
    with _measured("image"):
        run("deploy/image/build", "--load", IMAGE, seconds=SLOW)
    return IMAGE


@pytest.fixture(scope="session")
def client(cluster: None) -> str:
    """The image of the tests' pods, on the node."""
    return _build(CLIENT, "python3-dnspython", "curl", "dash", "coreutils", "iproute2", "nftables", "busybox")


@pytest.fixture(scope="session")
def java(cluster: None) -> str:
    """An image with a JDK and the program of the tutorial, as it is."""
    program = REPOSITORY / "examples/java"
    jdk = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"
    return _build(JAVA, "openjdk-17-jdk-headless", more=[f"--copy={program}:/app", f"--link=/usr/bin/java:{jdk}"])


def _build(name: str, *debs: str, more: list[str] | None = None) -> str:
    cache = STATE.parent / "exitway/images"
    archive = cache / f"{name.replace('/', '_')}.tar"
    command = [".venv/bin/python", "-m", "tests.cluster.kube.image", "--out", archive, "--name", name]
    run(*command, "--cache", cache / "layers", *(more or []), "--deb", *debs, seconds=SLOW)
    run(KUBE / "load", STATE, archive)
    return name


@pytest.fixture(scope="session")
def installed(image: str) -> Iterator[str]:
    """Exitway by its chart, in the namespace that is returned."""
    with _measured("chart"):
        run("helm", "uninstall", "exitway", "-n", SYSTEM, "--ignore-not-found", "--wait")
        helm("install")
    yield SYSTEM
    run("helm", "uninstall", "exitway", "-n", SYSTEM, "--wait", seconds=180)


@pytest.fixture(scope="session")
def _outside(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with world.running(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def lab(_outside: Outside) -> Iterator[Outside]:
    """The world outside, as in the other tests: its names and addresses."""
    yield _outside
    _outside.restore()


@pytest.fixture
def outside(lab: Outside) -> Seen:
    """What has reached the world since the test began."""
    return lab.watch()


@pytest.fixture(scope="module", params=[Placement.SIDECAR, Placement.NODE])
def placement(request: pytest.FixtureRequest) -> Placement:
    found: Placement = request.param
    return found


@pytest.fixture(scope="module")
def namespace(installed: str, client: str, placement: Placement) -> Iterator[Namespace]:
    """A namespace whose pods are captured, once for each placement."""
    with new_namespace({PLACEMENT: placement}) as made:
        yield made


@pytest.fixture(scope="module")
def elsewhere(client: str) -> Iterator[Namespace]:
    """A namespace that Exitway has nothing to do with."""
    with new_namespace({}) as made:
        yield made


@pytest.fixture(scope="module")
def pod(namespace: Namespace) -> Pod:
    """A captured pod that waits for commands."""
    return namespace.pod()
