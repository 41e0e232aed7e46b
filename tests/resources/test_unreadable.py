"""What stands for rules that cannot be read."""

from datetime import UTC, datetime

import pytest

from exitway.names.workload import SYSTEM_NAMESPACE, Workload
from exitway.policy.compile import compile_policy
from exitway.resources.kinds import read
from exitway.resources.registry import Registry
from exitway.resources.unreadable import stand_in
from tests.rules import istio_rule, rule

ALL, APP = [{"app": "a"}, {"app": "b"}], [{"app": "a"}]


@pytest.mark.parametrize(
    ("spec", "denied"),
    [
        ({}, []),
        ({"action": "ALLOW"}, []),
        (None, ALL),
        ({"action": "DENY"}, ALL),
        ({"action": "deny"}, ALL),
        ({"action": "DENY", "workloadSelector": {"matchLabels": {"app": "a"}}}, APP),
        ({"action": "DENY", "workloadSelector": {"matchLabels": {"app": "a"}, "matchExpressions": []}}, ALL),
        ({"action": "DENY", "workloadSelector": {"matchLabels": {"app": 1}}}, ALL),
        ({"action": "DENY", "workloadSelector": {"matchLabels": {"-": "a"}}}, ALL),
        ({"action": "DENY", "workloadSelector": "all"}, ALL),
    ],
)
@pytest.mark.parametrize("namespace", ["shop", SYSTEM_NAMESPACE])
def test_an_unreadable_denial_denies_everything_to_whom_it_may_concern(spec, denied, namespace):
    strange = stand_in({**rule("strange", namespace=namespace), "spec": spec})
    rules = [read(rule("good", namespace="shop")), *([strange] if strange else [])]
    registry = Registry().changed(rules, revision=1)
    policies = {
        labels["app"]: compile_policy(registry.intents_for("shop"), Workload("shop", "w", labels), datetime.now(UTC))
        for labels in ALL
    }
    assert [{"app": app} for app, policy in policies.items() if not policy.hosts] == denied


def test_nothing_stands_for_a_rule_that_can_only_allow():
    assert stand_in({**istio_rule("strange"), "spec": None}) is None
