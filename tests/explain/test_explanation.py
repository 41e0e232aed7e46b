"""Rules and calls, and what is said of them: each fact that decides is in some text, word by word."""

import textwrap
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exitway.explain.explanation import explain
from exitway.explain.scene import Way
from exitway.explain.sheet import as_json, lines
from exitway.explain.target import read_call, read_target
from exitway.names.call import Reason, Verdict
from exitway.policy.decide import decide
from exitway.resources import kinds
from exitway.resources.problem import Problems
from exitway.server.trial import Trial
from tests.explain.scenes import NOW, istio, rule, scene

HTTPBIN = istio("httpbin", "httpbin.org", "80/http")
API = rule("api", "to: [{hosts: [api.example, '*.cdn.example'], ports: [{number: 443, protocol: TLS}]}]")
CHECKOUT = rule(
    "checkout",
    "{workloadSelector: {matchLabels: {app: checkout}}, to: [{hosts: [pay.example], ports: [{number: 443, protocol: TLS}]}]}",
)
REST = rule(
    "rest", "to: [{hosts: [rest.example], ports: [{number: 80, protocol: HTTP}], methods: [GET], paths: ['/v1/*']}]"
)
OVER = rule(
    "over", "{expires: 2026-12-31T00:00:00Z, to: [{hosts: [old.example], ports: [{number: 80, protocol: HTTP}]}]}"
)
ORIGINATED = istio("origin", "origin.example", "443/https")
DATABASE = rule("db", "to: [{hosts: [db.example], ports: [{number: 5432, protocol: TCP}]}]")
NETWORK = rule("net", "to: [{cidrs: [192.0.2.0/28], ports: [{number: 22, protocol: TCP}]}]")
NEVER = rule(
    "never", "{action: DENY, to: [{hosts: [api.example], ports: [{number: 443, protocol: TLS}]}]}", "exitway-system"
)
FAST = rule("fast", "to: [{hosts: [fast.example], ports: [{number: 443, protocol: TLS}], direct: true}]")

