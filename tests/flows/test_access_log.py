import json
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exitway.envoy.access_log import FIELDS
from exitway.flows import known
from exitway.flows.access_log import AccessLogReader
from exitway.flows.entry import Observed
from exitway.flows.flow import Repeats, is_stamp
from exitway.flows.history import History
from exitway.flows.live import is_end, says_nothing, split
from exitway.flows.log import Tail
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.resources.intent import Action
from tests.intents import intent

RULES = [intent("httpbin", "httpbin.org", "80/HTTP"), intent("db", "198.18.5.0/24", "5432/TCP")]
RULES.append(intent("api", "api.example", "80/HTTP", methods="GET", paths="/ /v1/*"))
POLICY = compile_policy(RULES, Workload("shop", "w"), datetime(2027, 1, 1, tzinfo=UTC))
AUDITED = compile_policy(RULES, Workload("shop", "w"), datetime(2027, 1, 1, tzinfo=UTC), audit=True)
OBSERVED = {
    "w1": Observed(
        "shop/w",
        POLICY,
        {"240.240.0.9": "mail.example"}.get,
        lambda *_: None,
        None,
        {"app": "a"},
        lambda *ends: "7/curl" * (ends == ("10.0.0.1:5", "240.240.0.2:80")),
    ),
    "w2": Observed("shop/audited", AUDITED, lambda _: None, lambda *_: None),
}


def line(
    seconds="01", access="DownstreamEnd", method="GET", path="/", measured="5 100 200", day="01", to="198.18.1.1:80", **fields
):  # fmt: skip
    entry = {
        "access": access, "authority": None, "chain": "http", "decision": None, "destination": "240.240.0.2:80", "details": "via_upstream", "failure": None,
        "flags": "-", "protocol": None, "sni": None, "status": 200, "workload": "w1",
    }  # fmt: skip
    this = {
        "at": f"2027-01-{day}T00:00:{seconds}.000Z", "connection": 7, "from": f"198.18.0.1:40{seconds}", "measured": measured, "method": method, "path": path,
        "peer": "10.0.0.1:5", "to": to,
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
            HTTP | {"authority": "HTTPBIN.org:8080", "destination": "240.240.0.2:8080", "details": "direct_response", "to": None, "decision": "deny; reason=port", "status": 404},
            "httpbin.org", 8080, "HTTP/1.1", "deny", "port", "httpbin",
        ),
        (
            HTTP | {"authority": "evil.example", "details": "direct_response", "to": None, "decision": "deny; reason=no-rule", "status": 404},
            "evil.example", 80, "HTTP/1.1", "deny", "no-rule", None,
        ),
        (
            HTTP | {"to": None, "decision": "allow; failed=DF", "details": "dns_resolution_failure{address_denied}", "flags": "DF", "status": 503},
            "httpbin.org", 80, "HTTP/1.1", "deny", "address", "httpbin",
        ),
        ({"chain": "deny", "sni": "evil.example", "destination": "[2001:2::2]:443", "status": 0}, "evil.example", 443, "TLS", "deny", "no-rule", None),
        ({"chain": "deny", "destination": "240.240.0.9:25", "status": 0}, "mail.example", 25, "TCP", "deny", "no-rule", None),
        ({"chain": "tcp", "destination": "198.18.5.1:5432", "status": 0}, "", 5432, "TCP", "allow", "rule", "db"),
        # the proxy says that the method is in doubt, which the line itself does not
        (
            HTTP | {"authority": "api.example", "details": "direct_response", "to": None, "decision": "deny; reason=method", "status": 404},
            "api.example", 80, "HTTP/1.1", "deny", "method", "api",
        ),
        (
            HTTP | {"authority": "api.example", "path": "/v2", "details": "direct_response", "to": None, "decision": "deny; reason=path", "status": 404},
            "api.example", 80, "HTTP/1.1", "deny", "path", "api",
        ),
        # an allowed site that answers with our header decides nothing
        (HTTP | {"decision": "deny; reason=bogus"}, "httpbin.org", 80, "HTTP/1.1", "allow", "rule", "httpbin"),
        # nor does it by what it says before the program breaks off, or it does itself
        (HTTP | {"details": "downstream_remote_disconnect", "flags": "DC", "status": 404}, "httpbin.org", 80, "HTTP/1.1", "allow", "rule", "httpbin"),
        (
            HTTP | {"details": "upstream_reset_after_response_started{remote_reset}", "flags": "UR", "decision": "deny; reason=denied-by-rule"},
            "httpbin.org", 80, "HTTP/1.1", "allow", "rule", "httpbin",
        ),
        # what is no HTTP/2 went nowhere, and no authority is known of it
        (
            {"protocol": "HTTP/2", "destination": "240.240.0.9:80", "details": "http2.invalid.header.field", "flags": "DPE", "status": 0, "to": None},
            "mail.example", 80, "HTTP/2", "deny", "no-rule", None,
        ),
        # broken off before anybody was dialled
        (HTTP | {"details": "downstream_remote_disconnect", "flags": "DC", "status": 0, "to": None}, "httpbin.org", 80, "HTTP/1.1", "allow", "rule", "httpbin"),
        (HTTP | {"authority": "evil.example", "flags": "DC", "status": 0, "to": None}, "evil.example", 80, "HTTP/1.1", "deny", "no-rule", None),
        # the policy has changed since: what was done stands, and no rule is made up for it
        (HTTP | {"details": "direct_response", "to": None, "decision": "deny; reason=no-rule", "status": 404}, "httpbin.org", 80, "HTTP/1.1", "deny", "no-rule", None),
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


