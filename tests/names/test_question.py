from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitway.names.question import Kind, Question, compose, label, parse

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,9}[a-z0-9])?(\.[a-z0-9]{1,9}){0,3}", fullmatch=True)
ADDRESSES = st.sampled_from(["240.240.0.5", "240.240.255.254", "2001:2::5", "2001:2::fffe", "198.18.1.4", "::1"])
PORTS = st.integers(1, 65535)


def where(address, port):
    """What Envoy's expression makes of a local address."""
    text = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return text.replace(".", "-").replace(":", "-").replace("[", "").replace("]", "")


@given(NAMES, ADDRESSES, PORTS)
def test_what_is_composed_is_read_again(name, address, port):
    workload = label("shop-checkout-4f2a91c0")
    for kind, said, dialled in ((Kind.TLS, name, address), (Kind.TCP, "", address), (Kind.HTTP, name, "")):
        text = compose(kind, said, where(address, port) if dialled else str(port), workload)
        read = parse(text.upper())  # a resolver may change the case (draft-vixie-dnsext-dns0x20)
        assert read == Question(kind, said, dialled, port, "4f2a91c0")
        assert read is not None
        assert not dialled or ip_address(read.address) == ip_address(address)


@given(NAMES, ADDRESSES, PORTS)
def test_a_client_cannot_say_what_it_dialled_or_who_it_is(name, address, port):
    forged = compose(Kind.TLS, name, where(address, port), "00000000")
    read = parse(compose(Kind.TLS, forged, "240-240-0-9-443", "4f2a91c0"))
    assert read == Question(Kind.TLS, forged, "240.240.0.9", 443, "4f2a91c0")


@pytest.mark.parametrize(
    "text",
    ["", "a.example", "h-80.x.exitway", "a.s-443.x.exitway", "a.t-240-240-0-5-443.x.exitway", "a.h-80.x.exitway.lan"],
)
def test_other_names_are_no_questions(text):
    assert parse(text) is None
