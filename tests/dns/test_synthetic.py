from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from exitway.dns.synthetic import SyntheticAddresses
from exitway.names.address import RESOLVER_IPV4, RESOLVER_IPV6, SYNTHETIC_IPV4, SYNTHETIC_IPV6


@given(st.lists(st.sampled_from([f"{letter}.example" for letter in "abcdefgh"])), st.integers(2, 9))
def test_an_address_says_which_of_the_names_last_used_it_is(asked, capacity):
    table = SyntheticAddresses(capacity)
    given_out = {}
    for name in asked:
        given_out[name] = table.address_of(name)
    recent = list(dict.fromkeys(reversed(asked)))[:capacity]
    for name in recent:
        assert table.name_of(given_out[name].ipv4) == table.name_of(given_out[name].ipv6) == name
        assert table.address_of(name) == given_out[name]
    assert len({given_out[name] for name in recent}) == len(recent)


def test_the_whole_network_is_used_but_for_what_is_taken():
    table = SyntheticAddresses()
    pairs = [table.address_of(f"{number}.example") for number in range(70_000)]
    ipv4 = {pair.ipv4 for pair in pairs}
    ipv6 = {pair.ipv6 for pair in pairs}
    assert len(ipv4) == len(ipv6) == 65_533
    assert not ipv4 & {"240.240.0.0", RESOLVER_IPV4, "240.240.255.255"}
    assert not ipv6 & {"2001:2::", RESOLVER_IPV6}
    assert all(ip_address(address) in ip_network(SYNTHETIC_IPV4) for address in ipv4)
    assert all(ip_address(address) in ip_network(SYNTHETIC_IPV6) for address in ipv6)


def test_a_name_that_is_dialled_stays():
    table = SyntheticAddresses(2)
    kept = table.address_of("kept.example").ipv6
    table.address_of("other.example")
    for number in range(10):
        assert table.name_of(kept) == "kept.example"
        table.address_of(f"{number}.example")


def test_other_addresses_stand_for_nothing():
    table = SyntheticAddresses()
    table.address_of("a.example")
    for address in (
        "240.240.0.0",
        "240.240.0.1",
        "240.240.0.3",
        "240.241.0.2",
        "198.18.0.1",
        "2001:2::1",
        "2001:2::3",
        "::1",
        "",
        "a.example",
    ):
        assert table.name_of(address) is None
    assert table.name_of("2001:0002:0:0:0:0:0:2") == "a.example"
