from ipaddress import ip_network

import dns.reversename
import pytest

from exitway.dns import wire
from exitway.dns.cluster import (
    Cluster,
    Fate,
    View,
    fate,
    neighbours,
    of_interest,
    read_resolv_conf,
    reversed_address,
    speaks_of,
)
from exitway.dns.hashed import HashedAddresses
from exitway.names.host import Host

RANGES = tuple(map(ip_network, ("10.0.0.0/8", "fd00:10::/56", "192.0.2.7/32")))
CLUSTER = Cluster(("10.96.0.10",), ("cluster.local", "clusterset.local"), RANGES, ("corp.example", "internal"))
NAMED = frozenset(map(Host.parse, ("*", "db.corp.example", "*.web.corp.example", "intranet", "*.shop", "api.example")))
VIEW = View(HashedAddresses(), "shop", ("pod.example",), NAMED)


def fate_of(name, rdtype=wire.A, view=VIEW):
    return fate(wire.question(name, rdtype), CLUSTER, view)


@pytest.mark.parametrize(
    "name",
    [
        "cluster.local",
        "svc.cluster.local",
        "shop.svc.cluster.local",
        "db.shop.svc.cluster.local",
        "web-0.nginx.shop.svc.cluster.local",
        "_https._tcp.db.shop.svc.cluster.local",
        "10-0-0-7.shop.pod.cluster.local",
        "api.example.cluster.local",
        "db.shop.svc.clusterset.local",
    ],
)
def test_the_cluster_is_asked_for_what_it_may_have(name):
    assert fate_of(name) is Fate.CLUSTER
    assert fate_of(name, wire.TXT) is Fate.CLUSTER


@pytest.mark.parametrize(
    "name",
    [
        "a.b.example.shop.svc.cluster.local",
        "secret.evil.example.exitway-system.svc.cluster.local",
        "_a.b.c.d.svc.cluster.local",
        "a.b.c.d.e.f.svc.cluster.local",
        "secret.evil.example.pod.cluster.local",
    ],
)
def test_it_is_not_asked_for_what_it_might_ask_others_for(name):
    assert fate_of(name) is Fate.NOWHERE


@pytest.mark.parametrize("name", ["evilcluster.local", "cluster.local.evil.example", "xcluster.local", "local"])
def test_names_that_only_look_like_the_clusters_are_not(name):
    assert fate_of(name) in {Fate.SYNTHETIC, Fate.NOWHERE}


@pytest.mark.parametrize("kind", [41, 128, 249, 250, 251, 252, 253, 254])
def test_transfers_are_refused(kind):
    assert fate_of("cluster.local", kind) is Fate.REFUSED


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1", Fate.CLUSTER),
        ("fd00:10::1", Fate.CLUSTER),
        ("192.0.2.7", Fate.SYNTHETIC),
        ("192.168.0.1", Fate.SYNTHETIC),
        ("241.0.0.1", Fate.SYNTHETIC),
        ("2001:db8::1", Fate.SYNTHETIC),
    ],
)
def test_addresses_of_pods_and_services_are_the_clusters(address, expected):
    name = dns.reversename.from_address(address).to_text(omit_final_dot=True)
    assert str(reversed_address(name)) == address
    assert fate_of(name, wire.PTR) is expected
    assert fate_of(name, wire.TXT) is Fate.SYNTHETIC
    assert fate_of(f"secret.{name}", wire.PTR) is Fate.SYNTHETIC


@pytest.mark.parametrize(
    "name", ["0.0.10.in-addr.arpa", "256.0.0.10.in-addr.arpa", f"{'_.' * 32}ip6.arpa", f"{'1.' * 31}ip6.arpa", "arpa"]
)
def test_nothing_less_than_an_address_is(name):
    assert reversed_address(name) is None
    assert fate_of(name, wire.PTR) is not Fate.CLUSTER


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("api.example.corp.example", Fate.NOWHERE),
        ("secret.evil.example.internal", Fate.NOWHERE),
        ("api.example.pod.example", Fate.NOWHERE),
        ("db.corp.example", Fate.SYNTHETIC),
        ("x.web.corp.example", Fate.FOUND_OUT),
        ("web.corp.example", Fate.NOWHERE),
        ("corp.example", Fate.SYNTHETIC),
        ("notcorp.example", Fate.SYNTHETIC),
    ],
)
def test_a_search_stops_only_at_what_a_rule_names(name, expected):
    assert fate_of(name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("db", Fate.NOWHERE),
        ("db.shop.svc", Fate.NOWHERE),
        ("intranet", Fate.SYNTHETIC),
        ("localhost", Fate.SYNTHETIC),
        ("a.localhost", Fate.SYNTHETIC),
        ("www.example.com", Fate.SYNTHETIC),
        ("db.shop", Fate.SYNTHETIC),
    ],
)
def test_names_of_one_label_are_the_clusters_unless_a_rule_names_them(name, expected):
    assert fate_of(name) is expected


def test_a_name_may_be_one_that_the_cluster_was_to_have():
    assert neighbours("db.shop", CLUSTER, VIEW) == ("shop.svc.cluster.local", "shop.shop.svc.cluster.local")
    assert neighbours("web-0.nginx.shop", CLUSTER, VIEW) == ("nginx.shop.svc.cluster.local",)
    assert neighbours("db.shop", CLUSTER, View(HashedAddresses())) == ("shop.svc.cluster.local",)
    assert neighbours("a.b.c.example", CLUSTER, VIEW) == neighbours("db", CLUSTER, VIEW) == ()
    assert speaks_of("db.shop", VIEW)
    assert not speaks_of("www.example.com", VIEW)  # *


def test_of_many_rules_few_are_of_interest():
    hosts = map(Host.parse, ("*", "a.b.c", "a.b.c.d", "*.b.c", "*.b.c.d", "a.b.c.corp.example", "*corp.example"))
    assert {str(host) for host in of_interest(hosts, CLUSTER)} == {
        "*",
        "a.b.c",
        "*.b.c",
        "a.b.c.corp.example",
        "*corp.example",
    }


def test_what_the_kubelet_tells_a_pod():
    text = """
    search exitway-system.svc.k8s.example svc.k8s.example k8s.example Corp.Example. .
    nameserver 10.96.0.10
    nameserver fd00::a
    options ndots:5
    """
    assert read_resolv_conf(text) == Cluster(("10.96.0.10", "fd00::a"), ("k8s.example",), (), ("corp.example",))
    assert read_resolv_conf("nameserver 10.0.0.1\n").domains == ("cluster.local",)
    assert Cluster.of_json(CLUSTER.json) == CLUSTER
