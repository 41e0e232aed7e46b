"""Flows as they are printed, read again."""

from dataclasses import replace

import pytest

from exitway.flows.choice import Choice
from exitway.flows.flow import Flow
from exitway.flows.wire import read
from exitway.names.call import Decision, Reason, Verdict
from tests.intents import intent

FLOW = Flow(
    "2027-01-01T00:00:00.000Z", "shop/w", "a.test", "241.0.0.1", 80, "HTTP/1.1", Decision(Verdict.DENY, Reason.PORT),
    detail="UF x\x1b", audit=True, method="GET", path="/é", status=404, sent=1, labels={"app": "w"}, count=2, last="2027-01-01T00:00:01.000Z", id=7,
)  # fmt: skip


def test_a_flow_that_was_printed_is_read_as_it_was():
    because = replace(intent("r", "a.test", "80/HTTP").key, group="")
    for flow in (FLOW, replace(FLOW, decision=Decision(Verdict.ALLOW, Reason.RULE, because, direct=True))):
        assert read(flow.line().encode(), "node/n") == replace(flow, at="node/n")
    of_later = FLOW.line().replace('"port",', '"a-new-reason", "more": [1],').encode()
    assert read(of_later, "").decision == Decision(Verdict.DENY, Reason.UNKNOWN)


@pytest.mark.parametrize(
    "text",
    [
        "", "No flows found.", "[]", "7", "null", "{}", "[" * 100_000,
        FLOW.line().replace('"id": 7', '"id": "7"'), FLOW.line().replace('"id": 7', '"id": true'), FLOW.line().replace('"deny"', '"maybe"'),
        FLOW.line().replace("2027-01-01T00:00:00", "yesterday"), FLOW.line().replace('{"app": "w"}', "[1]"), FLOW.line().replace('"port": 80, ', ""),
    ],
)  # fmt: skip
def test_what_is_no_flow_is_refused(text):
    with pytest.raises(ValueError):
        read(text.encode(), "")


def test_the_options_of_a_choice_are_those_of_the_command():
    choice = Choice("shop", "w", "deny", "*.x", "2027-01-01T00:00:00.000Z")
    assert [*choice.options()] == [
        "--namespace=shop", "--workload=w", "--verdict=deny", "--host=*.x", "--since=2027-01-01T00:00:00.000Z",
    ]  # fmt: skip
    assert [*Choice().options()] == []