DENIED = {
    "details": "direct_response",
    "to": None,
    "decision": "deny; reason=no-rule",
    "status": 404,
    "authority": "evil.example",
    "protocol": "HTTP/1.1",
}


def test_a_request_is_told_with_what_was_asked_and_what_became_of_it():
    (flow,) = told(line(method="POST", path="/" + "a" * 10_000, **HTTP))
    known = "method", "path", "status", "duration", "sent", "received", "upstream", "labels", "process"
    assert [getattr(flow, name) for name in known] == [
        "POST", "/" + "a" * 2047, 200, 5, 100, 200, "198.18.1.1:80", {"app": "a"}, "7/curl",
    ]  # fmt: skip
    (flow,) = told(
        line(
            chain="tls", sni="a.example", destination="240.240.0.2:443", status=0, measured="-", method=None, path=None
        )
    )
    assert [getattr(flow, name) for name in (*known, "sni")][:7] == ["", "", 0, 0, 0, 0, "198.18.1.1:80"]
    assert flow.sni == "a.example"


def counted(*lines, hurry=False):
    """What is told of the lines, and how often each was seen."""
    reader = AccessLogReader(OBSERVED.get)
    flows = {flow.id: (flow.name, flow.path) for flow in reader.flows(lines, hurry=hurry)}
    repeats = {one.id: one.count for one in reader.known.repeats()}
    return [(*what, 1 + repeats.get(identity, 0)) for identity, what in flows.items()]


def test_a_use_is_counted_onto_the_first_one_of_its_day():
    lines = [
        line("01", path="/a", **HTTP),
        line("02", path="/b", **HTTP),
        line("03", day="02", path="/c", **HTTP),
        line("59", day="02", **HTTP),
    ]
    assert counted(*lines) == [("httpbin.org", "/a", 2), ("httpbin.org", "/c", 2)]


def test_a_denial_is_counted_onto_another_one_only_if_it_is_alike_and_of_the_same_second():
    lines = [
        line("01", **DENIED),
        line("01", **DENIED),
        line("01", path="/b", **DENIED),
        line("02", **DENIED),
        line("01", **HTTP | DENIED | {"authority": "x"}),
    ]
    assert counted(*lines) == [
        ("evil.example", "/", 2),
        ("evil.example", "/b", 1),
        ("evil.example", "/", 1),
        ("x", "/", 1),
    ]


def test_under_audit_each_method_and_path_is_told():
    lines = [
        line(path=path, workload="w2", **fields)
        for fields in (HTTP, HTTP | {"authority": "evil.example"})
        for path in ("/a", "/b", "/a")
    ]
    assert counted(*lines) == [
        ("httpbin.org", "/a", 2),
        ("httpbin.org", "/b", 1),
        ("evil.example", "/a", 2),
        ("evil.example", "/b", 1),
    ]


def test_repeats_are_told_with_their_bytes_and_the_time_of_the_last_one():
    reader = AccessLogReader(OBSERVED.get)
    (flow,) = reader.flows([line("01", **HTTP), line("02", **HTTP), line("03", **HTTP)])
    assert reader.known.repeats() == [Repeats(flow.id, 2, 200, 400, "2027-01-01T00:00:03.000Z")]
    reader.known.told()
    assert reader.known.repeats() == []


