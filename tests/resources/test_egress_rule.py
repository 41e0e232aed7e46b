"""The v1 kind: what is accepted, what is refused and why, and what it means."""

import json
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.port import Port, Protocol
from exitway.names.workload import Selector
from exitway.resources.intent import Action, Intent, Target
from exitway.resources.kinds import read
from tests.intents import port
from tests.resources.wire import exitway, hints, problems, to


def test_a_rule_means_one_intent():
    wire = exitway(
        {
            "hosts": ["api.Stripe.com", "*.stripe.network"],
            "ports": [{"number": 443, "protocol": "TLS"}, {"number": 80, "protocol": "HTTP"}],
        },
        to("10.20.0.0/16", "5432/TCP"),
        to("2001:db8::/32", "5432/TCP"),
        to("api.github.com", "443/HTTP", originateTLS=True, direct=False, traceContext=True),
        to("api.internal.example", "443/GRPC", originateTLS=True, caFile="/etc/ca.pem"),
        workloadSelector={"matchLabels": {"tier": "a", "app": "checkout"}},
        action="DENY",
        expires="2027-01-31T02:00:00+02:00",
    )
    wire["spec"]["action"] = "ALLOW"
    key = Key("egress-rule", "shop", "rule", "exitway.dev")
    assert read(wire).intents == (
        Intent(
            key,
            (
                Target(
                    (Host("api.stripe.com"), Host(".stripe.network", wildcard=True)),
                    (),
                    (port("80/HTTP"), port("443/TLS")),
                ),
                Target((), (ip_network("10.20.0.0/16"),), (port("5432/TCP"),)),
                Target((), (ip_network("2001:db8::/32"),), (port("5432/TCP"),)),
                Target(
                    (Host("api.github.com"),),
                    (),
                    (Port(443, Protocol.HTTP, originate_tls=True),),
                    trace_context=True,
                ),
                Target(
                    (Host("api.internal.example"),),
                    (),
                    (Port(443, Protocol.GRPC, originate_tls=True, ca_file="/etc/ca.pem"),),
                ),
            ),
            Selector((("app", "checkout"), ("tier", "a"))),
            Action.ALLOW,
            datetime(2027, 1, 31, tzinfo=UTC),
        ),
    )


def test_what_is_absent_has_its_default():
    intent = read(exitway(to("a.example", "80/HTTP"))).intents[0]
    assert (intent.selector, intent.action, intent.expires) == (Selector(), Action.ALLOW, None)
    assert read(exitway(to("a.example", "80/HTTP"), action="DENY")).intents[0].action is Action.DENY


@pytest.mark.parametrize(
    "host",
    [
        "a",
        "a.example",
        "A-1.EXAMPLE",
        "*.example",
        "*.com",
        "xn--bcher-kva.de",
        "1.example",
        "0x7f.example",
        "a." * 126 + "a",
    ],
)
def test_an_exact_name_or_a_leading_wildcard_label_is_accepted(host):
    assert problems(exitway(to(host, "80/HTTP"))) == []


@pytest.mark.parametrize(
    ("host", "code", "hint"),
    [
        ("*", "EXW0305", 'name them, or the part they share: "*.example.com"'),
        ("10.0.0.1", "EXW0304", "it belongs to cidrs, as 10.0.0.1/32"),
        ("2001:DB8::1", "EXW0304", "it belongs to cidrs, as 2001:db8::1/128"),
        ("[::1]", "EXW0304", "it belongs to cidrs, as ::1/128"),
        *(
            (name, "EXW0304", "addresses belong to cidrs")
            for name in (
                "127.1",
                "0x7f.1",
                "2130706433",
                "0x7f000001",
                "0177.0.0.1",
                "010.0.0.1",
                "1.2.3.0x",
                "*.0.0.1",
                "a.7",
            )
        ),
        ("a.example.", "EXW0303", "without the trailing dot"),
        ("a.example:80", "EXW0303", "only the name: ports stand in ports"),
        ("bücher.de", "EXW0303", 'write its A-labels, which begin with "xn--"'),
        ("\u212a.example", "EXW0303", 'write its A-labels, which begin with "xn--"'),
        *(
            (name, "EXW0303", 'a "*" can only be the whole first label, as in "*.example.com"')
            for name in ("*example", "*-a.example", "a.*.example", "*.*.example", "a*.example", "**")
        ),
        *(
            (name, "EXW0303", 'labels of letters, digits and inner "-", at most 63 each and 253 together')
            for name in ("", "*.", "a..b", "a_b", "-a", "a b", "a" * 64, "a." * 126 + "aa", "a.example\n")
        ),
    ],
)
def test_what_two_readers_could_take_for_two_hosts_is_refused(host, code, hint):
    wire = exitway({"hosts": [host], "ports": [{"number": 80, "protocol": "HTTP"}]})
    assert [(found, field) for found, field, _ in problems(wire)] == [(code, "spec.to[0].hosts[0]")]
    assert hints(wire) == [hint]


