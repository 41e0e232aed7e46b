from __future__ import annotations

from ipaddress import ip_network

import pytest

from exitway.cluster.settings import ClusterSettings
from exitway.resources.problem import Problems

POD = {"EXITWAY_POD_NAME": "exitway-1", "EXITWAY_POD_NAMESPACE": "exitway-system"}


def test_what_is_not_said_is_as_the_chart_has_it():
    settings = ClusterSettings.from_environment({**POD, "EXITWAY_CLUSTER_RANGES": "", "EXITWAY_SIDECAR_RESOURCES": ""})
    assert settings == ClusterSettings("exitway-1", "exitway-system")
    assert settings.dns_names == (
        "exitway",
        "exitway.exitway-system",
        "exitway.exitway-system.svc",
        "exitway.exitway-system.svc.cluster.local",
    )


def test_what_is_said_is_read():
    said = {
        **POD,
        "EXITWAY_CLUSTER_RANGES": "10.42.0.0/16,fd00::/48",
        "EXITWAY_CLUSTER_DNS": "10.43.0.10",
        "EXITWAY_SIDECAR_RESOURCES": '{"limits": {"memory": "1Gi"}}',
        "EXITWAY_NATIVE_SIDECARS": "false",
        "EXITWAY_RELEASE": "wall",
    }
    settings = ClusterSettings.from_environment(said)
    assert settings.cluster_ranges == (ip_network("10.42.0.0/16"), ip_network("fd00::/48"))
    assert (settings.cluster_dns, settings.sidecar_resources) == (("10.43.0.10",), {"limits": {"memory": "1Gi"}})
    assert (settings.native_sidecars, settings.dns_names[0]) == (False, "wall")


def test_all_that_is_wrong_is_said_at_once():
    wrong = {
        "EXITWAY_POD_NAME": "a",
        "EXITWAY_CLUSTER_RANGES": "10.0.0.1/8 x 0.0.0.0/1",
        "EXITWAY_SIDECAR_RESOURCES": "[]",
    }
    with pytest.raises(Problems) as raised:
        ClusterSettings.from_environment(wrong)
    assert [problem.message for problem in raised.value.problems] == [
        'EXITWAY_CLUSTER_RANGES is "10.0.0.1/8 x 0.0.0.0/1": 10.0.0.1/8 has host bits set',
        "EXITWAY_CLUSTER_RANGES is \"10.0.0.1/8 x 0.0.0.0/1\": 'x' does not appear to be an IPv4 or IPv6 network",
        'EXITWAY_CLUSTER_RANGES is "10.0.0.1/8 x 0.0.0.0/1": 0.0.0.0/1 is wider than any cluster, and pods send there as they please',
        'EXITWAY_SIDECAR_RESOURCES is "[]": it is not a mapping',
        "EXITWAY_POD_NAMESPACE is missing",
    ]
