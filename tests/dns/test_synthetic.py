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


def test_a_hundred_thousand_names_take_no_name_away_that_is_dialled():
    table = SyntheticAddresses()
    dialled = [table.address_of(f"used-{number}.example").ipv4 for number in range(10_000)]
    for address in dialled:
        table.name_of(address)
    for number in range(100_000):
        table.address_of(f"{number}.example")
    assert [table.name_of(address) for address in dialled] == [f"used-{number}.example" for number in range(10_000)]


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


def test_a_pinned_name_keeps_its_addresses_until_it_is_unpinned():
    table = SyntheticAddresses(4)
    kept = table.address_of("kept.example")
    assert table.pin("kept.example") == kept
    for number in range(10):
        table.address_of(f"{number}.example")
    assert table.address_of("kept.example") == kept
    assert table.name_of(kept.ipv4) == "kept.example"
    table.unpin("kept.example")
    for number in range(10):
        table.address_of(f"{number}.example")
    assert table.name_of(kept.ipv4) != "kept.example"


def test_a_name_is_pinned_to_the_address_it_had_unless_that_is_taken():
    wanted = "240.240.0.5"
    assert SyntheticAddresses().pin("a.example", wanted) == (wanted, "2001:2::5")
    table = SyntheticAddresses()
    first = table.address_of("b.example")
    table.pin("a.example", wanted)
    assert table.pin("c.example", wanted) not in (None, table.pin("a.example"))
    assert table.pin("b.example", "240.240.0.9") == first
    given_out = [table.address_of(f"{number}.example") for number in range(10)]
    assert wanted not in {addresses.ipv4 for addresses in given_out}


def test_half_of_all_addresses_can_be_pinned():
    table = SyntheticAddresses(5)
    assert [table.pin(f"{number}.example") is not None for number in range(4)] == [True, True, False, False]
    assert table.pinned == ["0.example", "1.example"]
    for number in range(20):
        table.address_of(f"{number}.example")