@pytest.mark.parametrize(
    "cidr", ["10.0.0.0/8", "10.1.2.3/32", "0.0.0.0/0", "2001:db8::/32", "2001:DB8:0::/48", "::/0", "::1/128"]
)
def test_a_network_is_accepted(cidr):
    assert problems(exitway(to(cidr, "80/TCP"))) == []


@pytest.mark.parametrize(
    ("cidr", "code", "hint"),
    [
        ("10.1.2.3/8", "EXW0307", "the network is 10.0.0.0/8"),
        ("2001:db8::1/32", "EXW0307", "the network is 2001:db8::/32"),
        ("10.1.2.3", "EXW0306", "for this one address write 10.1.2.3/32"),
        ("::1", "EXW0306", "for this one address write ::1/128"),
        ("::ffff:10.0.0.0/104", "EXW0306", "write it as IPv4"),
        *(
            (text, "EXW0306", "such as 10.20.0.0/16 or 2001:db8::/32")
            for text in (
                "10.0.0.0/33",
                "10.0.0.0/255.0.0.0",
                "10.0.0/8",
                "010.0.0.0/8",
                "a.example/8",
                "",
                "10.0.0.0/8/8",
                "fe80::%eth0/64",
            )
        ),
    ],
)
def test_what_is_not_a_network_is_refused(cidr, code, hint):
    wire = exitway({"cidrs": [cidr], "ports": [{"number": 80, "protocol": "TCP"}]})
    assert [(found, field) for found, field, _ in problems(wire)] == [(code, "spec.to[0].cidrs[0]")]
    assert hints(wire) == [hint]


