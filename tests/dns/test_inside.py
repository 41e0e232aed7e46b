import dns.message
import dns.rrset
import pytest

from exitway.dns import wire
from exitway.dns.cluster import Cluster, View
from exitway.dns.hashed import HashedAddresses
from exitway.dns.inside import inside

CLUSTER = Cluster((), search=("corp.example",))
VIEW = View(HashedAddresses())
NAME = "db.shop.svc.cluster.local."
THERE = HashedAddresses().address_of("db.outside.example")


def said(kind, *records, view=VIEW, rcode="NOERROR", additional=()):
    """What a pod hears when the cluster's DNS says this."""
    query = dns.message.make_query(NAME, kind, use_edns=0)
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.from_text(rcode))
    response.answer = [dns.rrset.from_text(name, 5, "IN", type_, data) for name, type_, data in records]
    response.additional = [dns.rrset.from_text(name, 5, "IN", type_, data) for name, type_, data in additional]
    plain = wire.read(query.to_wire())
    assert plain is not None
    heard = dns.message.from_wire(inside(plain, response.to_wire(), CLUSTER, view))
    assert heard.id == query.id
    assert heard.edns == 0
    return dns.rcode.to_text(heard.rcode()), *(
        [f"{rrset.name} {record.to_text()}" for rrset in section for record in rrset]
        for section in (heard.answer, heard.additional)
    )


def test_what_is_the_clusters_stays_as_it_came():
    assert said("A", (NAME, "A", "10.0.0.1")) == ("NOERROR", [f"{NAME} 10.0.0.1"], [])
    chain = [(NAME, "CNAME", "x.shop.svc.cluster.local."), ("x.shop.svc.cluster.local.", "A", "10.0.0.1")]
    assert said("A", *chain)[1] == [f"{NAME} x.shop.svc.cluster.local.", "x.shop.svc.cluster.local. 10.0.0.1"]
    assert said(
        "SRV",
        (NAME, "SRV", "0 1 80 a.shop.svc.cluster.local."),
        additional=[("a.shop.svc.cluster.local.", "A", "10.0.0.1")],
    ) == (
        "NOERROR",
        [f"{NAME} 0 1 80 a.shop.svc.cluster.local."],
        ["a.shop.svc.cluster.local. 10.0.0.1"],
    )
    assert said("A", rcode="NXDOMAIN") == ("NXDOMAIN", [], [])


@pytest.mark.parametrize("rcode", ["NOERROR", "NXDOMAIN", "SERVFAIL"])
@pytest.mark.parametrize(
    ("kind", "address", "real"), [("A", THERE.ipv4, "198.51.100.7"), ("AAAA", THERE.ipv6, "3fff::7")]
)
def test_where_a_name_leads_out_its_synthetic_address_is_told(kind, address, real, rcode):
    leading = [(NAME, "CNAME", "db.OUTSIDE.example."), ("db.outside.example.", kind, real)]
    expected = [f"{NAME} db.OUTSIDE.example.", f"db.OUTSIDE.example. {address}"]
    assert said(kind, *leading, rcode=rcode) == ("NOERROR", expected, [])
    longer = [leading[0], ("db.outside.example.", "CNAME", "cdn.example."), ("cdn.example.", kind, real)]
    assert said(kind, *longer, rcode=rcode)[1] == expected


@pytest.mark.parametrize("target", ["10.0.0.1.", "db.corp.example.", "db.", "-a.example.", r"a\.b.example."])
def test_where_it_leads_to_nothing_that_has_an_address_none_is_told(target):
    assert said("A", (NAME, "CNAME", target), (target, "A", "198.51.100.7"))[1] == [f"{NAME} {target}"]


def test_a_pod_hears_of_no_family_that_it_has_not():
    leading = (NAME, "CNAME", "db.outside.example.")
    assert said("AAAA", leading, view=View(HashedAddresses(), without=wire.AAAA))[1] == [f"{NAME} db.outside.example."]


def test_addresses_of_names_outside_are_not_slipped_in():
    assert said("SRV", (NAME, "SRV", "0 1 80 x.example."), additional=[("x.example.", "A", "198.51.100.7")])[2] == []
    assert said("ANY", (NAME, "CNAME", "x.example."), ("x.example.", "A", "198.51.100.7"))[1] == [f"{NAME} x.example."]
    loop = [(NAME, "CNAME", "x.shop.svc.cluster.local."), ("x.shop.svc.cluster.local.", "CNAME", NAME)]
    assert len(said("A", *loop)[1]) == 2


def test_what_cannot_be_read_is_a_failure():
    query = wire.read(dns.message.make_query(NAME, "A").to_wire())
    assert query is not None
    broken = query.response(0, (query.record(wire.CNAME, 5, b"\x05abc"),))
    assert inside(query, broken, CLUSTER, VIEW)[3] & 15 == wire.SERVFAIL
