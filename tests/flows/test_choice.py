"""Which flows are meant, told of a flow as the history tells it of its rows."""

from contextlib import closing
from dataclasses import asdict, replace

import pytest

from exitway.flows.choice import Choice
from exitway.flows.flow import Flow
from exitway.flows.history import History
from exitway.names.call import Decision, Reason, Verdict

FLOW = Flow(
    "2027-01-01T00:00:00.000Z", "shop/w", "a.example", "241.0.0.1", 80, "HTTP/1.1", Decision(Verdict.ALLOW, Reason.RULE)
)
DENIED = Decision(Verdict.DENY, Reason.NO_RULE)
FLOWS = [
    FLOW,
    replace(FLOW, workload="shop2/w", name="b.a.example", decision=DENIED),
    replace(FLOW, workload="shop/w2", name="", address="2001:db8::1", decision=DENIED, audit=True),
    replace(FLOW, name="x[1]?.test", time="2027-01-01T00:00:03.000Z"),
    replace(FLOW, name="late.test", count=3, last="2027-01-01T00:00:09.000Z"),
]


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        (Choice(), [0, 1, 2, 3, 4]),
        (Choice(namespace="shop"), [0, 2, 3, 4]),
        (Choice(workload="w"), [0, 1, 3, 4]),
        (Choice(workload="shop/w"), [0, 3, 4]),
        (Choice(verdict="deny"), [1, 2]),
        (Choice(host="*.EXAMPLE"), [0, 1]),
        (Choice(host="a.example"), [0]),
        (Choice(host="2001:db8::1"), [2]),
        (Choice(host="x[1]?.*"), [3]),
        (Choice(host="x?1?*"), []),
        (Choice(since="2027-01-01T00:00:03.000Z"), [3, 4]),
        (Choice(namespace="shop", verdict="allow", host="*.test", since="2027-01-01T00:00:04.000Z"), [4]),
    ],
)
def test_a_choice_is_the_same_for_a_flow_and_in_the_history(tmp_path, choice, chosen):
    with closing(History(tmp_path / "flows.db")) as history:
        history.write(FLOWS)
        assert [flow.id - 1 for flow in history.select(**asdict(choice))] == chosen
    assert [number for number, flow in enumerate(FLOWS) if choice.has(flow)] == chosen
