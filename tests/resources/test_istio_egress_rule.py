"""Istio's own tables of cases (``validation_test.go`` of 0.3 to 0.8), its texts, and what a rule means."""

from ipaddress import ip_network

import pytest

from exitway.names.host import Host
from exitway.names.key import Key
from exitway.resources.intent import Intent, Target
from exitway.resources.kinds import read
from tests.intents import port
from tests.resources.wire import hints, istio, problems

SERVICE = "spec.destination.service"
VALID_DOMAINS = [
    "CNN.com",
    "cnn.com",
    "10.0.0.100",
    "*cnn.com",
    "*.cnn.com",
    "*-cnn.com",
    "*.0.0.100",
    "*0.0.100",
    "*com",
    "*0",
    "*",
]
INVALID_DOMAINS = {
    "cnn..com": 'domain name "cnn..com" invalid (label "" invalid)',
    "cnn.com:80": 'domain name "cnn.com:80" invalid (label "com:80" invalid)',
    "*cnn*.com": 'domain name "cnn*.com" invalid (label "cnn*" invalid)',
    "cnn.*.com": 'domain name "cnn.*.com" invalid (label "*" invalid)',
    "**com": 'domain name "*com" invalid (label "*com" invalid)',
    "**0": 'domain name "*0" invalid (label "*0" invalid)',
    "": "domain must not be empty string",
    "*.": "empty domain name not allowed",
    "*-": "empty domain name not allowed",
    "*..com": 'domain name ".com" invalid (label "" invalid)',
    "cnn.com.": 'domain name "cnn.com." invalid (label "" invalid)',
    "a" * 64: f'domain name "{"a" * 64}" invalid (label "{"a" * 64}" invalid)',
    "10.0.0.0/8/8": 'domain name "10.0.0.0/8/8" invalid (label "0/8/8" invalid)',
    "b\u00fccher.de": 'domain name "bücher.de" invalid (label "bücher" invalid)',
}
VALID_CIDRS = ["192.168.3.0/24", "50.1.2.3/32", "10.15.0.0/16", "10.15.0.0/0"]
INVALID_CIDRS = {
    "10.15.0/16": "10.15.0/16 is not a valid CIDR block",
    "10.15.0.0/33": "10.15.0.0/33 is not a valid CIDR block",
    "10.15.0.0/255.255.0.0": "10.15.0.0/255.255.0.0 is not a valid CIDR block",
    "10.15.0.0/": "10.15.0.0/ is not a valid CIDR block",
    "/16": "/16 is not a valid CIDR block",
    "cnn.com/16": "cnn.com/16 is not a valid CIDR block",
    "2001:db8::/129": "2001:db8::/129 is not a valid CIDR block",
    "2001:db8::/32": "2001:db8::/32 is not a valid IPv4 address",
}
PROTOCOLS = "egress rule support is available only for the following protocols: GRPC,HTTP,HTTP2,HTTPS,Mongo,TCP"
CIDR_PROTOCOLS = (
    "Only the following protocols can be defined for CIDR destination service notation: Mongo,TCP. This rule - "
)
EGRESS_PROXY = "directing traffic through egress proxy is not implemented yet"


@pytest.mark.parametrize("domain", VALID_DOMAINS)
def test_a_valid_domain_is_accepted(domain):
    assert problems(istio(domain, "80/http")) == []


@pytest.mark.parametrize(("domain", "message"), INVALID_DOMAINS.items())
def test_an_invalid_domain_is_refused(domain, message):
    assert problems(istio(domain, "80/http")) == [("EXW0203", SERVICE, message)]


def test_a_domain_that_is_too_long_is_refused():
    ((code, field, message),) = problems(istio("a." * 127 + "ab", "80/http"))
    assert (code, field) == ("EXW0203", SERVICE)
    assert message.endswith("too long (max 255)")
    assert problems(istio("*." + "a." * 127 + "a", "80/http")) == []


