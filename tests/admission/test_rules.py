"""Which rules are looked at."""

import pytest

from exitway.admission.review import request_of
from exitway.admission.rules import reviewed
from exitway.resources.registry import Registry
from tests.rules import rule

DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/held"]}


def update(old, new):
    return request_of({
        "kind": "AdmissionReview",
        "request": {"uid": "1", "operation": "UPDATE", "namespace": "default", "resource": {"resource": "egressrules"}, "oldObject": old, "object": new},
    })  # fmt: skip


@pytest.mark.parametrize("metadata", [{}, DELETED])
def test_a_rule_that_says_something_new_is_looked_at_also_while_it_is_being_deleted(metadata):
    bad = rule("one", "not a name", **metadata)
    assert reviewed(update(rule("one", **metadata), bad), Registry()).refusal
    assert not reviewed(update(rule("one", **metadata), rule("one", "b.example", **metadata)), Registry()).refusal


def test_what_says_the_same_as_before_can_always_be_let_go():
    bad = rule("one", "not a name")
    assert not reviewed(update(rule("one", "not a name", **DELETED), bad), None).refusal