@pytest.mark.parametrize(
    ("entry", "faults"),
    [
        (
            to("a.example", "80/HTTP", cidrs=["10.0.0.0/8"]),
            [
                ("EXW0301", "spec.to[0]", "spec.to[0] must have hosts and cidrs, each in an entry of its own"),
                ("EXW0308", "spec.to[0].ports[0].protocol", "cidrs can only be allowed for TCP, not for HTTP"),
            ],
        ),
        (
            {"ports": [{"number": 80, "protocol": "HTTP"}]},
            [("EXW0301", "spec.to[0]", "spec.to[0] must have either hosts or cidrs")],
        ),
        (
            {"hosts": [], "ports": [{"number": 80, "protocol": "HTTP"}]},
            [("EXW0301", "spec.to[0]", "spec.to[0] must have either hosts or cidrs")],
        ),
        ({"hosts": ["a.example"]}, [("EXW0102", "spec.to[0].ports", "spec.to[0].ports is missing")]),
        (to("a.example"), [("EXW0302", "spec.to[0].ports", "spec.to[0].ports must name a port")]),
        (to("a.example", "0/HTTP"), [("EXW0103", "spec.to[0].ports[0].number", "port 0 is out of range")]),
        (to("a.example", "65536/HTTP"), [("EXW0103", "spec.to[0].ports[0].number", "port 65536 is out of range")]),
        (to("a.example", "80/HTTP", "80/TLS"), [("EXW0108", "spec.to[0].ports[1].number", "port 80 is given twice")]),
        (
            to("a.example", *(f"{number}/HTTP" for number in range(1, 102))),
            [("EXW0326", "spec.to[0].ports", "spec.to[0].ports has 101 entries")],
        ),
        (to("a.example", "80/UDP"), [("EXW0109", "spec.to[0].ports[0].protocol", 'unknown protocol "UDP"')]),
        (to("a.example", "80/http"), [("EXW0109", "spec.to[0].ports[0].protocol", 'unknown protocol "http"')]),
        (
            to("10.0.0.0/8", "443/TLS"),
            [("EXW0308", "spec.to[0].ports[0].protocol", "cidrs can only be allowed for TCP, not for TLS")],
        ),
        (
            to("a.example", "443/TLS", originateTLS=True),
            [("EXW0309", "spec.to[0].ports[0].protocol", "originateTLS needs HTTP, not TLS")],
        ),
        (
            to("a.example", "443/HTTP", caFile="/etc/ca.pem"),
            [("EXW0323", "spec.to[0].caFile", "caFile means nothing without originateTLS: true")],
        ),
        *(
            (
                to("a.example", "443/HTTP", originateTLS=True, caFile=file),
                [("EXW0324", "spec.to[0].caFile", f"{json.dumps(file)} is not an absolute path")],
            )
            for file in ("", "ca.pem", "./ca.pem", "/etc/ca.pem\n")
        ),
        (
            to("a.example", "443/HTTP", originateTLS=True, caFile=1),
            [("EXW0104", "spec.to[0].caFile", "spec.to[0].caFile must be a string, not a whole number")],
        ),
        (
            to("*.b.example", "80/HTTP", direct=True, originateTLS=True),
            [
                ("EXW0315", "spec.to[0].hosts[0]", '"*.b.example" cannot be direct: it is not one name'),
                ("EXW0314", "spec.to[0].originateTLS", "direct and originateTLS contradict each other"),
            ],
        ),
        (
            to("a.example", "80/HTTP", "443/TLS", traceContext=True),
            [("EXW2201", "spec.to[0].ports[1].protocol", "traceContext needs HTTP, not TLS")],
        ),
        (
            to("a.example", "80/HTTP", direct=True, traceContext=True),
            [("EXW0314", "spec.to[0].traceContext", "direct and traceContext contradict each other")],
        ),
        (
            to("a.example", "80/HTTP", "443/TLS", methods=["GET"], paths=["/v1/*"]),
            [("EXW0322", "spec.to[0].ports[1].protocol", "methods and paths cannot be seen in TLS")],
        ),
        (
            to("10.0.0.0/8", "80/TCP", paths=["/v1/*"]),
            [("EXW0322", "spec.to[0].ports[0].protocol", "paths cannot be seen in TCP")],
        ),
        (to("a.example", "80/HTTP", methods=[]), [("EXW0302", "spec.to[0].methods", "spec.to[0].methods is empty")]),
        (to("a.example", "80/HTTP", paths=[]), [("EXW0302", "spec.to[0].paths", "spec.to[0].paths is empty")]),
        (
            to("a.example", "80/HTTP", methods="GET", paths=[1]),
            [
                ("EXW0104", "spec.to[0].methods", "spec.to[0].methods must be a list, not a string"),
                ("EXW0104", "spec.to[0].paths[0]", "spec.to[0].paths[0] must be a string, not a whole number"),
            ],
        ),
        (to("a.example", "80/HTTP", host="b"), [("EXW0101", "spec.to[0].host", "unknown field spec.to[0].host")]),
        ("a.example", [("EXW0104", "spec.to[0]", "spec.to[0] must be a mapping, not a string")]),
    ],
)
def test_an_entry_is_judged(entry, faults):
    assert problems(exitway(entry)) == faults


def test_methods_and_paths_narrow_a_target():
    entry = to(
        "a.example", "80/GRPC", methods=["POST", "M-SEARCH", "POST"], paths=["/v1/*", "/a%20b", "/", "/*", "/v1/x*"]
    )
    (target,) = read(exitway(entry)).intents[0].to
    assert (target.methods, target.paths) == (("M-SEARCH", "POST"), ("/", "/*", "/a%20b", "/v1/*", "/v1/x*"))


