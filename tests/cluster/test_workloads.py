"""Every kind of workload: Jobs complete, init containers of the user's are captured, and so is every container of a pod."""

import pytest

from tests.cluster.cluster import HTTP, Namespace, Pod, container, pod_spec
from tests.cluster.outside import Seen

ASK = ("curl", "-sS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "http://www.google.com/")
DENIED, ALLOWED = "404", "200"


@pytest.fixture(scope="module")
def ruled(namespace: Namespace) -> Namespace:
    """A namespace in which pods of the app ``free`` may ask www.google.com, and no others."""
    to = {"hosts": ["www.google.com"], "ports": HTTP}
    namespace.rule("google", to=to, workloadSelector={"matchLabels": {"egress": "free"}})
    return namespace


@pytest.mark.parametrize(("labels", "answer"), [({"egress": "free"}, ALLOWED), ({}, DENIED)], ids=["allowed", "denied"])
def test_a_job_completes(ruled: Namespace, labels: dict[str, str], answer: str, outside: Seen) -> None:
    name = f"job-{answer}"
    template = {"metadata": {"labels": labels}, "spec": pod_spec(*ASK, restartPolicy="Never")}
    metadata = {"name": name}
    ruled.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}})
    ruled.kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")
    assert ruled.kubectl("logs", f"job/{name}", "-c", "app") == answer
    assert len(outside.requests()) == (1 if answer == ALLOWED else 0)


@pytest.mark.parametrize(("labels", "answer"), [({"egress": "free"}, ALLOWED), ({}, DENIED)], ids=["allowed", "denied"])
def test_all_containers_of_a_pod_are_captured(
    ruled: Namespace, labels: dict[str, str], answer: str, outside: Seen
) -> None:
    script = ("sh", "-c", f"{' '.join(ASK[:-2])} '{ASK[-2]}' {ASK[-1]}; sleep infinity")
    both = [container(*script, name="app"), container(*script, name="other")]
    first = [container(*ASK, name="first"), container(*ASK, name="second")]
    pod = ruled.pod(f"pod-{answer}", metadata={"labels": labels}, initContainers=first, containers=both)
    said = {name: pod.logs(name) for name in ("first", "second")}
    assert said == dict.fromkeys(said, answer)
    for name in ("app", "other"):
        assert pod(*ASK, container=name) == answer
    hosts = {request["host"] for request in outside.requests()}
    assert hosts == ({"www.google.com"} if answer == ALLOWED else set())


def test_a_container_that_debugs_a_pod_is_captured(ruled: Namespace, pod: Pod, outside: Seen) -> None:
    image = pod.get()["spec"]["containers"][-1]["image"]
    options = ("-c", "debugger", "--image", image, "--image-pull-policy=Never", "--attach", "--quiet")
    assert DENIED in ruled.kubectl("debug", pod.name, *options, "--", *ASK, check=False)
    assert outside.connections() == []
