import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from exitway.flows.access_log import AccessLogReader, Observed
from exitway.flows.live import split
from exitway.flows.log import Tail
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.resources.intent import Action
from tests.intents import intent

RULES = [intent("httpbin", "httpbin.org", "80/HTTP"), intent("db", "198.18.5.0/24", "5432/TCP")]
RULES.append(intent("api", "api.example", "80/HTTP", methods="GET", paths="/ /v1/*"))
POLICY = compile_policy(RULES, Workload("shop", "w"), datetime(2027, 1, 1, tzinfo=UTC))
OBSERVED = {"w1": Observed("shop/w", POLICY, {"240.240.0.9": "mail.example"}.get, lambda *_: None)}


def line(seconds="01", access="DownstreamEnd", method="GET", path="/", **fields):
    entry = {
        "access": access, "authority": None, "chain": "http", "decision": None, "destination": "240.240.0.2:80", "details": "via_upstream", "failure": None,
        "flags": "-", "protocol": None, "sni": None, "status": 200, "workload": "w1",
    }  # fmt: skip
    this = {
        "at": f"2027-01-01T00:00:{seconds}.000Z", "connection": 7, "from": f"198.18.0.1:40{seconds}", "method": method, "path": path, "to": "198.18.1.1:80"
    }  # fmt: skip
    return json.dumps(entry | fields | {"z": this}, separators=(",", ":")).encode()


def told(*lines):
    return list(AccessLogReader(OBSERVED.get).flows(lines))


HTTP = {"authority": "httpbin.org", "protocol": "HTTP/1.1"}


@pytest.mark.parametrize(
    ("fields", "name", "port", "protocol", "verdict", "reason", "rule"),
    [
        (HTTP, "httpbin.org", 80, "HTTP/1.1", "allow", "rule", "httpbin"),
        (
            HTTP | {"authority": "HTTPBIN.org:8080", "destination": "240.240.0.2:8080", "details": "direct_response", "decision": "deny; reason=port", "status": 404},
            "httpbin.org", 8080, "HTTP/1.1", "deny", "port", "httpbin",
        ),
        (
            HTTP | {"authority": "evil.example", "details": "direct_response", "decision": "deny; reason=no-rule", "status": 404},
            "evil.example", 80, "HTTP/1.1", "deny", "no-rule", None,
        ),
        (
            HTTP | {"decision": "allow; failed=DF", "details": "dns_resolution_failure{address_denied}", "flags": "DF", "status": 503},
            "httpbin.org", 80, "HTTP/1.1", "deny", "address", "httpbin",
        ),
        ({"chain": "deny", "sni": "evil.example", "destination": "[2001:2::2]:443", "status": 0}, "evil.example", 443, "TLS", "deny", "no-rule", None),
        ({"chain": "deny", "destination": "240.240.0.9:25", "status": 0}, "mail.example", 25, "TCP", "deny", "no-rule", None),
        ({"chain": "tcp", "destination": "198.18.5.1:5432", "status": 0}, "", 5432, "TCP", "allow", "rule", "db"),
        # the proxy says that the method is in doubt, which the line itself does not
        (
            HTTP | {"authority": "api.example", "details": "direct_response", "decision": "deny; reason=method", "status": 404},
            "api.example", 80, "HTTP/1.1", "deny", "method", "api",
        ),
        (
            HTTP | {"authority": "api.example", "path": "/v2", "details": "direct_response", "decision": "deny; reason=path", "status": 404},
            "api.example", 80, "HTTP/1.1", "deny", "path", "api",
        ),
        # an allowed site that answers with our header decides nothing
        (HTTP | {"decision": "deny; reason=bogus"}, "httpbin.org", 80, "HTTP/1.1", "allow", "rule", "httpbin"),
        # the policy has changed since: what was done stands, and no rule is made up for it
        (HTTP | {"details": "direct_response", "decision": "deny; reason=no-rule", "status": 404}, "httpbin.org", 80, "HTTP/1.1", "deny", "no-rule", None),
    ],
)  # fmt: skip
def test_what_a_line_tells(fields, name, port, protocol, verdict, reason, rule):
    (flow,) = told(line(**fields))
    record = json.loads(flow.line())
    assert record["workload"] == "shop/w"
    assert [record[key] for key in ("name", "port", "protocol", "verdict", "reason")] == [
        name,
        port,
        protocol,
        verdict,
        reason,
    ]
    assert record["rule"] == (f"egress-rule/shop/{rule}" if rule else None)


def test_a_denied_request_is_told_with_its_method_and_path_and_no_more_of_it_than_helps():
    denied = HTTP | {"details": "direct_response", "decision": "deny; reason=path", "status": 404}
    (flow,) = told(line(method="POST", path="/" + "a" * 10_000, **denied))
    assert flow.detail == "POST /" + "a" * 194