@pytest.mark.parametrize("cidr", VALID_CIDRS)
def test_a_valid_block_is_accepted(cidr):
    assert problems(istio(cidr, "80/tcp")) == []


@pytest.mark.parametrize(("cidr", "message"), INVALID_CIDRS.items())
def test_an_invalid_block_is_refused(cidr, message):
    assert problems(istio(cidr, "80/tcp")) == [("EXW0204", SERVICE, message)]


@pytest.mark.parametrize(
    "valid",
    [
        "80/http",
        "80/http2",
        "80/grpc",
        "443/https",
        "80/https",
        "443/http",
        "1/http",
        "2/https",
        "80/tcp",
        "1000/mongo",
        "65535/http",
        "80/HTTP",
        "80/Http2",
        "80/MONGO",
    ],
)
def test_a_valid_port_is_accepted(valid):
    assert problems(istio("cnn.com", valid)) == []


@pytest.mark.parametrize(
    ("invalid", "fault"),
    [
        ("80/udp", ("EXW0206", "spec.ports[0].protocol", PROTOCOLS)),
        ("80/", ("EXW0206", "spec.ports[0].protocol", PROTOCOLS)),
        ("0/http", ("EXW0103", "spec.ports[0].port", "port number 0 must be in the range 1..65535")),
        ("65536/http", ("EXW0103", "spec.ports[0].port", "port number 65536 must be in the range 1..65535")),
        ("-1/http", ("EXW0103", "spec.ports[0].port", "port number -1 must be in the range 1..65535")),
    ],
)
def test_an_invalid_port_is_refused(invalid, fault):
    assert problems(istio("cnn.com", invalid)) == [fault]


@pytest.mark.parametrize(
    ("wire", "faults"),
    [
        (istio("*cnn.com", "80/http", "443/https", use_egress_proxy=False), []),
        (istio("192.168.3.0", "80/http", "443/https"), []),
        (istio("192.168.3.0/24", "80/tcp", "443/tcp"), []),
        (
            istio("192.168.3.0/24", "80/tcp", "443/http"),
            [
                (
                    "EXW0207",
                    "spec.ports[1].protocol",
                    CIDR_PROTOCOLS + "port: 443 protocol: http destination.service: 192.168.3.0/24",
                )
            ],
        ),
        (
            istio("*cnn.com", "80/http", "8080/http", use_egress_proxy=True),
            [("EXW0208", "spec.use_egress_proxy", EGRESS_PROXY)],
        ),
        (istio("", "80/http"), [("EXW0203", SERVICE, "domain must not be empty string")]),
        (istio("*cnn.com"), [("EXW0205", "spec.ports", "egress rule must have a ports list")]),
        (istio("*cnn.com", "80/http", "80/https"), [("EXW0108", "spec.ports[1].port", "duplicate port: 80")]),
        (
            istio(
                "cnn.com",
                destination={"service": "cnn.com", "name": "a", "namespace": "b", "domain": "c", "labels": {"d": "e"}},
                ports=[{"port": 80, "protocol": "tcp"}],
            ),
            [
                ("EXW0202", "spec.destination.name", "destination of egress rule must not have name field"),
                ("EXW0202", "spec.destination.namespace", "destination of egress rule must not have namespace field"),
                ("EXW0202", "spec.destination.domain", "destination of egress rule must not have domain field"),
                ("EXW0202", "spec.destination.labels", "destination of egress rule must not have labels field"),
            ],
        ),
        (
            {**istio("cnn.com"), "spec": {}},
            [
                ("EXW0201", "spec.destination", "destination of egress rule must have destination field"),
                ("EXW0205", "spec.ports", "egress rule must have a ports list"),
            ],
        ),
        ({**istio("cnn.com"), "spec": None}, [("EXW0104", "spec", "spec must be a mapping, not empty")]),
    ],
)
def test_a_rule_is_judged_as_a_whole(wire, faults):
    assert problems(wire) == faults