@pytest.mark.parametrize("method", ["get", "Get", "", "GET ", "GET,POST", "*", "G\u00c9T", "-GET", "GET\n"])
def test_what_is_no_method_is_refused(method):
    assert [(code, field) for code, field, _ in problems(exitway(to("a.example", "80/HTTP", methods=[method])))] == [
        ("EXW0320", "spec.to[0].methods[0]")
    ]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1?x=1", "only the path"),
        ("/a*b", 'a "*" can only be the end'),
        ("/v1/**", 'a "*" can only be the end'),
        ("*", 'it begins with "/"'),
        ("", 'it begins with "/"'),
        ("v1", 'it begins with "/"'),
        ("http://a.example/v1", 'it begins with "/"'),
        ("/" + "a" * 2000, "at most 2000"),
        *(
            (path, "as in a URL, in its plain form")
            for path in (
                "//", "//*", "/a//b", "/./*", "/a/../b", "/a/..", "/a/.", "/a;b", "/a%2Fb", "/%61", "/a%2", "/a%2*", "/%C3*", "/caf%c3%a9",
                "/caf\u00e9", "/a b", "/a\\b", "/a#b", "/a%2A", "/a\n",
            )
        ),
    ],
)  # fmt: skip
def test_what_no_plain_path_is_or_begins_with_is_refused(path, hint):
    wire = exitway(to("a.example", "80/HTTP", paths=[path]))
    assert [(code, field) for code, field, _ in problems(wire)] == [("EXW0321", "spec.to[0].paths[0]")]
    assert hints(wire)[0].startswith(hint)


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({"to": []}, [("EXW0302", "spec.to")]),
        ({"to": None}, [("EXW0104", "spec.to")]),
        ({"action": "deny"}, [("EXW0109", "spec.action")]),
        ({"action": None}, [("EXW0109", "spec.action")]),
        ({"workloadSelector": None}, [("EXW0104", "spec.workloadSelector")]),
        ({"workloadSelector": {"app": "a"}}, [("EXW0101", "spec.workloadSelector.app")]),
        ({"workloadSelector": {"matchLabels": {"app": 1}}}, [("EXW0104", "spec.workloadSelector.matchLabels.app")]),
        (
            {"workloadSelector": {"matchLabels": {"a b/c": "-"}}},
            [("EXW0107", "spec.workloadSelector.matchLabels[a b/c]")] * 2,
        ),
        ({"workloadselector": {}}, [("EXW0101", "spec.workloadselector")]),
        ({"expires": None}, [("EXW0104", "spec.expires")]),
        ({"expires": 2027}, [("EXW0104", "spec.expires")]),
    ],
)
def test_a_spec_is_judged(spec, faults):
    wire = exitway(to("a.example", "80/HTTP"))
    wire["spec"] |= spec
    assert [(code, field) for code, field, _ in problems(wire)] == faults


@pytest.mark.parametrize(("field", "code"), [("originateTLS", "EXW0309"), ("traceContext", "EXW2201")])
def test_a_deny_rule_originates_and_tells_nothing(field, code):
    wire = exitway(to("a.example", "80/HTTP", **{field: True}), action="DENY")
    assert [(found, where) for found, where, _ in problems(wire)] == [(code, f"spec.to[0].{field}")]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31T00:00:00Z", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31t00:00:00z", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T00:00:00.5-01:30", datetime(2027, 1, 31, 1, 30, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_with_its_zone(text, moment):
    assert read(exitway(to("a.example", "80/HTTP"), expires=text)).intents[0].expires == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2027-01-31",
        "2027-01-31T00:00:00",
        "2027-02-30T00:00:00Z",
        "2027-01-31T25:00:00Z",
        "tomorrow",
        "20270131T000000Z",
        "0001-01-01T00:00:00+23:00",
        "2027-01-31T00:00:00Z\n",
        "\u0662027-01-31T00:00:00Z",
    ],
)
def test_what_is_no_moment_is_refused(text):
    assert [(code, field) for code, field, _ in problems(exitway(to("a.example", "80/HTTP"), expires=text))] == [
        ("EXW0310", "spec.expires")
    ]


@pytest.mark.parametrize(
    ("wire", "hint"),
    [
        (exitway(to("a.example", "80/HTTP"), workloadselector={}), "did you mean workloadSelector?"),
        (exitway(to("a.example", "80/htp")), "did you mean HTTP?"),
        (exitway(to("a.example", "80/UDP")), "known are HTTP, HTTP2, GRPC, TLS, TCP"),
        (exitway(to("a.example", "80/HTTP"), action="deny"), "did you mean DENY?"),
        (exitway(to("a.example", "80/HTTP", host="x")), "did you mean hosts?"),
        (exitway({"hosts": [127.1], "ports": [{"number": 80, "protocol": "TCP"}]}), "put it in quotes"),
        (exitway({"hosts": ["a.b"], "ports": [{"number": "80", "protocol": "TCP"}]}), "write it without quotes"),
    ],
)
def test_a_hint_says_what_to_do(wire, hint):
    assert hints(wire) == [hint]


def test_of_very_many_faults_those_at_the_beginning_are_told():
    entry = to("a.example", "80/HTTP")
    found = problems(exitway({**entry, "hosts": ["a.example", *[1] * 20_000]}))
    assert found[0] == ("EXW0104", "spec.to[0].hosts[1]", "spec.to[0].hosts[1] must be a string, not a whole number")
    late = exitway({**entry, "hosts": [*["a.example"] * 200, *[1] * 20_000]})
    assert problems(late) == [
        ("EXW0104", "", "20000 values are wrong, none of them among the first 100 of their lists")
    ]
