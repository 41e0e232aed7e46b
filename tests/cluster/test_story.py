"""The story: a microservice in a pod, walled in; a rule is created; it gets out. Its source and its image are those of the tutorial."""

from collections.abc import Iterator

import pytest

from exitway.names.cluster import PLACEMENT, Placement
from tests.cluster.cluster import kubectl, new_namespace, run, until
from tests.cluster.outside import Seen

DENIED = "404 Not Found\n"


@pytest.fixture
def service(installed: str, java: str, placement: Placement) -> Iterator[str]:
    """The URL of the program, which runs in a namespace that is captured."""
    with new_namespace({PLACEMENT: placement}, "istioegress") as istioegress:
        istioegress.kubectl("apply", "-f", "examples/kubernetes/egress-httpbin.yml")
        istioegress.rollout("deployment/egress-httpbin")
        yield "http://" + istioegress.kubectl("get", "service", "egress-httpbin", "-o", "jsonpath={.spec.clusterIP}")


def test_a_rule_lets_the_program_out_and_its_end_walls_it_in_again(service: str, outside: Seen) -> None:
    def curl() -> str:
        return run("curl", "-sS", "-m", "15", service)

    program = pods()
    assert curl() == DENIED
    assert outside.connections() == []
    assert outside.queries() == []

    created = kubectl("create", "-f", "examples/egress_httpbin.yml", "-n", "istioegress")
    assert created == "egressrule.config.istio.io/httpbin-egress-rule created\n"
    assert "httpbin-egress-rule" in kubectl("get", "egressrules", "-n", "istioegress")
    assert '"Host": "httpbin.org"' in until(lambda: said if (said := curl()) != DENIED else "")
    assert [(request["host"], request["path"]) for request in outside.requests()] == [("httpbin.org", "/headers")]

    kubectl("delete", "egressrule", "httpbin-egress-rule", "-n", "istioegress")
    until(lambda: curl() == DENIED)
    assert pods() == program  # it has never been restarted


def pods() -> str:
    facts = (
        "{range .items[*]}{.metadata.uid}{range .status.containerStatuses[*]}{.containerID}{.restartCount}{end}{end}"
    )
    return kubectl("get", "pods", "-n", "istioegress", "-o", f"jsonpath={facts}")