SAID = {
    "allowed": ([HTTPBIN], "http://httpbin.org/get", """\
        allowed: GET http://httpbin.org/get, asked by namespace shop
          reason   rule: a rule allows it
          rule     shop/httpbin
          path     listener out, filter chain http, virtual host '80:allow dynamic_forward_proxy', cluster dynamic_forward_proxy
          note     httpbin.org was not looked up: if it leads only to private addresses, it is denied (reason address)"""),
    "another port": ([HTTPBIN], "http://httpbin.org:8080/get", """\
        denied: GET http://httpbin.org:8080/get, asked by namespace shop
          reason   port: a rule allows the destination, at other ports
          path     listener out, filter chain http, virtual host '80:allow dynamic_forward_proxy', answer 'deny; reason=port'

        The nearest rule:
          shop/httpbin
            port 80 is allowed, you asked for 8080"""),
    "https for http": ([HTTPBIN], "https://httpbin.org/", """\
        denied: TLS httpbin.org:443, asked by namespace shop
          reason   port: a rule allows the destination, at other ports
          path     listener out, filter chain deny, cluster BlackHoleCluster

        The nearest rule:
          shop/httpbin
            port 80 (for HTTP: http://) is allowed, you asked for 443"""),
    "http for https": ([API], "http://api.example:443/", """\
        denied: GET http://api.example:443/, asked by namespace shop
          reason   protocol: a rule allows the destination and port, for another protocol
          path     listener out, filter chain http, virtual host '443:other-protocol', answer 'deny; reason=protocol'

        The nearest rule:
          shop/api
            port 443 is allowed for TLS: https://, you speak HTTP"""),
    "https where the proxy speaks TLS": ([ORIGINATED], "https://origin.example/", """\
        denied: TLS origin.example:443, asked by namespace shop
          reason   protocol: a rule allows the destination and port, for another protocol
          path     listener out, filter chain deny, cluster BlackHoleCluster

        The nearest rule:
          shop/origin
            port 443 is allowed for HTTP, to which the proxy adds TLS: http://...:443/, you speak TLS"""),
    "a method and a path": ([REST], "POST http://rest.example/v2/x", """\
        denied: POST http://rest.example/v2/x, asked by namespace shop
          reason   path: a rule allows the destination and port, not this path
          path     listener out, filter chain http, virtual host '80:allow dynamic_forward_proxy GET /v1/*', answer 'deny; reason=path'

        The nearest rule:
          shop/rest
            GET is allowed, you asked with POST
            /v1/* is allowed, you asked for /v2/x"""),
    "a path that is not plain": ([REST], "http://rest.example/v1//x", """\
        denied: GET http://rest.example/v1//x, asked by namespace shop
          reason   path: a rule allows the destination and port, not this path
          path     listener out, filter chain http, virtual host '80:allow dynamic_forward_proxy GET /v1/*', answer 'deny; reason=path'

        The nearest rule:
          shop/rest
            it speaks of paths, and not every server reads /v1//x alike"""),
    "a typing error": ([HTTPBIN, API], "http://htpbin.org/", """\
        denied: GET http://htpbin.org/, asked by namespace shop
          reason   no-rule: no rule allows the destination
          path     listener out, filter chain http, virtual host 'none', answer 'deny; reason=no-rule'

        The nearest rule:
          shop/httpbin
            it names httpbin.org, you asked for htpbin.org: a typing error?"""),
    "the apex of a wildcard": ([API], "https://cdn.example", """\
        denied: TLS cdn.example:443, asked by namespace shop
          reason   no-rule: no rule allows the destination
          path     listener out, filter chain deny, cluster BlackHoleCluster

        The nearest rule:
          shop/api
            *.cdn.example does not stand for cdn.example itself"""),
    "a name below": ([API], "https://eu.api.example", """\
        denied: TLS eu.api.example:443, asked by namespace shop
          reason   no-rule: no rule allows the destination
          path     listener out, filter chain deny, cluster BlackHoleCluster

        The nearest rule:
          shop/api
            api.example does not stand for the names below it, such as eu.api.example"""),
    "other workloads": ([CHECKOUT], "https://pay.example", """\
        denied: TLS pay.example:443, asked by namespace shop
          reason   no-rule: no rule allows the destination
          path     listener out, filter chain deny, cluster BlackHoleCluster

        The nearest rule:
          shop/checkout
            it is for workloads with app=checkout; this one has no app"""),
    "another namespace": ([rule("api", "to: [{hosts: [api.example], ports: [{number: 443, protocol: TLS}]}]", "billing")], "https://api.example", """\
        denied: TLS api.example:443, asked by namespace shop
          reason   no-rule: no rule allows the destination
          path     listener out, filter chain deny, cluster BlackHoleCluster

        The nearest rule:
          billing/api
            it holds in namespace billing, not in shop"""),
    "an expired rule": ([OVER], "http://old.example/", """\
        denied: GET http://old.example/, asked by namespace shop
          reason   no-rule: no rule allows the destination
          path     listener out, filter chain http, virtual host 'none', answer 'deny; reason=no-rule'

        The nearest rule:
          shop/over
            it expired at 2026-12-31T00:00:00Z"""),
    "a DENY": ([API, NEVER], "https://api.example", """\
        denied: TLS api.example:443, asked by namespace shop
          reason   denied-by-rule: a rule with action DENY names it
          rule     exitway-system/never
          path     listener out, filter chain deny, cluster BlackHoleCluster

        No rule is offered: rule exitway-system/never denies it, and DENY wins over any ALLOW."""),
    "TCP by name, whatever is spoken": ([DATABASE], "https://db.example:5432", """\
        allowed: TLS db.example:5432, asked by namespace shop
          reason   rule: a rule allows it
          rule     shop/db
          path     listener tcp, filter chain tcp-name, cluster dynamic_forward_proxy
          note     db.example was not looked up: if it leads only to private addresses, it is denied (reason address)"""),
    "an address": ([NETWORK], "192.0.2.7:22", """\
        allowed: TCP 192.0.2.7:22, asked by namespace shop
          reason   rule: a rule allows it
          rule     shop/net
          path     listener tcp, filter chain tcp, cluster original_dst"""),
    "a neighbour": ([NETWORK], "192.0.2.77:22", """\
        denied: TCP 192.0.2.77:22, asked by namespace shop
          reason   no-rule: no rule allows the destination
          path     listener out, filter chain deny, cluster BlackHoleCluster

        The nearest rule:
          shop/net
            it names 192.0.2.0/28, you asked for 192.0.2.77"""),
    "past the proxy": ([FAST], "https://fast.example", """\
        allowed: TLS fast.example:443, asked by namespace shop
          reason   rule: a rule allows it
          rule     shop/fast
          path     the kernel, past the proxy
          note     it goes through the kernel, past the proxy: what is said there is not looked at"""),
    "nothing but TCP": ([API], "udp://api.example:443", """\
        denied: UDP api.example:443, asked by namespace shop
          reason   not-proxied: it is not TCP

        No rule is offered: UDP is refused, whatever rules say: nothing but TCP leaves."""),
    "no host of a rule": ([], "_x.example:25", """\
        denied: TCP _x.example:25, asked by namespace shop
          reason   no-rule: no rule allows the destination
          path     listener out, filter chain deny, cluster BlackHoleCluster

        No rule is offered: no rule can name _x.example."""),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "call", "text"), SAID.values(), ids=SAID)
