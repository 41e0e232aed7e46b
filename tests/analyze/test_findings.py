"""Rules, and what is found: a table. The examples of the pages (test_pages.py) are the first row for each code."""

from datetime import UTC, datetime, timedelta
from string import ascii_lowercase, digits

import pytest

from exitway.analyze.examine import examine
from exitway.analyze.facts import Facts, Lookup, Namespace, Pod, Use
from exitway.lab.story import examples
from exitway.names.cluster import CAPTURED, MIRROR
from exitway.names.key import Key
from exitway.names.workload import Workload
from exitway.pods.held import pods_in
from exitway.resources.document import read_documents
from exitway.resources.kinds import read
from tests.resources.wire import exitway, istio, to

NOW = datetime(2027, 1, 1, tzinfo=UTC)
ALLOW_A = exitway(to("a.example.com", "443/TLS"), name="a")
DENY = {"action": "DENY"}
LETTERS = ascii_lowercase + digits


def named(name, *destinations, namespace="shop", **spec):
    return exitway(*destinations, name=name, namespace=namespace, **spec)


def found(wires, **facts):
    """The codes, each with the rule's name, sorted."""
    findings = examine([read(wire) for wire in wires], Facts(NOW, **facts))
    return sorted(
        (one.code, one.about.name if isinstance(one.about, Key) else one.about) for one in findings if not one.silenced
    )


