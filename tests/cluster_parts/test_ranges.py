"""What is taken for the cluster's own addresses."""

from ipaddress import ip_network

import pytest

from exitway.cluster.ranges import found_ranges


def node(*cidrs, address="10.0.0.5", kind="InternalIP"):
    return {"spec": {"podCIDRs": list(cidrs)}, "status": {"addresses": [{"type": kind, "address": address}]}}


SERVICES = {"spec": {"cidrs": ["10.96.0.0/12", "fd00:96::/112"]}, "status": {"addresses": None}}


@pytest.mark.parametrize(("objects", "ranges"), [
    ([SERVICES], ["10.96.0.0/12", "fd00:96::/112"]),
    ([node("10.244.0.0/24"), node("10.244.1.0/24", address="10.0.0.6")], ["10.0.0.5", "10.0.0.6", "10.244.0.0/23"]),
    ([node("10.244.1.7/24")], ["10.0.0.5", "10.244.1.0/24"]),
    ([node("100.64.0.0/16", "fd00:244::/64", address="fd00::5")], ["100.64.0.0/16", "fd00::5", "fd00:244::/64"]),
    ([node("8.8.8.0/24", address="1.1.1.1")], []),  # public: what a node says of itself opens no way out
    ([node("0.0.0.0/0", "10.0.0.0/7", "::/0", "nonsense")], ["10.0.0.5"]),
    ([node(address="node", kind="Hostname")], []),
])  # fmt: skip
def test_found(objects, ranges):
    assert found_ranges(objects) == tuple(map(ip_network, ranges))