def test_it_says_why(rules, call, text):
    one = scene(*rules)
    explanation = explain(one, read_target(call))
    assert "\n".join(lines(explanation, one.workload, lambda *_: "")) == textwrap.dedent(text)
    assert bool(explanation.least) == (not explanation.allowed and not explanation.why_none)


def test_it_is_said_that_a_rule_that_is_offered_holds_everywhere():
    asked = read_target("https://api.example")
    note = "a rule of exitway-system lets it out of every namespace"
    assert explain(scene(HTTPBIN, namespace="exitway-system"), asked).caveats == (note,)
    assert note not in explain(scene(HTTPBIN), asked).caveats


def test_a_denial_of_a_method_is_near_whatever_a_header_asks_for():
    no = rule(
        "no", "{action: DENY, to: [{hosts: [rest.example], ports: [{number: 80, protocol: HTTP}], methods: [GET]}]}"
    )
    call = replace(read_call("http://rest.example/v1/a"), overridden=True)
    explanation = explain(scene(REST, no), call)
    assert explanation.decision.reason is Reason.DENIED
    assert (explanation.near[0].rule, explanation.target) == (no.key, 0)


def test_the_least_rule_is_tried_before_it_is_offered():
    one = scene(
        HTTPBIN, istio("tcp", "other.example", "8080/tcp"), labels={"app": "checkout", "pod-template-hash": "5d9"}
    )
    explanation = explain(one, read_target("http://httpbin.org:8080/a//b"))
    assert explanation.least is not None
    assert explanation.least["metadata"] == {"name": "httpbin-org-8080", "namespace": "shop"}
    assert explanation.least["spec"] == {
        "workloadSelector": {"matchLabels": {"app": "checkout"}},
        "to": [{"hosts": ["httpbin.org"], "ports": [{"number": 8080, "protocol": "HTTP"}], "methods": ["GET"]}],
    }
    assert explain(one.with_rule(kinds.read(explanation.least)), read_target("http://httpbin.org:8080/a//b")).allowed


@pytest.mark.parametrize("port", [443, 8443])
@pytest.mark.parametrize(
    "tls", ["", ", originateTLS: true", ", originateTLS: true, caFile: /etc/ssl/certs/ca-certificates.crt"]
)
def test_what_is_offered_says_of_tls_what_others_say(port, tls):
    spec = f"to: [{{hosts: ['*.example'], ports: [{{number: {port}, protocol: HTTP}}], paths: [/v1]{tls}}}]"
    asked = read_target(f"http://api.example:{port}/v2")
    explanation = explain(scene(rule("api", spec)), asked)
    assert explanation.least is not None
    (to,) = explanation.least["spec"]["to"]
    assert (to.get("originateTLS", False), to.get("caFile", "")) == (
        bool(tls),
        "/etc/ssl/certs/ca-certificates.crt" * ("caFile" in tls),
    )
    assert explain(explanation.scene.with_rule(kinds.read(explanation.least)), asked).allowed


def test_where_others_contradict_each_other_nothing_is_offered():
    to = "to: [{hosts: [api.example], ports: [{number: 443, protocol: HTTP}], paths: [/v1]"
    two = [
        rule("one", f"{{workloadSelector: {{matchLabels: {{app: one}}}}, {to}, originateTLS: true}}]}}"),
        rule("two", f"{{workloadSelector: {{matchLabels: {{app: two}}}}, {to}}}]}}"),
    ]
    explanation = explain(scene(*two, labels={"tier": "web"}), read_target("http://api.example:443/v1"))
    assert explanation.least is None
    message = "requests to api.example at port 443 go on over TLS, and by egress-rule/shop/two in clear text"
    assert explanation.why_none == f"a rule for it would contradict another: {message}"


def test_a_name_that_is_taken_is_not_offered():
    one = scene(rule("api-example-443", "to: [{hosts: [x.example], ports: [{number: 1, protocol: TCP}]}]"))
    least = explain(one, read_target("https://api.example")).least
    assert least is not None
    assert least["metadata"]["name"] == "api-example-443-2"


def test_ranges_and_own_rules_of_a_workload_count():
    brought = rule("own", "to: [{hosts: [own.example], ports: [{number: 443, protocol: TLS}]}]").intents
    one = scene(brought=brought, ranges=(ip_network("198.51.100.0/24"),))
    assert explain(one, read_target("https://own.example")).allowed
    assert explain(one, read_target("198.51.100.7:25")).decision.reason == "ip-range"