def selecting(**labels):
    return {"workloadSelector": {"matchLabels": labels}}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        # what changes nothing
        ([ALLOW_A, named("b", to("b.example.com", "443/TLS"))], []),
        ([named("a", to("a.example.com", "443/TLS")), named("b", to("a.example.com", "443/HTTP", originateTLS=True))], []),
        ([named("wide", to("*.example.com", "443/TLS")), named("far", to("a.example.com", "8443/TLS"))], []),
        ([named("ours", to("a.example.com", "443/TLS")), named("theirs", to("a.example.com", "443/TLS"), namespace="other")], []),
        ([named("all", to("a.example.com", "443/TLS")), named("some", to("a.example.com", "443/TLS"), **selecting(app="x"))], [("EXW2002", "some")]),
        ([named("some", to("a.example.com", "443/TLS"), **selecting(app="y")), named("all", to("a.example.com", "443/TLS"), **selecting(app="x"))], []),
        ([named("all", to("a.example.com", "443/TLS"), namespace="exitway-system", **selecting(tier="web")), named("some", to("a.example.com", "443/TLS"), **selecting(tier="web", app="x"))], [("EXW2002", "some")]),
        ([named("one", to("a.example.com", "443/TLS")), named("two", to("b.example.com", "443/TLS")), named("both", exitway(to("a.example.com", "443/TLS"))["spec"]["to"][0], to("b.example.com", "443/TLS"))], [("EXW2002", "both")]),
        ([named("until", to("a.example.com", "443/TLS"), expires="2028-01-01T00:00:00Z"), named("ever", to("a.example.com", "443/TLS"))], [("EXW2002", "until")]),
        ([named("read", to("a.example.com", "80/HTTP", methods=["GET"], paths=["/v1/*"])), named("one", to("a.example.com", "80/HTTP", methods=["GET"], paths=["/v1/users"]))], [("EXW2002", "one")]),
        ([named("read", to("a.example.com", "80/HTTP", methods=["GET"], paths=["/v1/*"])), named("post", to("a.example.com", "80/HTTP", methods=["POST"], paths=["/v1/users"]))], []),
        ([named("buckets", to("*.storage.googleapis.com", "443/TLS"))], [("EXW2012", "buckets")]),
        # what is left of a prefix, of a pattern, and of the methods, is little, and it is all that the later one adds
        ([named("read", to("a.example.com", "80/HTTP", paths=["/p/", *(f"/p/{c}*" for c in LETTERS)])), named("wide", to("a.example.com", "80/HTTP", paths=["/p/*"]))], [("EXW2002", "read")]),
        ([named("read", to("a.example.com", "80/HTTP", methods=["GET", "OTHER"])), named("wide", to("a.example.com", "80/HTTP"))], [("EXW2002", "read")]),
        ([named("read", to("a.example.com", "80/HTTP", methods=["GET", "OTHER"])), named("no", to("a.example.com", "80/HTTP"), **DENY), named("but", to("a.example.com", "80/HTTP", methods=["GET", "OTHER"]), **DENY)], [("EXW2002", "but"), ("EXW2004", "read")]),
        ([named("wide", to("*.example.com", "80/HTTP")), named("no", to("www.example.com", "80/HTTP"), **DENY), named("net", to("192.0.2.0/24", "80/TCP"), **DENY)], []),
        ([named("post", to("a.example.com", "80/HTTP", methods=["POST"])), named("net", to("192.0.2.0/24", "80/TCP"), **DENY)], []),
        ([named("post", to("a.example.com", "80/HTTP", paths=["/v1/*"])), named("net", to("192.0.2.0/24", "80/TCP"), **DENY)], []),
        ([named("net", to("10.0.0.0/8", "5432/TCP")), named("host", to("10.1.2.3/32", "5432/TCP"))], [("EXW2002", "host")]),
        ([named("halves", to("10.0.0.0/9", "5432/TCP"), to("10.128.0.0/9", "5432/TCP")), named("whole", to("10.0.0.0/8", "5432/TCP"))], [("EXW2002", "whole")]),
        # DENY
        ([named("wide", to("*.example.com", "443/TLS")), named("no", to("a.example.com", "443/TLS"), **DENY)], []),
        ([named("no", to("a.example.com", "443/TLS"), namespace="exitway-system", **DENY)], []),
        ([named("no", to("*.example.com", "443/TLS"), **DENY), named("nor", to("a.example.com", "443/TLS"), **DENY), named("but", to("b.example.com", "443/TLS"), to("a.example.com", "443/TLS"))], [("EXW2002", "nor"), ("EXW2004", "but")]),
        ([named("no-delete", to("a.example.com", "80/HTTP", methods=["DELETE"]), **DENY), named("a", to("a.example.com", "80/HTTP"))], []),
        # a rule by itself
        ([named("a", to("a.example.com", "443/TLS"), to("a.example.com", "443/TLS"))], [("EXW2007", "a")]),
        ([named("a", to("a.example.com", "80/HTTP", methods=["GET"]), to("a.example.com", "80/HTTP", methods=["POST"]))], []),
        ([named("a", to("10.0.0.0/8", "443/TCP"), to("10.1.0.0/16", "443/TCP"))], [("EXW2007", "a")]),
        ([named("a", to("a.example.com", "443/TLS"), to("a.example.com", "443/TLS", "8443/TLS"))], [("EXW2007", "a")]),
        ([named("a", to("*.co.uk", "443/TLS"), expires="2026-01-01T00:00:00Z")], [("EXW2030", "a")]),
        ([named("a", to("*.example.com", "443/TLS"), to("a.example.com", "8443/TLS"))], []),
        # names of strangers
        ([istio("*cnn.com", "80/http")], [("EXW2011", "rule")]),
        ([istio("*.cnn.com", "80/http")], []),
        ([istio("*-prod.s3.amazonaws.com", "80/http")], [("EXW2012", "rule")]),
        ([named("a", to("*.amazonaws.com", "443/TLS"))], [("EXW2012", "a")]),
        ([named("a", to("*.my-bucket.s3.amazonaws.com", "443/TLS"))], []),
        ([named("a", to("my-bucket.s3.amazonaws.com", "443/TLS"))], []),
        ([named("a", to("*.github.io", "443/TLS"), **DENY), named("b", to("x.github.io", "443/TLS"))], [("EXW2004", "b")]),
        ([named("a", to("storage.googleapis.com", "443/HTTP", originateTLS=True, paths=["/mine/*"]))], []),
        ([named("a", to("storage.googleapis.com", "443/HTTP", originateTLS=True))], [("EXW2013", "a")]),
        ([named("a", to("d1.cloudfront.net", "443/HTTP", originateTLS=True))], []),
        ([named("a", to("*.quad9.net", "443/TLS"))], [("EXW2015", "a")]),
        ([named("a", to("*.quad9.net", "25/TCP"))], []),
        ([named("a", to("1.1.1.0/24", "853/TCP"))], [("EXW2015", "a")]),
        ([named("a", to("1.1.1.0/24", "5432/TCP"))], []),
        # networks
        ([named("a", to("::/0", "5432/TCP"))], [("EXW2016", "a")]),
        ([named("a", to("10.0.0.0/8", "5432/TCP"))], []),
        ([named("a", to("8.0.0.0/9", "5432/TCP"))], [("EXW2017", "a")]),
        ([named("a", to("2000::/3", "5432/TCP"))], [("EXW2017", "a")]),
        ([named("a", to("127.0.0.1/32", "5432/TCP"))], [("EXW2018", "a")]),
        ([named("a", to("128.0.0.0/1", "5432/TCP"))], [("EXW2018", "a")]),
        ([named("net", to("10.0.0.0/8", "443/TCP")), named("a", to("db.corp.internal", "443/TLS"))], []),
        ([named("net", to("10.0.0.0/8", "443/TCP"), **selecting(app="x")), named("a", to("a.example.com", "443/TLS"), **selecting(app="y"))], []),
        # protocols
        ([istio("api.github.com", "443/https")], []),
        ([istio("api.github.com", "443/tcp")], []),
        ([named("a", to("a.example.com", "80/TLS"))], [("EXW2045", "a")]),
        ([named("a", to("a.example.com", "443/TCP", direct=True))], []),
        # names that look like others
        ([named("a", to("xn--80ak6aa92e.com", "443/TLS"))], [("EXW2041", "a")]),  # Cyrillic, like apple
        ([named("a", to("xn--mnchen-3ya.de", "443/TLS"))], []),  # münchen
        ([named("a", to("xn--mnchen-3ya.de", "443/TLS")), named("b", to("munchen.de", "443/TLS"))], [("EXW2041", "a")]),
        ([named("a", to("*.xn--e1afmkfd.xn--p1ai", "443/TLS"))], []),  # пример.рф
        ([named("a", to("*.rnicrosoft.com", "443/TLS"))], [("EXW2041", "a")]),
        ([named("a", to("github.com", "443/TLS"), to("www.google.com", "443/TLS"), to("xn--wgv71a119e.jp", "443/TLS"))], []),  # 日本語
        ([named("a", to("gitlab.com", "443/TLS")), named("b", to("git1ab.com", "443/TLS"), **DENY)], [("EXW2005", "b")]),
    ],
)  # fmt: skip
def test_what_is_found(rules, expected):
    assert found(rules) == expected


