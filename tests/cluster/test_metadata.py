"""Metadata and link-local addresses are no part of the cluster, and no name leads there, whatever the rules for names and for networks."""

import pytest

from tests.cluster.cluster import HTTP, Namespace, Pod
from tests.cluster.outside import Seen

METADATA = ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "[fd00:ec2::254]")
NAMES = ("metadata.lab.test", "loopback.lab.test", "mapped.lab.test", "nat64-metadata.inside.lab.test")


@pytest.fixture(scope="module")
def generous(namespace: Namespace) -> Namespace:
    """A namespace with rules for names that lead there, and for the addresses."""
    namespace.rule("inside", to={"hosts": list(NAMES), "ports": HTTP})
    cidrs = [*(f"{one}/32" for one in METADATA[:-1]), f"{METADATA[-1].strip('[]')}/128", "0.0.0.0/0", "::/0"]
    namespace.rule("addresses", to={"cidrs": cidrs, "ports": [{"number": 80, "protocol": "TCP"}]})
    return namespace


@pytest.mark.parametrize("address", METADATA)
def test_who_is_not_captured_reaches_them(elsewhere: Namespace, uncaptured: Pod, address: str, outside: Seen) -> None:
    assert uncaptured.curl(f"http://{address}/latest/meta-data")[0] == 200
    assert len(outside.requests()) == 1


@pytest.fixture(scope="module")
def uncaptured(elsewhere: Namespace) -> Pod:
    return elsewhere.pod()


@pytest.mark.parametrize("address", METADATA)
def test_no_metadata(generous: Namespace, pod: Pod, address: str, outside: Seen) -> None:
    assert pod.curl(f"http://{address}/latest/meta-data")[0] != 200
    assert outside.facts() == []


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_there(generous: Namespace, pod: Pod, name: str, outside: Seen) -> None:
    assert pod.curl(f"http://{name}/latest/meta-data")[0] != 200
    assert outside.connections() == []
