from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitway.dns import hashed
from exitway.dns.hashed import HashedAddresses, pin, pinned_names
from exitway.dns.synthetic import Synthetic
from exitway.names.cluster import HASHED_IPV4, HASHED_IPV6
from exitway.resources.intent import Action
from tests.intents import intent

NAMES = [f"{letter}.example" for letter in "abcdefghijklmnop"]


@pytest.fixture
def narrow(monkeypatch):
    """Networks so small that names meet all the time."""
    monkeypatch.setattr(hashed, "_SIZE_IPV4", 30)


some = st.sets(st.sampled_from(NAMES), max_size=12)


def test_an_address_follows_from_the_name_alone():
    assert HashedAddresses().address_of("a.example") == Synthetic("241.67.150.199", "2001:2:0:f241:3642:415d:1f4f:1649")


def test_addresses_are_in_their_networks():
    addresses = HashedAddresses()
    for number in range(1000):
        ipv4, ipv6 = addresses.address_of(f"{number}.example")
        assert ip_address(ipv4) in ip_network(HASHED_IPV4)
        assert ip_address(ipv6) in ip_network(HASHED_IPV6)


@pytest.mark.usefixtures("narrow")
@given(some)
def test_the_address_of_a_pinned_name_is_its_own(pinned):
    addresses = HashedAddresses(pin(pinned))
    for name in pinned:
        own = addresses.address_of(name)
        assert addresses.name_of(own.ipv4) == addresses.name_of(own.ipv6) == name
        assert addresses.is_pinned(name)
        for other in {*NAMES, "other.example"} - {name}:
            assert not set(own) & set(addresses.address_of(other))
            assert not addresses.stands_for(own.ipv4, other)


@given(some, st.sampled_from(NAMES))
def test_pinning_and_unpinning_moves_no_name(pinned, name):
    before, after = HashedAddresses(pin(pinned)), HashedAddresses(pin(pinned ^ {name}))
    assert all(before.address_of(one) == after.address_of(one) for one in NAMES)


def test_ten_thousand_pinned_names_move_one_in_a_thousand_others():
    addresses, alone = HashedAddresses(pin(f"{number}.tcp.example" for number in range(10_000))), HashedAddresses()
    moved = [
        name for name in (f"{n}.example" for n in range(10_000)) if addresses.address_of(name) != alone.address_of(name)
    ]
    assert 0 < len(moved) < 20


def test_an_address_stands_for_a_name_in_any_spelling():
    addresses = HashedAddresses()
    ipv4, ipv6 = addresses.address_of("a.example")
    assert addresses.stands_for(ipv6.upper(), "a.example")
    assert addresses.stands_for(ip_address(ipv6).exploded, "a.example")
    assert not addresses.stands_for(ipv4, "b.example")
    assert not addresses.stands_for("nonsense", "a.example")
    assert addresses.name_of(ipv4) is None


def test_rules_for_tcp_pin_the_names_that_they_speak_of():
    intents = [
        intent("a", "db.example *.db.example 198.18.0.0/15", "5432/TCP 443/TLS"),
        intent("b", "no.example", "5432/TCP", action=Action.DENY, namespace="other", labels=[("app", "x")]),
        intent("c", "web.example", "80/HTTP 443/TLS"),
        intent("d", "direct.example", "5432/TCP", direct=True),
    ]
    assert pinned_names(intents) == {"db.example", "no.example"}
