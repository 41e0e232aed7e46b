import dns.edns
import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitway.dns.answer import TTL_SECONDS, answer, parsed_answer
from exitway.dns.synthetic import SyntheticAddresses


def answered(query, table):
    response = answer(query, table)
    assert response is not None
    return response


def ask(name, kind="A", rdclass="IN", table=None, **options):
    query = dns.message.make_query(name, kind, rdclass, **options)
    response = dns.message.from_wire(answered(query.to_wire(), table or SyntheticAddresses()))
    assert query.is_response(response)
    assert response.flags & dns.flags.RA
    return response


def said(response):
    """The code and the data of the answers."""
    return dns.rcode.to_text(response.rcode()), [record.to_text() for rrset in response.answer for record in rrset]


FIRST = {"A": "240.240.0.2", "AAAA": "2001:2::2"}

NAMES = [
    *(
        "a.example",
        "A.Example",
        "db",
        "a-b.c1.example",
        "x" * 63 + ".example",
        "metadata.google.internal",
        "1.example",
        "4.4.8.8.example",
    ),
    "xn--bcher-kva.example",
]
NO_NAMES = [
    "_dmarc.example",
    "-a.example",
    "a-.example",
    r"a\000b.example",
    r"a\.b.example",
    "*.example",
    "10.0.0.1",
    "0x7f.1",
    "127.1",
    "2130706433",
    "a.0x",
    ".",
]


@pytest.mark.parametrize("kind", FIRST)
@pytest.mark.parametrize("name", NAMES)
def test_a_host_name_has_a_synthetic_address(name, kind):
    response = ask(name, kind)
    assert said(response) == ("NOERROR", [FIRST[kind]])
    assert response.answer[0].ttl == TTL_SECONDS


@pytest.mark.parametrize("kind", ["A", "AAAA", "TXT"])
@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_host_name_does_not_exist(name, kind):
    response = ask(name, kind)
    assert said(response) == ("NXDOMAIN", [])
    assert response.authority[0].rdtype == dns.rdatatype.SOA


@pytest.mark.parametrize(
    "kind", ["HTTPS", "SVCB", "TXT", "SRV", "MX", "NS", "SOA", "CNAME", "NULL", "ANY", "PTR", "TYPE65280"]
)  # C5
def test_other_types_have_no_data(kind):
    response = ask("a.example", kind)
    assert said(response) == ("NOERROR", [])
    assert [rrset.rdtype for rrset in response.authority] == [dns.rdatatype.SOA]


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "a.b.localhost"])
def test_localhost_is_loopback(name):
    assert said(ask(name, "A")) == ("NOERROR", ["127.0.0.1"])
    assert said(ask(name, "AAAA")) == ("NOERROR", ["::1"])


def test_one_name_in_any_case_has_one_address():
    table = SyntheticAddresses()
    assert (
        said(ask("a.example", table=table))
        == said(ask("A.EXAMPLE.", table=table))
        != said(ask("b.example", table=table))
    )
    assert table.name_of("240.240.0.2") == "a.example"


def test_an_address_has_its_name():
    table = SyntheticAddresses()
    ask("a.example", table=table)
    for name, expected in {
        "2.0.240.240.in-addr.arpa": ("NOERROR", ["a.example."]),
        "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.2.ip6.arpa": ("NOERROR", ["a.example."]),
        "1.0.0.127.in-addr.arpa": ("NOERROR", ["localhost."]),
        "3.0.240.240.in-addr.arpa": ("NXDOMAIN", []),
        "1.0.18.198.in-addr.arpa": ("NXDOMAIN", []),
        "0.127.in-addr.arpa": ("NXDOMAIN", []),
        "x.in-addr.arpa": ("NXDOMAIN", []),
        "300.0.0.127.in-addr.arpa": ("NXDOMAIN", []),
        "in-addr.arpa": ("NXDOMAIN", []),
    }.items():
        assert said(ask(name, "PTR", table=table)) == expected
    assert said(ask("2.0.240.240.in-addr.arpa", "TXT", table=table)) == ("NOERROR", [])


def test_edns_is_answered_with_edns_and_its_absence_with_none():
    assert ask("a.example").edns == -1
    response = ask("a.example", use_edns=0, payload=4096, options=[dns.edns.CookieOption(b"12345678", b"")])
    assert (response.edns, response.payload, response.options) == (0, 1232, ())
    assert said(ask("a.example", use_edns=1)) == ("BADVERS", [])


def test_other_classes_and_operations_are_not_served():
    assert said(ask("a.example", rdclass="CH")) == ("REFUSED", [])
    assert said(ask("a.example", rdclass="ANY")) == ("REFUSED", [])
    update = dns.message.make_query("a.example", "SOA")
    update.set_opcode(dns.opcode.NOTIFY)
    assert dns.message.from_wire(answered(update.to_wire(), SyntheticAddresses())).rcode() == dns.rcode.NOTIMP


def test_what_is_no_query_is_not_answered():
    query = dns.message.make_query("a.example", "A").to_wire()
    assert answer(query[:2] + b"\x81" + query[3:], SyntheticAddresses()) is None
    assert answer(query[:11], SyntheticAddresses()) is None
    assert answer(b"", SyntheticAddresses()) is None


def test_a_malformed_query_is_told_so():
    query = dns.message.make_query("a.example", "A").to_wire()
    none, two = (query[:4] + count.to_bytes(2) + query[6:12] + query[12:] * count for count in (0, 2))
    for malformed in (query[:-1], query + b"x", query[:12] + b"\xc0\x0c\x00\x01\x00\x01", none, two):
        response = answered(malformed, SyntheticAddresses())
        assert response[:2] == query[:2]
        assert response[3] & 15 == dns.rcode.FORMERR


@given(st.binary(max_size=80), st.binary(min_size=2, max_size=2))
def test_rubbish_gets_an_answer_or_silence(rubbish, identity):
    for query in (rubbish, identity + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + rubbish):
        response = answer(query, SyntheticAddresses())
        assert response is None or (response[:2] == query[:2] and response[2] & 0x80 and len(response) <= 1232)


@given(
    st.sampled_from([*NAMES, *NO_NAMES, "localhost", "A.B.localhost."]),
    st.sampled_from(["A", "AAAA", "TXT", "SRV", "ANY", "PTR"]),
    st.sampled_from([{}, {"use_edns": 0}, {"use_edns": 0, "want_dnssec": True, "payload": 512}]),
    st.booleans(),
)
def test_a_plain_query_is_answered_as_any_other(name, kind, edns, desired):
    query = dns.message.make_query(name, kind, flags=dns.flags.RD if desired else 0, **edns)
    responses = [
        dns.message.from_wire(way(query.to_wire(), SyntheticAddresses()) or b"") for way in (answer, parsed_answer)
    ]
    assert responses[0].to_text() == responses[1].to_text()
