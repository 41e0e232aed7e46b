import pytest

from exitway.api.status import Refusal
from exitway.names.workload import Workload
from exitway.server.program import Publication
from exitway.server.request import ITSELF, read_request
from tests.rules import istio_rule

MINIMAL = {"namespace": "shop", "name": "checkout", "pid": 4711}
PUBLISHED = {"address": "127.0.0.1", "port": 8080, "target": 80}


def faults(wire):
    """What is wrong: (index, code, field) of each cause."""
    with pytest.raises(Refusal) as refused:
        read_request(wire)
    assert refused.value.code == 422
    return [(cause.index, cause.problem.code, cause.problem.field) for cause in refused.value.causes]


def test_a_request_says_who_the_workload_is_and_what_it_brings():
    rule = istio_rule("a", namespace="elsewhere")
    brought = read_request({**MINIMAL, "labels": {"app": "x"}, "rules": [rule], "publish": [PUBLISHED]})
    assert (brought.workload, brought.pid) == (Workload("shop", "checkout", {"app": "x"}), 4711)
    assert [intent.key.namespace for intent in brought.intents] == ["shop"]
    assert brought.publications == (Publication("127.0.0.1", 8080, 80),)


@pytest.mark.parametrize(
    "text",
    ["", "a/b", "..", "../../tmp/x", "a\nb", "a\0b", "%REQ(x)%", "%START_TIME%", "é", "A", "a b", "-a", "x" * 300],
)
def test_a_name_can_be_neither_a_path_nor_a_format(text):
    for field in ("name", "namespace"):
        assert faults({**MINIMAL, field: text}) == [(ITSELF, "EXW0106", field)]


NOT_NUMBERS: list[object] = [None, "1", 1.5, True, []]
NOT_TEXTS: list[object] = [None, 1, [], {}]


@pytest.mark.parametrize(
    ("field", "value", "code", "at"),
    [
        *[("pid", value, "EXW0104", "pid") for value in NOT_NUMBERS],
        *[("namespace", value, "EXW0104", "namespace") for value in NOT_TEXTS],
        ("labels", {"a": 1}, "EXW0104", "labels.a"),
        ("labels", {"a b": "x"}, "EXW0107", "labels[a b]"),
        ("labels", {"a": "%REQ(x)%"}, "EXW0107", "labels[a]"),
        ("rules", {}, "EXW0104", "rules"),
        ("rules", ["x"], "EXW0104", "rules[0]"),
        ("publish", [1], "EXW0104", "publish[0]"),
        ("publish", [{**PUBLISHED, "port": 65536}], "EXW0103", "publish[0].port"),
        ("publish", [{**PUBLISHED, "target": 0}], "EXW0103", "publish[0].target"),
        ("publish", [{**PUBLISHED, "address": "/tmp/x"}], "EXW0109", "publish[0].address"),
        ("publish", [{**PUBLISHED, "address": "127.1"}], "EXW0109", "publish[0].address"),
        ("publish", [PUBLISHED, {**PUBLISHED, "target": 81}], "EXW0108", "publish[1].port"),
        ("unknown", 1, "EXW0101", "unknown"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(field, value, code, at):
    assert faults({**MINIMAL, field: value}) == [(ITSELF, code, at)]


def test_everything_is_missed_at_once():
    assert [at for _, code, at in faults({}) if code == "EXW0102"] == ["namespace", "name", "pid"]


@pytest.mark.parametrize("rule", [{}, {"metadata": 1}, {**istio_rule("b"), "metadata": None}])
def test_a_bad_rule_is_found_by_its_index(rule):
    assert {index for index, _, _ in faults({**MINIMAL, "rules": [istio_rule("a"), rule]})} == {1}
