"""What uninstalling leaves: pods that go on as they were, and pods that can be made."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import HTTP, Namespace, helm, kubectl, run
from tests.cluster.outside import Outside


@pytest.fixture
def uninstalled(installed: str) -> Iterator[None]:
    """Uninstalled, but for what captured pods need; afterwards it is there again."""
    helm("upgrade", "uninstall.keep=true")
    run("helm", "uninstall", "exitway", "-n", installed, "--wait", seconds=180)
    try:
        yield
    finally:
        helm("install")  # it takes what was kept


def test_captured_pods_go_on_and_new_ones_are_made(
    namespace: Namespace, lab: Outside, request: pytest.FixtureRequest
) -> None:
    pod = namespace.pod("before")
    namespace.rule("out", to={"hosts": ["httpbin.org"], "ports": HTTP})
    assert pod.curl("http://httpbin.org/headers")[0] == 200
    assert pod.curl("http://www.google.com/")[0] == 404

    request.getfixturevalue("uninstalled")
    assert "exitway" not in kubectl("get", "mutatingwebhookconfiguration,validatingwebhookconfiguration", "-o", "name")
    left = json.loads(kubectl("get", "deployments,daemonsets", "-n", "exitway-system", "-o", "json"))["items"]
    assert [one["metadata"]["name"] for one in left] == ["exitway-dns", "exitway-node"]
    assert pod.curl("http://httpbin.org/headers")[0] == 200
    assert pod.curl("http://www.google.com/")[0] == 404
    assert pod.curl("https://kubernetes.default.svc/livez", "-k")[0] == 200
    assert "initContainers" not in namespace.pod("after").get()["spec"]
    assert "out" in namespace.kubectl("get", "egr", "-o", "name")
