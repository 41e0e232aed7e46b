"""``POST /exitway/v1/changes``: several objects, all or nothing."""

import pytest

from tests.rules import ISTIO, istio_rule, rule


def outcomes(answer):
    assert answer.status == 200, answer.content
    return [(result["name"], result["outcome"], result["resourceVersion"]) for result in answer.json["results"]]


def causes(answer):
    return [(cause["index"], cause["reason"], cause["field"]) for cause in answer.json["details"]["causes"]]


def names(api):
    lists = [api.ask("GET", f"/apis/{group}/egressrules").json for group in (ISTIO, "exitway.dev/v1")]
    return sorted(item["metadata"]["name"] for listed in lists for item in listed["items"])


def test_the_life_of_a_rule(api):
    created = api.change("create", istio_rule("a"), rule("b"))
    assert created.json["results"][0] == {
        "key": "egress-rule/default/a",
        "type": "egress-rule",
        "namespace": "default",
        "name": "a",
        "outcome": "created",
        "resourceVersion": "1",
    }
    assert (created.json["revision"], created.json["unacknowledged"]) == (2, [])
    assert outcomes(api.change("apply", istio_rule("a"), rule("b", "new.example"), rule("c"))) == [
        ("a", "unchanged", "1"),
        ("b", "configured", "3"),
        ("c", "created", "4"),
    ]
    assert outcomes(api.change("replace", istio_rule("a", port=8080))) == [("a", "configured", "5")]
    assert outcomes(
        api.change("delete", {"kind": "EgressRule", "metadata": {"name": "a", "namespace": "default"}})
    ) == [("a", "deleted", "6")]
    assert names(api) == ["b", "c"]


def test_a_change_waits_for_the_proxies_and_names_those_that_are_silent(api):
    api.silent = ["the proxy has not answered"]
    assert api.change("create", rule("a")).json["unacknowledged"] == ["the proxy has not answered"]
    assert api.change("apply", rule("a"), rule("b"), wait=False).json["unacknowledged"] == []
    assert api.change("apply", rule("c"), dryRun=True).json["unacknowledged"] == []
    assert api.waited == [1]
    assert api.change("apply", rule("a")).json["unacknowledged"], "what is unchanged may not have been acknowledged yet"
    assert api.waited == [1, 2]


def test_a_dry_run_finds_the_same_problems_and_changes_nothing(api):
    assert outcomes(api.change("create", rule("a"), dryRun=True)) == [("a", "created", "1")]
    assert api.change("create", rule("a", port=0), dryRun=True).status == 422
    assert names(api) == []


REFUSALS = {
    "every problem of every object": (
        ("apply", rule("ok"), istio_rule("bad", port=0, protocol="udp"), rule("worse", "a..b")),
        (
            422,
            "Invalid",
            [
                (1, "EXW0103", "spec.ports[0].port"),
                (1, "EXW0206", "spec.ports[0].protocol"),
                (2, "EXW0303", "spec.to[0].hosts[0]"),
            ],
        ),
    ),
    "it exists": (
        ("create", rule("new"), istio_rule("old")),
        (409, "AlreadyExists", [(1, "EXW0611", "metadata.name")]),
    ),
    "it does not": (("replace", istio_rule("old"), rule("none")), (404, "NotFound", [(1, "EXW0612", "metadata.name")])),
    "nothing to delete": (
        ("delete", istio_rule("old"), rule("none")),
        (404, "NotFound", [(1, "EXW0612", "metadata.name")]),
    ),
    "the other version is another object": (
        ("delete", rule("old")),
        (404, "NotFound", [(0, "EXW0612", "metadata.name")]),
    ),
    "twice in one request": (
        ("apply", rule("a"), rule("a", "b.example")),
        (422, "Invalid", [(1, "EXW0610", "metadata.name")]),
    ),
    "deleted twice": (
        ("delete", istio_rule("old"), istio_rule("old")),
        (422, "Invalid", [(1, "EXW0610", "metadata.name")]),
    ),
    "another version": (
        ("replace", istio_rule("old", "x.example", resourceVersion="7")),
        (409, "Conflict", [(0, "EXW0613", "metadata.resourceVersion")]),
    ),
    "deleted at another version": (
        ("delete", istio_rule("old", resourceVersion="7")),
        (409, "Conflict", [(0, "EXW0613", "metadata.resourceVersion")]),
    ),
    "against one that exists": (
        ("apply", rule("a"), istio_rule("new")),
        (422, "Invalid", [(1, "EXW0401", "spec.destination.service")]),
    ),
    "against one another": (
        ("apply", istio_rule("x", "x.example"), istio_rule("y", "x.example")),
        (422, "Invalid", [(0, "EXW0401", "spec.destination.service"), (1, "EXW0401", "spec.destination.service")]),
    ),
    "not an object of ours": (
        ("apply", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}),
        (422, "Invalid", [(0, "EXW0105", "kind")]),
    ),
    "nothing at all": (("apply", {}), (422, "Invalid", [(0, "EXW0102", "apiVersion"), (0, "EXW0102", "kind")])),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_says_which_object_and_why_and_changes_nothing(api, case):
    (verb, *wires), (status, reason, expected) = REFUSALS[case]
    api.change("create", istio_rule("old"))
    answer = api.change(verb, *wires)
    assert (answer.status, answer.json["kind"], answer.json["code"], answer.json["reason"]) == (
        status,
        "Status",
        status,
        reason,
    )
    assert causes(answer) == expected
    assert names(api) == ["old"]


def test_a_replaced_rule_does_not_conflict_with_itself_and_rules_may_swap_destinations(api):
    api.change("create", istio_rule("a", "a.example"), istio_rule("b", "b.example"))
    assert outcomes(api.change("replace", istio_rule("a", "a.example", port=8080))) == [("a", "configured", "3")]
    swapped = api.change("apply", istio_rule("a", "b.example"), istio_rule("b", "a.example"))
    assert [outcome for _, outcome, _ in outcomes(swapped)] == ["configured", "configured"]


def test_what_get_gives_out_can_be_given_back(api):
    api.change("create", rule("a"))
    wire = api.ask("GET", "/apis/exitway.dev/v1/namespaces/default/egressrules/a").json
    assert outcomes(api.change("replace", wire | {"status": {"x": 1}})) == [("a", "unchanged", "1")]
    wire["spec"]["action"] = "DENY"
    assert outcomes(api.change("apply", wire)) == [("a", "configured", "2")]
    assert api.change("apply", wire).status == 409, "it was read at version 1"


def test_delete_without_a_version_means_the_objects_of_all_versions(api):
    api.change("create", istio_rule("a"), rule("a"), rule("a", namespace="shop"))
    answer = api.change("delete", {"kind": "EgressRule", "metadata": {"name": "a", "namespace": "default"}})
    assert [outcome for _, outcome, _ in outcomes(answer)] == ["deleted", "deleted"]
    assert names(api) == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"verb": "destroy", "objects": [rule("a")]},
        {"verb": ["apply"], "objects": [rule("a")]},
        {"verb": "apply"},
        {"verb": "apply", "objects": []},
        {"verb": "apply", "objects": {}},
        {"verb": "apply", "objects": ["x"]},
        {"verb": "apply", "objects": [rule("a")], "wait": "no"},
        {"verb": "apply", "objects": [rule("a")], "dryRun": ["All"]},
        {"verb": "apply", "objects": [rule("a", resourceVersion=7)]},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(api, body):
    answer = api.ask("POST", "/exitway/v1/changes", body)
    assert (answer.status, answer.json["reason"], names(api)) == (400, "BadRequest", [])