@pytest.mark.parametrize("file", sorted(examples().glob("*.yml")), ids=lambda file: file.name)
def test_nothing_is_found_in_the_examples(file):
    wires = [one.wire for one in read_documents(file.read_bytes(), file.name)]
    assert found([{**wire, "metadata": {"namespace": "shop", **wire["metadata"]}} for wire in wires]) == []


def test_a_rule_ignores_a_finding_and_no_other():
    wire = named("a", to("*.s3.amazonaws.com", "443/TLS"), expires="2027-01-02T00:00:00Z")
    wire["metadata"]["annotations"] = {"exitway.dev/ignore-findings": "EXW2012, EXW2020"}
    assert found([wire]) == [("EXW2031", "a")]


def test_a_rule_is_only_called_unused_when_records_and_rule_are_old_enough():
    rules, key = [read(named("a", to("a.example.com", "443/TLS")))], "egress-rule/shop/a"
    days = {days: NOW - timedelta(days=days) for days in (1, 29, 31)}

    def unused(since, last=None, created=None):
        use = Use(days[since], {key: days[last]} if last else {})
        facts = Facts(NOW, use=use, created={rules[0].key: days[created]} if created else {})
        return [one.code for one in examine(rules, facts)] == ["EXW2032"]

    assert unused(since=31)
    assert unused(since=31, last=31, created=31)
    assert not unused(since=29)
    assert not unused(since=31, last=29)
    assert not unused(since=31, created=29)


def test_a_selector_is_only_looked_at_where_workloads_run():
    rule = named("a", to("a.example.com", "443/TLS"), **selecting(app="x"))
    assert found([rule], running=[Workload("other", "w", {})]) == []
    assert found([rule], running=[Workload("shop", "w", {"app": "x"}), Workload("shop", "v")]) == []
    assert found([rule], running=[Workload("shop", "v")]) == [("EXW2033", "a")]


def test_what_dns_says_is_held_against_the_rules():
    rule = named("a", to("a.example.com", "443/TLS"))
    open_to_it = named("net", to("10.9.0.0/16", "443/TCP"))
    private = {"a.example.com": Lookup(("10.9.8.7", "fd00::7"))}
    assert found([rule], lookups=private) == [("EXW2043", "a")]
    assert found([rule, open_to_it], lookups=private) == [("EXW2019", "net")]
    assert found([rule], lookups={"a.example.com": Lookup(("198.51.100.1", "10.9.8.7"))}) == []
    alias = {"a.example.com": Lookup(("198.51.100.1",), ("a.edge.example", "x.map.fastly.net"))}
    assert found([rule], lookups=alias) == [("EXW2014", "a")]


def test_pods_that_are_over_or_captured_are_well():
    namespaces = [Namespace("shop", "node", opt_out=True)]
    pods = [Pod("shop", "well", captured=True), Pod("shop", "out", captured=False, opted_out=True)]
    assert found([], namespaces=namespaces, pods=pods) == [("EXW2061", "namespace/shop"), ("EXW2062", "pod/shop/out")]


def test_a_static_pod_is_not_captured_whatever_its_label_says():
    metadata = {"namespace": "shop", "name": "p", "labels": {CAPTURED: "node"}, "annotations": {MIRROR: "a"}}
    namespaces = [Namespace("shop", "node")]
    pods = pods_in([{"metadata": metadata, "spec": {}}], namespaces)
    assert found([], namespaces=namespaces, pods=pods) == [("EXW2062", "pod/shop/p")]
