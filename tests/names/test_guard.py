from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitway.names.guard import NEVER, PRIVATE, is_private, permitted

ANY = tuple((ip_network(network), 80, True) for network in ("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "::ffff:10.1.2.3",
        "::ffff:8.8.8.8",
        "::10.1.2.3",
        "64:ff9b::a01:203",
        "64:ff9b:1::1",
        "2002:a01:203::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_no_name_leads_there(address):
    assert not permitted(ip_address(address), 80, ())


@given(st.ip_addresses())
def test_a_rule_for_networks_excepts_what_is_private_and_nothing_that_embeds_another_address(address):
    private = any(address in ip_network(network) for network in PRIVATE)
    never = any(address in ip_network(network) for network in NEVER)
    assert permitted(address, 80, ANY) is (private and not never) or not (private or never)
    assert permitted(address, 443, ANY) is not (private or never)


def test_the_narrowest_network_counts():
    rules = [
        (ip_network("10.0.0.0/8"), 80, True),
        (ip_network("10.1.0.0/16"), 80, False),
        (ip_network("10.1.2.0/24"), 80, True),
    ]
    assert [permitted(ip_address(one), 80, rules) for one in ("10.9.9.9", "10.1.9.9", "10.1.2.9")] == [
        True,
        False,
        True,
    ]
    assert is_private(ip_network("0.0.0.0/0"))
    assert not is_private(ip_network("198.18.0.0/15"))
