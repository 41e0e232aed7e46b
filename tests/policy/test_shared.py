"""What rules mean in a cluster: no rule for networks, wide or narrow, leads to the node's loopback, its link or metadata; nothing else changes."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from exitway.names.call import Call, Reason, Sort
from exitway.names.guard import permitted
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import decide
from exitway.policy.shared import HELD, shared
from exitway.resources.intent import Action
from tests.intents import intent

NOW = datetime(2027, 1, 1, tzinfo=UTC)
WORKLOAD = Workload("shop", "w")


def policy(destinations, ports="80/TCP", **more):
    return compile_policy(shared([intent("wide", destinations, ports, **more)]), WORKLOAD, NOW)


@pytest.mark.parametrize(
    ("destinations", "address"),
    [
        ("0.0.0.0/0", "169.254.169.254"),
        ("169.254.0.0/16", "169.254.169.254"),
        ("169.254.169.254/32", "169.254.169.254"),
        ("0.0.0.0/0 127.0.0.1/32", "127.0.0.1"),
        ("100.64.0.0/10", "100.100.100.200"),
        ("::/0", "fd00:ec2::254"),
        ("fe80::1/128", "fe80::1"),
    ],
)
def test_no_network_holds_them(destinations, address):
    made = policy(destinations)
    decision = decide(made, Call(Sort.TCP, 80, address=address))
    assert (decision.allowed, decision.reason, decision.because) == (False, Reason.DENIED, HELD)
    assert not permitted(ip_address(address), 80, made.exceptions)


@pytest.mark.parametrize(
    ("destinations", "address"),
    [("0.0.0.0/0", "198.18.0.1"), ("10.0.0.0/8", "10.1.2.3"), ("100.64.0.0/10", "100.64.0.1"), ("::/0", "2001:db8::1")],
)
def test_all_else_is_as_it_was(destinations, address):
    made = policy(destinations)
    assert decide(made, Call(Sort.TCP, 80, address=address)).allowed
    assert not decide(made, Call(Sort.TCP, 81, address=address)).allowed
    assert permitted(ip_address(address), 80, made.exceptions)


def test_nothing_is_added_where_nothing_leads_there():
    for one in (
        intent("names", "a.example", "80/HTTP"),
        intent("far", "198.18.0.0/16", "80/TCP"),
        intent("denied", "0.0.0.0/0", "80/TCP", action=Action.DENY),
    ):
        assert shared([one]) == (one,)


def test_what_is_direct_is_let_out_like_all_else():
    made = policy("198.18.0.0/16", direct=True)
    assert not made.direct
    assert decide(made, Call(Sort.TCP, 80, address="198.18.0.1")).allowed
