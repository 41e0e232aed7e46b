"""What conditions follow from what replicas have entered."""

import itertools

import pytest

from exitway.cluster.counts import Count
from exitway.cluster.standing import View, entry_of
from exitway.resources.problem import Problem

A, B = "system/a", "system/b"


def programmed(*entries, was="", ready=(A, B), problems=(), **more):
    """Status and reason of the condition Programmed at generation 2; the same whatever the order of the entries."""
    status = (
        {"conditions": [{"type": "Programmed", "observedGeneration": 2, "reason": was, "status": "Unknown"}]}
        if was
        else {}
    )
    found = set()
    for some in itertools.permutations(entries):
        (_, condition) = View(2, problems, some, ready, **more).conditions(status, "2027-01-01T00:00:00Z")
        found.add((condition["status"], condition["reason"]))
    (said,) = found
    return said


def entry(name, proxies=0, acknowledged=0, *errors, generation=2):
    return entry_of(name, generation, Count(proxies, acknowledged, errors))


@pytest.mark.parametrize(
    ("entries", "was", "said"),
    [
        ([entry(A, 1, 1), entry(B, 2, 2)], "", ("True", "Acknowledged")),
        ([entry(A), entry(B)], "", ("True", "NoProxies")),
        ([entry(A, 1, 1), entry(B, 2, 1)], "", ("False", "Pending")),
        ([entry(A, 1, 1)], "", ("False", "Pending")),  # of the other nothing is known yet
        ([entry(A, 1, 1), entry(B, 2, 2, generation=1)], "", ("False", "Pending")),
        ([entry(A, 1, 1)], "Acknowledged", ("True", "Acknowledged")),  # the other has come since
        ([entry(A)], "NoProxies", ("True", "NoProxies")),
        ([entry(A, 3, 2), entry(B)], "Acknowledged", ("True", "Acknowledged")),  # a pod has just started
        ([entry(A, 3, 2), entry(B)], "NoProxies", ("False", "Pending")),
        ([entry(A, 1, 1), entry(B, 1, 0, "pod x: bad")], "Acknowledged", ("False", "Refused")),
        ([entry(A, 1, 1), entry(B, 1, 0, "pod x: bad")], "", ("False", "Refused")),
        ([entry("other/c", 1, 0), entry(A, 1, 1), entry(B)], "", ("False", "Pending")),
    ],
)
def test_a_rule_is_programmed_when_all_who_may_have_its_proxies_say_so(entries, was, said):
    assert programmed(*entries, was=was) == said


def test_a_rule_that_cannot_be_read_is_neither():
    view = View(2, [Problem("EXW0103", "port 0 is out of range", "from 1 on")], [entry(A)], (A,))
    accepted, programmed = view.conditions({}, "2027-01-01T00:00:00Z")
    assert (accepted["status"], accepted["message"]) == ("False", "EXW0103 port 0 is out of range (from 1 on)")
    assert (programmed["status"], programmed["reason"]) == ("False", "Invalid")


def test_the_time_of_a_condition_is_that_of_its_last_change():
    first = View(2, (), [entry(A, 1, 0)], (A,)).conditions({}, "2027-01-01T00:00:00Z")
    then = View(2, (), [entry(A, 1, 1)], (A,)).conditions({"conditions": first}, "2027-01-02T00:00:00Z")
    assert [one["lastTransitionTime"][:10] for one in then] == ["2027-01-01", "2027-01-02"]
