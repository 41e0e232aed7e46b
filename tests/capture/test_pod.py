"""The capture of a pod: what each try of a program gets, and what of it leaves."""

import socket
from contextlib import contextmanager
from ipaddress import ip_address, ip_network

import pytest

from exitway.capture.pod import PodCapture, route, rules, ruleset
from exitway.names.cluster import ADDRESS_MARK, CAPTURED_MARK, PROXY_MARK
from tests.capture.podded import (
    CLUSTER,
    IP_FREEBIND,
    IPV6_FREEBIND,
    IPV6_RTHDR,
    OUTSIDE,
    PEER,
    POD,
    RESOLVER,
    part,
    podded,
)

pytestmark = pytest.mark.lab

AT_ONCE = 0.5
"""Seconds."""
REFUSED = {"PermissionError", "ConnectionRefusedError", "OSError"}
METADATA = ("169.254.169.254", "fd00:ec2::254")
RANGES = tuple(map(ip_network, CLUSTER))
SIDECAR = PodCapture(RANGES, RESOLVER, proxied=True)
NODE = PodCapture(RANGES, RESOLVER, recorded=True)
WIDE = PodCapture((*RANGES, ip_network("169.254.0.0/16"), ip_network("198.18.1.0/24")), RESOLVER[:1], dns_ports=(5353,))
SO_MARK, IP_OPTIONS = 36, 4
FREELY_BOUND = ([[socket.SOL_IP, IP_FREEBIND, 1]], [[socket.IPPROTO_IPV6, IPV6_FREEBIND, 1]])
SOURCE_ROUTED = [
    *((OUTSIDE[0], [[socket.SOL_IP, IP_OPTIONS, option + "0704" + "c6120209" + "01"]]) for option in ("83", "89")),
    (OUTSIDE[1], [[socket.IPPROTO_IPV6, IPV6_RTHDR, "0002040000000000" + ip_address(PEER[1]).packed.hex()]]),
]
"""By way of an address of the cluster: loose, strict (RFC 791), and segments (RFC 8754)."""


@contextmanager
def made(capture):
    with podded() as one:
        one.install(rules(), route("lo", "1") + route("eth0", "2"), ruleset(capture, "a test"))
        yield one


@pytest.fixture(scope="module", params=[SIDECAR, NODE], ids=["sidecar", "node"])
def captured(request):
    with made(request.param) as pod, part("proxy", *pod.pod):
        yield pod


@pytest.fixture(scope="module")
def bare():
    """Captured, and without a proxy."""
    with made(SIDECAR) as pod:
        yield pod


def got(pod, **what):
    """What a try got, at once."""
    said, seconds = pod.attempt(what)
    assert seconds < AT_ONCE, (said, seconds)
    return said


@pytest.mark.parametrize("to", [*OUTSIDE, *METADATA])
@pytest.mark.parametrize("how", [{}, {"link": "eth0"}], ids=str)
def test_tcp_is_led_to_the_proxy(captured, to, how):
    assert got(captured, kind="tcp", to=to, **how) == f"proxy {to} 80"
    assert not captured.arrived()


@pytest.mark.parametrize(("kind", "to"), [
    *((kind, to) for kind in ("udp", "icmp") for to in (*OUTSIDE, *METADATA, "fe80::1%eth0", "224.0.0.251")),
    ("udp", "ff02::fb%eth0"),
])  # fmt: skip
@pytest.mark.parametrize("how", [{}, {"link": "eth0"}], ids=str)
def test_all_else_is_refused_at_once(captured, kind, to, how):
    assert got(captured, kind=kind, to=to, **how) in REFUSED
    assert not captured.arrived()


@pytest.mark.parametrize(("kind", "to", "how"), [
    *((kind, to, {"link": "lo"}) for kind in ("tcp", "udp", "icmp") for to in OUTSIDE),
    ("icmp", "ff02::fb%eth0", {}),
])  # fmt: skip
def test_what_nobody_can_refuse_does_not_leave(captured, kind, to, how):
    captured.attempt({"kind": kind, "to": to, **how})
    assert not captured.arrived()


@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("to", PEER)
def test_the_cluster_is_let_through(captured, kind, to):
    assert got(captured, kind=kind, to=to) == f"world {to} 80"
    assert captured.arrived() == {(6 if kind == "tcp" else 17, to, 80)}