def test_an_allowed_destination_is_told_once_and_a_denied_one_each_time():
    denied = HTTP | {
        "authority": "evil.example",
        "details": "direct_response",
        "decision": "deny; reason=no-rule",
        "status": 404,
    }
    lines = [line(second, **fields) for second in ("01", "02", "03") for fields in (HTTP, denied)]
    assert [flow.name for flow in told(*lines)] == ["httpbin.org", "evil.example", "evil.example", "evil.example"]


def test_what_runs_is_told_of_when_it_has_ended_and_only_then():
    begun, ended = line(access="DownstreamPeriodic", **HTTP), line(**HTTP)
    told_of: list[bytes] = []
    reader = AccessLogReader(OBSERVED.get)
    assert not list(reader.flows([begun, begun], told_of.append))
    assert told_of == [begun]
    assert len(list(reader.flows([ended, begun, ended]))) == 1


NOW = "2027-01-01T00:00:09.000Z"
NONE = compile_policy([], Workload("shop", "w"), datetime(2027, 1, 1, tzinfo=UTC))


def test_what_is_denied_now_is_to_be_cut_and_its_record_names_the_rule_that_had_allowed_it():
    begun = line(access="DownstreamPeriodic", **HTTP)
    assert AccessLogReader(OBSERVED.get).revoked(begun, NOW) is None
    reader = AccessLogReader({"w1": replace(OBSERVED["w1"], policy=NONE, former=POLICY)}.get)
    flow = reader.revoked(begun, NOW)
    assert flow is not None
    assert flow.wire() == {
        "id": 0, "time": NOW, "workload": "shop/w", "name": "httpbin.org", "address": "240.240.0.2", "port": 80, "protocol": "HTTP/1.1",
        "verdict": "deny", "reason": "revoked", "rule": "egress-rule/shop/httpbin", "detail": "no-rule",
    }  # fmt: skip


NAMED = intent("httpbin", "httpbin.org", "80/HTTP 443/TLS")
EXCEPTED = [NAMED, intent("private", "10.1.0.0/16", "80/TCP")]
TLS = {"chain": "tls", "sni": "httpbin.org", "destination": "240.240.0.9:443"}


@pytest.mark.parametrize(
    ("rules", "fields", "to", "why"),
    [
        ([NAMED], HTTP, "198.18.1.1:80", None),
        ([NAMED], HTTP, "[2001:db8::1]:80", None),
        ([NAMED], TLS, "198.18.1.1:443", None),  # what it dialled stands for another name by now
        ([], TLS, "198.18.1.1:443", "no-rule"),
        (EXCEPTED, HTTP, "10.1.2.3:80", None),
        ([NAMED], HTTP, "10.1.2.3:80", "address egress-rule/shop/httpbin"),  # the exception to the guard has gone
        ([intent("no", "httpbin.org", "80/HTTP", action=Action.DENY), NAMED], HTTP, "198.18.1.1:80", "denied-by-rule egress-rule/shop/no"),
        ([intent("machine", "host.exitway.internal", "80/HTTP")], HTTP | {"authority": "host.exitway.internal"}, "127.0.0.1:80", None),
    ],
)  # fmt: skip
def test_what_runs_is_decided_anew(rules, fields, to, why):
    policy = compile_policy(rules, Workload("shop", "w"), datetime(2027, 1, 1, tzinfo=UTC))
    begun = line(access="DownstreamPeriodic", **fields).replace(b'"to":"198.18.1.1:80"', f'"to":"{to}"'.encode())
    flow = AccessLogReader({"w1": replace(OBSERVED["w1"], policy=policy)}.get).revoked(begun, NOW)
    assert (flow and flow.detail) == why


def test_the_end_of_what_was_cut_is_not_told_of_again():
    reader = AccessLogReader(OBSERVED.get)
    begun = line(access="DownstreamPeriodic", **HTTP)
    assert not list(reader.flows([begun]))
    reader.live.cut(split(begun)[1])
    assert not list(reader.flows([begun, line(**HTTP | {"details": "upstream_reset", "flags": "UC"})]))


def test_what_is_not_a_line_of_a_known_workload_is_passed_over():
    assert not told(b"", b"{", b"[]", b'{"workload": 5}', line(workload="somebody else", **HTTP))


def test_a_client_cannot_forge_lines_or_colours():
    (flow,) = told(
        line(
            **HTTP
            | {
                "authority": 'x"}\n{"verdict":"allow"\x1b[31m\u202e',
                "details": "direct_response",
                "decision": "deny; reason=no-rule",
            }
        )
    )
    assert flow.line().isascii()
    assert flow.line().isprintable()


def test_a_tail_gives_whole_lines_once_and_goes_on_where_another_stopped(tmp_path):
    path = tmp_path / "access.log"
    tail = Tail(path)
    assert not list(tail.lines())
    path.write_bytes(b"one\ntwo\nthr")
    assert list(tail.lines()) == [b"one", b"two"]
    with path.open("ab") as file:
        file.write(b"ee\n")
    assert list(Tail(path, tail.position).lines()) == [b"three"]
    assert list(tail.lines()) == [b"three"]
    path.write_bytes(b"new\n")
    assert list(tail.lines()) == [b"new"]
