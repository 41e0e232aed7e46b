"""What the page is told of the history: the same whether all is read or only what is new, and never too much."""

import json
from contextlib import closing
from dataclasses import replace

import pytest

from exitway.flows.flow import Flow, Repeats
from exitway.flows.history import History
from exitway.flows.log import now
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key
from exitway.resources.registry import Registry
from exitway.web import links, seen
from exitway.web.search import Search
from exitway.web.seen import Question, Seen

DAY = 86_400
"""Of seconds: the flows are of when the session began."""
RULE = Key("egress-rule", "shop", "stripe", "exitway.dev")
ALLOWED = Flow(
    now(),
    "shop/pay",
    "api.stripe.com",
    "240.240.0.2",
    443,
    "TLS",
    Decision(Verdict.ALLOW, Reason.RULE, RULE),
    sent=5,
    received=7,
)
DENIED = replace(ALLOWED, name="evil.example", decision=Decision(Verdict.DENY, Reason.NO_RULE), sent=0, received=0)
AUDITED = replace(DENIED, workload="lab/probe", name="", address="198.18.0.7", port=80, audit=True)


@pytest.fixture
def history(tmp_path):
    with closing(History(tmp_path / "flows.db")) as one:
        one.path = tmp_path / "flows.db"
        yield one


def told(one):
    return {name: json.loads(text) for name, text in one.sections(Registry()).items()}


@pytest.mark.parametrize("search", ["", "shop 443", "deny", ":80", "nowhere"])
def test_what_is_new_is_told_as_if_all_were_read_again(history, monkeypatch, search):
    question = Question(DAY, Search.of(search))
    monkeypatch.setattr(seen, "CHEAP_SECONDS", -1.0)
    monkeypatch.setattr(seen, "REST", 10**9)
    following = Seen(history.path, question)
    for new in (
        [],
        [ALLOWED, DENIED],
        [AUDITED, DENIED, replace(ALLOWED, port=8443)],
        [],
        [replace(DENIED, workload="b/c")],
    ):
        history.write(new)
        assert told(following) == told(Seen(history.path, question))


def test_what_is_counted_onto_a_flow_is_told_when_all_is_read(history):
    history.write([ALLOWED])
    one = Seen(history.path, Question(0, Search()))
    assert told(one)["map"]["totals"]["allowed"] == 1
    history.write([], [Repeats(1, 4, 10, 20, now())])
    (link,) = told(one)["map"]["links"]
    assert (link["allowed"], link["sent"], link["received"]) == (5, 15, 27)


def test_a_map_that_is_too_large_keeps_what_was_denied_and_what_is_used_most(history, monkeypatch):
    monkeypatch.setattr(links, "MOST_LINKS", 5)
    monkeypatch.setattr(links, "MOST_DENIED_LINKS", 3)
    history.write([replace(DENIED, name=f"denied-{at}", time=f"2027-01-01T00:00:0{at}.000Z") for at in range(9)])
    history.write([replace(ALLOWED, name=f"allowed-{at}", count=at + 1) for at in range(9)])
    found = told(Seen(history.path, Question(0, Search())))["map"]
    assert [link["destination"] for link in found["links"]] == [
        "denied-8",
        "denied-7",
        "denied-6",
        "allowed-8",
        "allowed-7",
    ]
    assert (found["leftOff"], found["totals"]["denied"], found["totals"]["allowed"]) == (13, 9, 45)


def test_of_very_many_destinations_the_latest_are_read(history, monkeypatch):
    monkeypatch.setattr(seen, "MOST_READ", 3)
    history.write([replace(DENIED, name=f"name-{at}", time=f"2027-01-01T00:00:0{at}.000Z") for at in range(5)])
    found = told(Seen(history.path, Question(0, Search())))["map"]
    assert (found["whole"], [link["destination"] for link in found["links"]]) == (False, ["name-4", "name-3", "name-2"])


def test_a_flood_hides_nothing_but_itself(history, monkeypatch):
    for name, most in {"MOST_READ": 20, "CHEAP_SECONDS": -1.0, "REST": 10**9}.items():
        monkeypatch.setattr(seen, name, most)
    for name, most in {"MOST_LINKS": 9, "MOST_DENIED_LINKS": 6, "MOST_OF_WORKLOAD": 12}.items():
        monkeypatch.setattr(links, name, most)
    quiet = [ALLOWED, DENIED, AUDITED, replace(ALLOWED, name="exfil.example", workload="shop/flood")]
    history.write(quiet)
    flood = [replace(DENIED, name=f"name-{at}", workload="shop/flood", time=now()) for at in range(40)]
    history.write(flood[:20])
    following = Seen(history.path, Question(0, Search()))
    for new in ([], flood[20:]):
        history.write(new)
        found = told(following)["map"]
        shown = {(link["workload"], link["destination"]) for link in found["links"]}
        assert {(flow.workload, flow.name or flow.address) for flow in quiet} <= shown
        assert (len(shown), found["whole"]) == (9, False)
    assert found["totals"]["denied"] >= 20


def test_only_what_was_seen_in_the_time_that_is_asked_for(history):
    history.write([replace(DENIED, time="2020-01-01T00:00:00.000Z"), ALLOWED])
    found = told(Seen(history.path, Question(DAY, Search())))
    assert [link["destination"] for link in found["map"]["links"]] == ["api.stripe.com"]
    assert found["denials"]["items"] == []


def test_a_history_that_cannot_be_read_is_a_problem_that_is_shown(tmp_path):
    one = Seen(tmp_path / "none.db", Question(0, Search()))
    assert told(one)["map"]["links"] == []
    assert "none.db does not exist" in one.problems[0]