@pytest.mark.parametrize("anew", [lambda reader: reader.known.forget("w1"), lambda reader: reader.known.told({1})])
def test_after_another_policy_or_when_its_flow_is_no_more_a_use_is_told_anew(anew):
    reader = AccessLogReader(OBSERVED.get)
    list(reader.flows([line("01", **HTTP), line("02", **HTTP)]))
    anew(reader)
    assert [flow.id for flow in reader.flows([line("03", **HTTP)])] == [2]


def test_a_flood_makes_only_its_own_workload_forget(monkeypatch):
    monkeypatch.setattr(known, "MOST_REMEMBERED", 50)
    reader = AccessLogReader(OBSERVED.get)
    list(
        reader.flows(
            [line(workload="w2", **HTTP), *(line(**HTTP | {"authority": f"n{number}"}) for number in range(500))]
        )
    )
    assert not list(reader.flows([line(workload="w2", **HTTP)]))
    assert sum(map(len, reader.known._of.values())) <= 51


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["w1", "w2"]),
            st.sampled_from(["a", "b"]),
            st.sampled_from(["/", "/x"]),
            st.sampled_from(["01", "02"]),
            st.booleans(),
        )
    ),
    st.booleans(),
)
def test_nothing_is_lost_and_nothing_counted_twice(uses, hurry):
    lines = [
        line(second, path=path, workload=workload, **(HTTP if allowed else DENIED) | {"authority": name})
        for workload, name, path, second, allowed in uses
    ]
    assert sum(times for *_, times in counted(*lines, hurry=hurry)) == len(uses)


def test_what_runs_for_long_is_told_of_when_it_begins_and_when_it_has_ended():
    begun, ended = (
        line(access="DownstreamPeriodic", status=0, measured="500 80 0", **HTTP),
        line(measured="900 100 700", **HTTP),
    )
    told_of: list[bytes] = []
    reader = AccessLogReader(OBSERVED.get)
    (flow,) = reader.flows([begun, begun], told_of.append)
    assert told_of == [begun]
    assert (flow.id, flow.count, flow.decision.allowed, flow.sent, flow.status) == (1, 1, True, 80, 0)
    (end,) = reader.flows([ended])
    assert (end.id, end.count, end.sent, end.received, end.duration, end.status) == (1, 0, 20, 700, 900, 200)
    assert not list(reader.flows([begun], told_of.append))
    assert told_of == [begun, begun]


def test_what_runs_and_repeats_another_is_counted_when_it_has_ended():
    reader = AccessLogReader(OBSERVED.get)
    tcp = {"chain": "tcp", "destination": "198.18.5.1:5432", "status": 0, "details": None}
    begun, ended = (
        [line(second, access=access, **tcp) for second in ("01", "02")]
        for access in ("TcpUpstreamConnected", "TcpConnectionEnd")
    )
    assert len(list(reader.flows(begun))) == 1
    assert reader.known.repeats() == []
    assert [flow.count for flow in reader.flows(ended)] == [0]
    assert [(one.id, one.count) for one in reader.known.repeats()] == [(1, 1)]


NOW = "2027-01-01T00:00:09.000Z"
NONE = compile_policy([], Workload("shop", "w"), datetime(2027, 1, 1, tzinfo=UTC))


def test_what_is_denied_now_is_to_be_cut_and_its_record_names_the_rule_that_had_allowed_it():
    begun = line(access="DownstreamPeriodic", **HTTP)
    assert AccessLogReader(OBSERVED.get).revoked(begun, NOW) is None
    reader = AccessLogReader({"w1": replace(OBSERVED["w1"], policy=NONE, former=POLICY)}.get)
    flow = reader.revoked(begun, NOW)
    assert flow is not None
    assert flow.wire() == {
        "id": None, "time": NOW, "workload": "shop/w", "name": "httpbin.org", "address": "240.240.0.2", "port": 80, "protocol": "HTTP/1.1",
        "verdict": "deny", "reason": "revoked", "rule": "egress-rule/shop/httpbin", "detail": "no-rule", "method": "GET", "path": "/", "status": 200,
        "sent": 100, "received": 200, "duration": 5, "upstream": "198.18.1.1:80", "process": "7/curl", "labels": {"app": "a"},
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
    assert len(list(reader.flows([begun]))) == 1
    reader.live.cut(split(begun).identity)
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
                "to": None,
                "decision": "deny; reason=no-rule",
            }
        )
    )
    assert flow.line().isascii()
    assert flow.line().isprintable()