@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("to", [*OUTSIDE, *PEER, *METADATA])
@pytest.mark.parametrize("how", [{}, {"link": "eth0"}], ids=str)
def test_questions_are_led_to_the_resolver(captured, kind, to, how):
    resolver = RESOLVER[":" in to]
    assert got(captured, kind=kind, to=to, port=53, **how) == f"world {resolver} 53"
    assert captured.arrived() == {(6 if kind == "tcp" else 17, resolver, 53)}


@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize(("to", "pod"), [*zip(OUTSIDE, POD, strict=True)], ids=str)
def test_answers_to_what_came_in_leave(captured, kind, to, pod):
    what = {"kind": kind, "to": pod, "port": 8080, "source": [to, 40000], "options": FREELY_BOUND[":" in to]}
    assert captured.outside(what)[0] == f"pod {pod} 8080"
    assert captured.arrived() == {(6 if kind == "tcp" else 17, to, 40000)}


def test_an_answer_to_what_never_came_in_does_not_leave(captured):
    """IPv6 lets anybody send from an address that is not theirs, to themselves as well: that makes an answer out of the next packet."""
    there, here = [OUTSIDE[1], 4000], [POD[1], 5000]
    sent = {"kind": "udp", "silent": True, "options": FREELY_BOUND[1]}
    captured.attempt({**sent, "to": here[0], "port": here[1], "source": there})
    assert captured.attempt({**sent, "to": there[0], "port": there[1], "source": here})[0] in REFUSED
    assert captured.attempt({**sent, "to": PEER[1], "source": there})[0] in REFUSED
    assert not captured.arrived()


@pytest.mark.parametrize("to", ["::1", POD[1]])
def test_nobody_answers_the_proxy_in_the_name_of_the_resolver(captured, to):
    forged = {"kind": "udp", "to": to, "port": 5000, "source": [RESOLVER[1], 5354], "options": FREELY_BOUND[1]}
    assert got(captured, **forged) in REFUSED


@pytest.mark.parametrize(("to", "options"), SOURCE_ROUTED, ids=str)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_the_cluster_is_no_stepping_stone(captured, kind, to, options):
    assert captured.attempt({"kind": kind, "to": to, "options": options})[0] in {*REFUSED, "timed out"}
    assert not captured.arrived()


@pytest.mark.parametrize("mark", [CAPTURED_MARK, PROXY_MARK, ADDRESS_MARK])
def test_a_program_cannot_wear_the_marks(captured, mark):
    assert got(captured, kind="tcp", to=OUTSIDE[0], options=[[socket.SOL_SOCKET, SO_MARK, mark]]) == "PermissionError"


@pytest.mark.parametrize(("mark", "to", "said"), [
    *((mark, to, f"world {to} 80") for mark in (PROXY_MARK, ADDRESS_MARK) for to in (*OUTSIDE, *PEER)),
    *((PROXY_MARK, to, None) for to in (*METADATA, "127.0.0.1", "fe80::1%eth0", "240.0.0.1", "64:ff9b::1")),
    *((ADDRESS_MARK, to, f"world {to} 80") for to in METADATA),
])  # fmt: skip
def test_a_proxy_in_the_pod_reaches_what_names_may_lead_to(bare, mark, to, said):
    got, seconds = bare.proxying({"kind": "tcp", "to": to, "options": [[socket.SOL_SOCKET, SO_MARK, mark]]})
    assert seconds < AT_ONCE
    assert got == said if said else got in REFUSED


def test_a_question_that_is_not_led_does_not_leave():
    with made(WIDE) as pod:
        pod.install("", "", "flush chain inet exitway lead")
        for port in (53, 5353):
            pod.attempt({"kind": "udp", "to": PEER[0], "port": port, "silent": True})
        assert not pod.arrived()
        pod.install("", "", "flush chain inet exitway last")
        pod.attempt({"kind": "udp", "to": PEER[0], "port": 5353, "silent": True})
        assert pod.arrived() == {(17, PEER[0], 5353)}


def test_without_a_proxy_all_is_refused(bare):
    bare.arrived()
    for to in (*OUTSIDE, *METADATA):
        assert got(bare, kind="tcp", to=to) == "ConnectionRefusedError"
    assert not bare.arrived()


def test_metadata_is_no_part_of_the_cluster_and_ports_of_its_name_servers_are_led(bare):
    assert "169.254" not in ruleset(WIDE, "a test").partition("chain")[0]
    bare.install("", "", ruleset(WIDE, "a test"))
    assert got(bare, kind="udp", to=PEER[0], port=5353) == f"world {RESOLVER[0]} 53"
    assert got(bare, kind="udp", to=PEER[1], port=53) in REFUSED  # the resolver does not speak IPv6