def test_what_names_resolve_to_is_a_caveat_and_an_exception_is_named():
    private = rule("lan", "to: [{cidrs: [10.1.0.0/16], ports: [{number: 443, protocol: TCP}]}]")
    said = explain(scene(API, private), read_target("https://api.example")).caveats
    assert "if it leads only to private addresses (but 10.1.0.0/16, which a rule allows), it is denied" in said[0]
    metadata = rule("imds", "to: [{cidrs: [169.254.169.254/32], ports: [{number: 80, protocol: TCP}]}]")
    assert "credentials" in explain(scene(metadata), read_target("http://169.254.169.254/")).caveats[0]
    assert "credentials" in explain(scene(), read_target("http://169.254.169.254/")).why_none


def test_methods_that_the_proxy_cannot_read_are_a_caveat():
    for method, count in {"POST": 1, "QUERY": 2, "get": 2}.items():
        assert len(explain(scene(HTTPBIN), read_target(f"{method} http://httpbin.org/")).caveats) == count


def test_authorities_that_cannot_be_read_are_no_disagreement():
    text = (
        "to: [{hosts: [a.example], ports: [{number: 443, protocol: HTTP}], originateTLS: true, caFile: /nowhere.pem}]"
    )
    explanation = explain(scene(rule("own", text)), read_target("http://a.example:443/"))
    assert explanation.allowed
    assert "authorities" in explanation.caveats[-1]


def test_a_disagreement_is_shown_and_is_no_allowance():
    class Astray(Trial):
        def way(self, call):
            return Way("out")

    one = Astray(scene(HTTPBIN).registry, scene().workload, NOW)
    explanation = explain(one, read_target("http://httpbin.org/"))
    assert not explanation.allowed
    said = "\n".join(lines(explanation, one.workload, lambda *_: ""))
    assert "the rules say allow, and the proxy's configuration deny" in said


def test_json_has_all_of_it():
    one = scene(HTTPBIN)
    found = as_json(explain(one, read_target("http://httpbin.org:8080/")), one.workload, lambda *_: "rules.yml:6:3")
    assert (found["verdict"], found["reason"], found["path"]["filterChain"]) == ("deny", "port", "http")
    assert found["nearest"] == [
        {"rule": "egress-rule/shop/httpbin", "group": "config.istio.io", "place": "rules.yml:6:3", "differs": ["port 80 is allowed, you asked for 8080"]}
    ]  # fmt: skip
    assert found["allowedBy"]["kind"] == "EgressRule"


NOTHING = scene()
EVERY = [HTTPBIN, API, CHECKOUT, REST, OVER, ORIGINATED, DATABASE, NETWORK, NEVER, FAST]
HOSTS = st.sampled_from(
    ["httpbin.org", "api.example", "a.cdn.example", "pay.example", "rest.example", "old.example", "origin.example", "db.example", "fast.example", "192.0.2.7", "x.y"]
)  # fmt: skip


@given(
    st.sets(st.sampled_from(range(len(EVERY)))),
    st.builds("{}://{}:{}{}".format, st.sampled_from(["http", "tls", "tcp"]), HOSTS, st.sampled_from([22, 80, 443, 5432]), st.sampled_from(["", "/v1/a"])),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_it_has_no_opinion_of_its_own_and_what_it_offers_helps(chosen, call, is_checkout):
    one = scene(*(EVERY[index] for index in chosen), labels={"app": "checkout"} if is_checkout else {})
    asked = read_target(call)
    explanation = explain(one, asked)
    assert explanation.fault == ""
    assert explanation.decision == decide(one.policy, one.located(asked))
    assert explanation.decision.verdict is explanation.way.verdict
    if explanation.decision.verdict is Verdict.DENY:
        assert explanation.least or explanation.why_none
    elif explanation.decision.because:
        assert explanation.target is not None
    if explanation.least:
        assert explain(one.with_rule(kinds.read(explanation.least)), asked).allowed


PIECES = st.sampled_from(
    ["http", "https", "udp", "://", "a.example", "169.254.169.254", "[2001:db8::5]", "[", "]", "@", ":", "80", "/", "..", "%", "?", "#", " ", "GET", "TLS", "é", "\n", "\x00"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=20), st.sampled_from(["", "PUT", "get", "CONNECT"]))
@settings(max_examples=300)
def test_whatever_is_asked_is_a_problem_or_explained(text, method):
    try:
        asked = read_target(text, method=method)
    except Problems as found:
        assert all(problem.code.startswith("EXW17") and problem.message for problem in found.problems)
        return
    explanation = explain(NOTHING, asked)
    assert not explanation.allowed
    assert bool(explanation.least) != bool(explanation.why_none)
    assert list(lines(explanation, NOTHING.workload, lambda *_: ""))


def test_rules_of_another_time_are_asked_then():
    before = datetime.fromisoformat("2026-12-30T00:00:00Z")
    one = Trial(scene(OVER).registry, scene().workload, before)
    assert explain(one, read_target("http://old.example/")).allowed