@pytest.mark.parametrize("said", [b"\xff\xfe", b"\\ud800", b"\\udfff\\ud800", b"\\ud83d\\ude00"])
def test_what_is_no_text_is_told_and_written_all_the_same(tmp_path, said):
    (flow,) = told(line(path="/said", **DENIED).replace(b"/said", b"/" + said))
    history = History(tmp_path / "flows.db")
    history.write([flow])
    assert history.select() == [flow]
    assert flow.path.startswith("/")
    history.close()


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


def test_long_paths_are_not_kept_in_memory():
    reader = AccessLogReader(OBSERVED.get)
    denied = [line(path=f"/{'x' * 8000}{number}", **DENIED) for number in range(100)]
    assert len(list(reader.flows([*denied, *denied]))) == 100
    tracemalloc.start()
    list(reader.flows(line(path=f"/{'x' * 8000}{number}", **DENIED) for number in range(100, 200)))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100 * 2000


RECORDED = (Path(__file__).parent / "access.log").read_bytes().splitlines()
"""As Envoy 1.40 wrote them in the lab: requests, TLS and TCP, allowed and denied, what runs and what has ended, and a mark."""
ENDED = [one for one in RECORDED if is_end(one)]
SOMETHING_ELSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**30) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


def with_a_field_wrong(line_, name, value):
    """Not there, if the value is ``...``."""
    fields = json.loads(line_)
    holder = fields if name in fields else fields.get("z", {})
    holder[name] = value
    if value is ...:
        del holder[name]
    return json.dumps(fields, separators=(",", ":")).encode()


def cut_out(line_, begin, length, instead):
    return line_[:begin] + instead + line_[begin + length :]


PLACE = st.integers(0, 500)
NAME = st.sampled_from([*FIELDS, *FIELDS["z"]])
BROKEN = (
    st.builds(with_a_field_wrong, st.sampled_from(RECORDED), NAME, SOMETHING_ELSE | st.just(...))
    | st.builds(cut_out, st.sampled_from(RECORDED), PLACE, PLACE, st.binary(max_size=20))
    | st.builds(bytes.__add__, st.builds(cut_out, st.sampled_from(RECORDED), PLACE, st.just(500), st.just(b"")), st.sampled_from(RECORDED))
    | st.binary(max_size=50)
    | SOMETHING_ELSE.map(json.dumps).map(str.encode)
    | st.sampled_from([b"[" * 100_000, b'{"access":"DownstreamEnd","authority":"' + b"a" * 3_000_000])
)  # fmt: skip


@given(st.lists(BROKEN, max_size=5), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_line_that_cannot_be_read_costs_that_line_only(tmp_path_factory, broken, hurry):
    lines = [one for pair in zip(broken, ENDED, strict=False) for one in pair] + ENDED[len(broken) :]
    directory = tmp_path_factory.mktemp("flows")
    (directory / "access.log").write_bytes(b"".join(one + b"\n" for one in lines))
    reader = AccessLogReader(lambda _: OBSERVED["w1"])
    begun: list[bytes] = []
    flows = list(reader.flows(Tail(directory / "access.log").lines(), begun.append, hurry=hurry))
    history = History(directory / "flows.db")
    history.write(flows, reader.known.repeats())
    written = history.select()
    assert [json.loads(one.line())["id"] for one in written] == sorted({flow.id for flow in flows})
    assert all(is_stamp(one.time) and is_stamp(one.last or one.time) for one in written)
    assert sum(one.count for one in written) >= len(ENDED)
    if not hurry:
        denials = [one for one in written if (one.workload, one.name) == ("shop/w", "evil.example")]
        assert {(one.port, one.decision.verdict) for one in denials} >= {(80, "deny"), (443, "deny")}
    assert all(flow is None or not flow.decision.allowed for flow in (reader.revoked(one, NOW) for one in begun))
    history.close()


@given(BROKEN)
@settings(deadline=None)
def test_no_line_is_passed_over_in_silence(broken):
    reader = AccessLogReader(lambda _: OBSERVED["w1"])
    told = len(list(reader.flows(broken.split(b"\n")))) + len(reader.live) + reader.unreadable
    assert told or says_nothing(broken) or (b'"from":null' in broken and not is_end(broken))