def test_a_missing_spec_is_refused():
    wire = istio("cnn.com")
    del wire["spec"]
    assert problems(wire) == [("EXW0102", "spec", "spec is missing")]


def test_all_faults_are_reported_at_once():
    wire = istio("10.0.0.0/33", "80/http", "80/tcp", "0/udp", use_egress_proxy=True, useEgressProxy=True)
    wire["spec"]["ports"].append({"port": "443", "protocol": "tcp", "name": "x"})
    wire["metadata"] |= {"name": "A", "owner": "me"}
    assert sorted((code, field) for code, field, _ in problems(wire)) == [
        ("EXW0101", "metadata.owner"),
        ("EXW0101", "spec.ports[3].name"),
        ("EXW0101", "spec.useEgressProxy"),
        ("EXW0103", "spec.ports[2].port"),
        ("EXW0104", "spec.ports[3].port"),
        ("EXW0106", "metadata.name"),
        ("EXW0108", "spec.ports[1].port"),
        ("EXW0204", SERVICE),
        ("EXW0206", "spec.ports[2].protocol"),
        ("EXW0207", "spec.ports[0].protocol"),
        ("EXW0208", "spec.use_egress_proxy"),
    ]


@pytest.mark.parametrize(
    ("wire", "hint"),
    [
        (istio("cnn.com", "80/http", useEgressProxy=True), "did you mean use_egress_proxy?"),
        (istio("https://cnn.com", "80/http"), "only the name, without the scheme"),
        (istio("cnn.com:80", "80/http"), "only the name: ports stand in ports"),
        (istio("cnn.com.", "80/http"), "without the trailing dot"),
        (istio("cnn.com", "443/tls"), "end-to-end TLS is tcp"),
    ],
)
def test_a_hint_says_what_to_do(wire, hint):
    assert hints(wire) == [hint]


def target(destination, ports):
    hosts, cidrs = ((), (ip_network(destination),)) if "/" in destination else ((Host.parse(destination),), ())
    return Target(hosts, cidrs, tuple(map(port, ports.split())))


@pytest.mark.parametrize(
    ("wire", "targets"),
    [
        (istio("Httpbin.org", "80/http"), [target("httpbin.org", "80/HTTP")]),
        (
            istio("*.cnn.com", "443/https", "80/HTTP2", "8080/grpc"),
            [target("*.cnn.com", "80/HTTP2 443/https 8080/GRPC")],
        ),
        (istio("*-b.cnn.com", "80/http"), [target("*-b.cnn.com", "80/HTTP")]),
        (istio("*", "80/http"), [target("*", "80/HTTP")]),
        (istio("db.example", "27017/mongo", "3306/tcp"), [target("db.example", "3306/TCP 27017/TCP")]),
        (istio("db.example", "80/http", "3306/tcp"), [target("db.example", "80/HTTP 3306/TCP")]),
        (istio("10.1.2.3/8", "3306/tcp"), [target("10.0.0.0/8", "3306/TCP")]),
        (istio("10.15.0.0/0", "3306/tcp"), [target("0.0.0.0/0", "3306/TCP")]),
        (istio("10.0.0.1", "80/http"), [target("10.0.0.1", "80/HTTP")]),
        (istio("10.0.0.1", "3306/tcp"), [target("10.0.0.1/32", "3306/TCP")]),
        (istio("10.0.0.1", "3306/tcp", "80/http"), [target("10.0.0.1", "80/HTTP"), target("10.0.0.1/32", "3306/TCP")]),
    ],
)
def test_a_rule_means_these_destinations(wire, targets):
    key = Key("egress-rule", "shop", "rule", "config.istio.io")
    resource = read(wire)
    assert resource.intents == (Intent(key, tuple(targets)),)
    assert (resource.key, resource.wire) == (key, wire)
    assert str(resource.key) == "egress-rule/shop/rule"
