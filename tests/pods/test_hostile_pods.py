"""Pods that were written to get round what reads them."""

import pytest

from exitway.names.cluster import CAPTURED, PLACEMENT, Placement
from exitway.pods.containers import CONTAINERS
from exitway.pods.inject import inject
from exitway.pods.installation import Installation
from exitway.pods.refusal import refused

INSTALLATION = Installation("exitway:1", ("10.0.0.1",), "exitway", "PEM", ("10.0.0.53",), ("10.0.0.0/8",))


def pod(**container):
    return {"metadata": {}, "spec": {"containers": [{"name": "app", "image": "app:1", **container}]}}


def made(placement, **container):
    found = inject(pod(**container), {PLACEMENT: placement}, INSTALLATION).pod
    return next(one for one in found["spec"]["containers"] if one["name"] == "app")


@pytest.mark.parametrize("placement", [Placement.SIDECAR, Placement.NODE])
@pytest.mark.parametrize("said", [None, [], ["CAP_NET_RAW"], ["CAP_ALL"], ["CHOWN"]])
def test_raw_sockets_are_dropped_in_words_that_runtimes_know(placement, said):
    """containerd passes over CAP_NET_RAW and CAP_ALL."""
    found = made(placement, securityContext={"capabilities": {"drop": said}})
    assert found["securityContext"]["capabilities"]["drop"] == [*(said or []), "NET_RAW"]


@pytest.mark.parametrize("said", [["ALL"], ["all"], ["NET_RAW"], ["net_raw", "CHOWN"]])
def test_what_drops_them_already_stays_as_it_is(said):
    found = made(Placement.NODE, securityContext={"capabilities": {"drop": said}})
    assert found["securityContext"]["capabilities"]["drop"] == said


@pytest.mark.parametrize("name", ["debug", *CONTAINERS])
def test_no_name_makes_a_container_that_comes_later_one_of_ours(name):
    later = {"name": name, "securityContext": {"privileged": True, "capabilities": {"add": ["NET_ADMIN"]}}}
    problems, _ = refused({"metadata": {"labels": {CAPTURED: "sidecar"}}, "spec": {"ephemeralContainers": [later]}}, {})
    assert {one.code for one in problems} == {"EXW1120", "EXW1121"}


@pytest.mark.parametrize("name", ["net.ipv4.tcp_fwmark_accept", "net/ipv4/tcp_fwmark_accept", "net.ipv4.ip_forward"])
def test_no_sysctl_hands_out_marks(name):
    problems, _ = refused({"spec": {"securityContext": {"sysctls": [{"name": name, "value": "1"}]}}}, {})
    assert [one.code for one in problems] == ["EXW1117"]


def test_the_clock_of_the_node_is_not_a_programs():
    """By it rules expire."""
    problems, _ = refused(pod(securityContext={"capabilities": {"add": ["SYS_TIME"]}}), {})
    assert [one.code for one in problems] == ["EXW1121"]
