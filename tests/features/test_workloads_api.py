"""The workloads' part of the API, where the rest of the server is needed."""

import pytest

from exitway.cli.client import Refusal
from tests.features.conftest import eventually

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("identity", ["none", "%00", "..", "%2e%2e"])
def test_what_is_no_workload_cannot_be_removed(server, identity):
    with pytest.raises(Refusal) as refused:
        server.request("DELETE", f"/exitway/v1/workloads/{identity}")
    assert refused.value.status["code"] == 404


def test_a_workload_can_be_let_go_before_it_ends(server):
    with server.start("run", "--", "sleep", "600") as run:
        (workload,) = eventually(lambda: server.status()["workloads"])
        server.request("DELETE", f"/exitway/v1/workloads/{workload['id']}")
        assert not server.status()["workloads"]
        run.kill()


def test_a_process_without_a_namespace_of_its_own_is_refused(server):
    for pid in (1, -1, 0, server.status()["pid"], 10**30):
        with pytest.raises(Refusal, match="EXW0701"):
            server.request("POST", "/exitway/v1/workloads", {"namespace": "shop", "name": "x", "pid": pid})
