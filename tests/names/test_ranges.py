from ipaddress import ip_address, ip_network

import pytest

from exitway.names.ranges import direct_ranges

NEVER = [
    "169.254.169.254",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "169.254.1.1",
    "fe80::1",
    "127.0.0.1",
    "::1",
]


def networks(text):
    return [ip_network(one) for one in text.split()]


@pytest.mark.parametrize(
    ("include", "exclude", "direct", "proxied"),
    [
        (None, "", "", "8.8.8.8 10.0.0.1 2001:db8::1"),
        (None, "10.0.0.0/8 2001:db8::/32", "10.0.0.1 2001:db8::1", "11.0.0.1 2001:db9::1"),
        ("10.0.0.0/8", "", "11.0.0.1 2001:db8::1", "10.0.0.1"),
        ("10.0.0.0/8 2001:db8::/32", "10.1.0.0/16", "10.1.0.1 11.0.0.1 2001:db9::1", "10.2.0.1 2001:db8::1"),
        ("0.0.0.0/0", "", "2001:db8::1", "10.0.0.1"),
        ("", "", "10.0.0.1 2001:db8::1", ""),
        (None, "0.0.0.0/0 ::/0", "10.0.0.1 2001:db8::1", ""),
    ],
)
def test_included_ranges_are_proxied_and_excluded_ones_are_direct_but_never_metadata(include, exclude, direct, proxied):
    ranges = direct_ranges(None if include is None else networks(include), networks(exclude))

    def is_direct(address):
        return any(ip_address(address) in network for network in ranges)

    assert all(map(is_direct, direct.split()))
    assert not any(map(is_direct, [*proxied.split(), *NEVER, "240.240.0.5", "2001:2::5", "::ffff:10.0.0.1"]))
