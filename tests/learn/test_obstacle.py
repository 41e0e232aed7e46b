"""What is not learned, and why: each by the record that a run leaves."""

from dataclasses import replace

import pytest

from exitway.flows.access_log import CROWD
from exitway.learn.obstacle import Wanted
from exitway.learn.use import read
from exitway.names.call import Call, Decision, Reason, Sort, Verdict
from exitway.names.key import Key
from tests.learn.test_lesson import flow

RULE = Key("egress-rule", "shop", "one", "exitway.dev")
GET = Call(Sort.HTTP, 80, "a.test", asked="a.test")
TLS = Call(Sort.TLS, 443, "a.test", asked="a.test")
ADDRESS = Call(Sort.TCP, 25, address="198.51.100.7", asked="")


def said(reason, *, allowed=False, direct=False):
    return Decision(Verdict.ALLOW if allowed else Verdict.DENY, reason, RULE, direct)


ENFORCED = {"audit": False, "upstream": ""}
ROWS = {
    # what: the record, what is said of it, whether it went out, what helps
    "UDP": (flow(GET, protocol="udp", **ENFORCED), "it is not TCP", False, {}),
    "denied": (flow(GET, **ENFORCED), "it was denied", False, {"denied": True}),
    "denied by a rule": (flow(GET, decision=said(Reason.DENIED), **ENFORCED), "egress-rule/shop/one denies it", False, {}),
    "let through by an audit, against a rule": (flow(GET, decision=said(Reason.DENIED)), "egress-rule/shop/one denies it", True, {}),
    "to another name": (flow(TLS, decision=said(Reason.MISMATCH), **ENFORCED), "to another name than", False, {}),
    "an SNI that was not asked for": (flow(TLS, asked="b.test"), "asked for (b.test)", True, {}),
    "an SNI at an address": (flow(TLS, address="198.51.100.7"), "no name stands behind", True, {"addresses": True}),
    "a name that leads inside": (flow(GET, decision=said(Reason.ADDRESS), **ENFORCED), "leads only to addresses", False, {}),
    "a private address": (flow(GET, upstream="10.1.2.3:80"), "its name leads to 10.1.2.3", True, {"addresses": True}),
    "an address": (flow(ADDRESS), "no name stands behind", True, {"addresses": True}),
    "a metadata address": (
        flow(replace(ADDRESS, address="169.254.169.254"), upstream="", detail="UH"), "where not even an audit leads", False, {},
    ),
    "a name without an address": (flow(GET, upstream="", detail="DF dns_resolution_failure"), "nothing was dialled", False, {"denied": True}),
    "past the proxy": (flow(ADDRESS, decision=said(Reason.RANGE, allowed=True, direct=True), audit=False), "by an IP range", True, {}),
    "revoked": (flow(GET, decision=said(Reason.REVOKED), **ENFORCED), "it was denied", False, {"denied": True}),
    "no host name": (flow(replace(GET, name="a_b.test"), asked="a_b.test"), "no rule can name it", True, {}),
    "CONNECT": (flow(replace(GET, method="CONNECT", path="")), "a request without a path", True, {}),
    "a method that nobody knows": (flow(replace(GET, method="get")), "no rule can name its method", True, {"hosts_only": True}),
    "a path that servers read in two ways": (flow(replace(GET, path="/a;b")), "no rule can name its path", True, {"hosts_only": True}),
    "a path with the sign for any": (flow(replace(GET, path="/a*")), "no rule can name its path", True, {"hosts_only": True}),
    "a long path": (flow(replace(GET, path="/" + "a" * 2000)), "no rule can name its path", True, {"hosts_only": True}),
    "what was only counted": (
        flow(GET, decision=said(Reason.RULE, allowed=True), audit=False, count=3), "their methods and paths", True, {"hosts_only": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ROWS)
def test_what_is_not_learned_is_said_with_what_helps(what):
    record, why, passed, helps = ROWS[what]
    (left,) = read([record], Wanted()).left
    assert why in left.why
    assert left.passed is passed
    every = Wanted(denied=True, hosts_only=True, addresses=True)
    recording = read([record], replace(every, **dict.fromkeys(helps, True)))
    assert bool(recording.left) is (not helps)
    assert all(f"--{option.replace('_', '-')}" in left.why for option in helps)


@pytest.mark.parametrize(
    "record",
    [
        flow(GET),
        flow(GET, decision=said(Reason.RULE, allowed=True), audit=False),
        flow(GET, upstream="", detail="UF delayed_connect_error:_Connection_refused"),
        flow(GET, upstream="", detail="DC downstream_remote_disconnect"),
        flow(TLS, upstream=""),
        flow(replace(GET, name="b.test"), asked="a.test"),
    ],
)
def test_what_went_out_is_learned_also_where_it_failed_outside(record):
    recording = read([record], Wanted())
    assert len(recording.uses) == 1
    assert not recording.left


def test_of_a_flood_what_was_not_read_is_said():
    recording = read([flow(GET, count=7, detail=CROWD)], Wanted())
    assert len(recording.uses) == 1
    assert [(left.what, left.passed, left.seen.count) for left in recording.left] == [("some calls", True, 6)]


def test_a_connection_on_which_nothing_is_said_does_not_make_a_rule_wider():
    kept = flow(Call(Sort.TCP, 443, asked="a.test"), sent=0)
    assert [use.call.sort for use in read([kept], Wanted()).uses] == [Sort.TCP]
    recording = read([kept, flow(TLS)], Wanted())
    assert [use.call.sort for use in recording.uses] == [Sort.TLS]
    assert ["nothing was said on it" in left.why for left in recording.left] == [True]
    assert len(read([replace(kept, sent=5), flow(TLS)], Wanted()).uses) == 2
