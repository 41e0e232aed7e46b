"""The Kubernetes-shaped paths over HTTP."""

import json

import pytest

from tests.rules import istio_rule, rule

ALL = "/apis/exitway.dev/v1/egressrules"
SHOP = "/apis/exitway.dev/v1/namespaces/shop/egressrules"
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def shop(name, *hosts, **metadata):
    return rule(name, *hosts, namespace="shop", **metadata)


def names(answer):
    assert answer.status == 200, answer.content
    return [item["metadata"]["name"] for item in answer.json["items"]]


@pytest.fixture
def filled(api):
    api.change(
        "create",
        shop("a", labels={"team": "pay", "tier": "1"}),
        shop("b", labels={"team": "web"}),
        rule("c"),
        istio_rule("d"),
    )
    return api


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (ALL, ["c", "a", "b"]),
        (SHOP, ["a", "b"]),
        ("/apis/config.istio.io/v1alpha2/egressrules", ["d"]),
        ("/apis/exitway.dev/v1/namespaces/nobody/egressrules", []),
        (f"{SHOP}?limit=1", ["a", "b"]),
        (f"{SHOP}?fieldSelector=metadata.name%3Db", ["b"]),
        (f"{ALL}?fieldSelector=metadata.namespace!%3Dshop", ["c"]),
        (f"{ALL}?labelSelector=team", ["a", "b"]),
        (f"{ALL}?labelSelector=!team", ["c"]),
        (f"{ALL}?labelSelector=team%3Dpay", ["a"]),
        (f"{ALL}?labelSelector=team%3D%3Dpay,tier%3D1", ["a"]),
        (f"{ALL}?labelSelector=team%3Dpay,tier!%3D1", []),
        (f"{ALL}?labelSelector=team!%3Dpay", ["c", "b"]),
        (f"{ALL}?labelSelector=team+in+(pay,web)", ["a", "b"]),
        (f"{ALL}?labelSelector=team+notin+(pay,+web)", ["c"]),
    ],
)
def test_a_list_has_what_is_selected_in_the_order_of_the_keys(filled, path, expected):
    answer = filled.ask("GET", path)
    assert names(answer) == expected
    assert (answer.json["kind"], answer.json["metadata"]) == ("EgressRuleList", {"resourceVersion": "4"})


@pytest.mark.parametrize(
    "query",
    [
        "labelSelector=a%3D%3D%3Db",
        "labelSelector=a+in+b",
        "labelSelector=,",
        "fieldSelector=spec.action%3DDENY",
        "fieldSelector=x",
    ],
)
def test_a_selector_that_cannot_be_read_is_refused_rather_than_ignored(filled, query):
    for answer in (
        filled.ask("GET", f"{ALL}?{query}"),
        filled.ask("DELETE", f"{SHOP}?{query}"),
        filled.ask("GET", f"{ALL}?watch=1&{query}"),
    ):
        assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
    assert len(names(filled.ask("GET", ALL))) == 3


def test_the_life_of_an_object(api):
    wire = shop("a")
    del wire["metadata"]["namespace"]
    created = api.ask("POST", SHOP, wire)
    assert (created.status, created.json["metadata"]["namespace"], created.json["metadata"]["resourceVersion"]) == (
        201,
        "shop",
        "1",
    )
    assert api.ask("GET", f"{SHOP}/a").json == created.json
    replaced = api.ask("PUT", f"{SHOP}/a", shop("a", "new.example"))
    assert (replaced.status, replaced.json["metadata"]["generation"]) == (200, 2)
    patched = api.ask(
        "PATCH", f"{SHOP}/a", {"metadata": {"labels": {"x": "y"}}, "spec": {"action": "DENY"}}, content_type=MERGE
    )
    assert (patched.status, patched.json["spec"]["action"], patched.json["metadata"]["labels"]) == (
        200,
        "DENY",
        {"x": "y"},
    )
    patched = api.ask(
        "PATCH", f"{SHOP}/a", {"metadata": {"labels": None}, "spec": {"action": None}}, content_type=MERGE
    )
    assert ("action" in patched.json["spec"], "labels" in patched.json["metadata"]) == (False, False)
    assert api.ask("DELETE", f"{SHOP}/a").json["details"]["uid"] == created.json["metadata"]["uid"]
    assert api.ask("GET", f"{SHOP}/a").json["reason"] == "NotFound"
    assert api.waited == [1, 2, 3, 4, 5]


def test_server_side_apply_makes_the_object_what_is_applied(api):
    text = b"""
apiVersion: exitway.dev/v1
kind: EgressRule
metadata: {name: a, labels: {x: y}}
spec: {to: [{hosts: [a.example], ports: [{number: 443, protocol: TLS}]}], action: DENY}
"""
    first = api.ask("PATCH", f"{SHOP}/a?fieldManager=me", text, content_type=APPLY)
    assert (first.status, first.json["spec"]["action"]) == (200, "DENY")
    second = api.ask("PATCH", f"{SHOP}/a?fieldManager=other", shop("a", "b.example"), content_type=APPLY)
    assert (second.json["spec"], second.json["metadata"].get("labels")) == (shop("a", "b.example")["spec"], None)
    assert second.json["metadata"]["uid"] == first.json["metadata"]["uid"]


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (("POST", SHOP, shop("a")), 409, "AlreadyExists"),
        (("POST", SHOP, shop("new", "a..b")), 422, "Invalid"),
        (("POST", SHOP, rule("new", namespace="other")), 400, "BadRequest"),
        (("POST", SHOP, istio_rule("new", namespace="shop")), 400, "BadRequest"),
        (("POST", SHOP, {"metadata": []}), 400, "BadRequest"),
        (("POST", SHOP, None), 400, "BadRequest"),
        (("POST", ALL, shop("new")), 405, "MethodNotAllowed"),
        (("PUT", f"{SHOP}/new", shop("new")), 404, "NotFound"),
        (("PUT", f"{SHOP}/a", shop("b")), 400, "BadRequest"),
        (("PUT", f"{SHOP}/a", shop("a", "x.example", resourceVersion="9")), 409, "Conflict"),
        (("PATCH", f"{SHOP}/a", {"spec": {}}), 415, "UnsupportedMediaType"),
        (("DELETE", f"{SHOP}/new"), 404, "NotFound"),
        (("DELETE", f"{SHOP}/a", {"preconditions": {"uid": "another"}}), 409, "Conflict"),
        (("DELETE", f"{SHOP}/a", {"preconditions": {"resourceVersion": "9"}}), 409, "Conflict"),
        (("DELETE", f"{SHOP}/a?dryRun=Some"), 400, "BadRequest"),
        (("GET", f"{SHOP}/a/status"), 404, "NotFound"),
        (("GET", "/apis/exitway.dev/v2/egressrules"), 404, "NotFound"),
        (("GET", f"{ALL}/"), 404, "NotFound"),
        (("GET", f"{ALL}?watch=true&resourceVersion=x"), 400, "BadRequest"),
        (("GET", f"{ALL}?watch=true&resourceVersion=99"), 410, "Expired"),
    ],
)
def test_refusals_are_status_objects_and_change_nothing(filled, request_, status, reason):
    before = filled.ask("GET", ALL).content
    answer = filled.ask(*request_)
    assert (answer.status, answer.json["kind"], answer.json["code"], answer.json["reason"]) == (
        status,
        "Status",
        status,
        reason,
    )
    assert filled.ask("GET", ALL).content == before


def test_a_patch_that_is_refused_leaves_the_object_as_it_was(filled):
    before = filled.ask("GET", f"{SHOP}/a").content
    for patch in (b'{"spec": {"to": []}}', b'{"spec": {"action": "MAYBE"}}', b'{"kind": "Pod"}'):
        assert filled.ask("PATCH", f"{SHOP}/a", patch, content_type=MERGE).status in (400, 422)
    assert filled.ask("GET", f"{SHOP}/a").content == before


def test_a_patch_at_another_version_is_a_conflict(filled):
    for patch, status in (
        ({"metadata": {"resourceVersion": "9"}}, 409),
        ({"metadata": {"resourceVersion": "1"}}, 200),
        ({}, 200),
    ):
        assert (
            filled.ask("PATCH", f"{SHOP}/a", patch | {"spec": {"action": "DENY"}}, content_type=MERGE).status == status
        )


def test_every_problem_is_a_cause_that_kubectl_shows_with_its_hint(api):
    wire = shop("a", "a..b") | {"extra": 1}
    causes = api.ask("POST", SHOP, wire).json["details"]["causes"]
    assert {cause["field"] for cause in causes} == {"extra", "spec.to[0].hosts[0]"}
    assert all(cause["message"].startswith(cause["reason"]) for cause in causes)


def test_a_dry_run_shows_the_outcome_and_changes_nothing(filled):
    before = filled.ask("GET", SHOP).content
    assert filled.ask("POST", f"{SHOP}?dryRun=All", shop("new")).json["metadata"]["resourceVersion"] == "5"
    patched = filled.ask("PATCH", f"{SHOP}/a?dryRun=All", {"spec": {"action": "DENY"}}, content_type=MERGE)
    assert patched.json["spec"]["action"] == "DENY"
    assert filled.ask("DELETE", f"{SHOP}/a", {"dryRun": ["All"]}).status == 200
    assert filled.ask("GET", SHOP).content == before


def test_a_collection_is_deleted_in_one_commit_as_far_as_it_is_selected(filled):
    assert filled.ask("DELETE", f"{SHOP}?labelSelector=team%3Dpay").status == 200
    assert names(filled.ask("GET", ALL)) == ["c", "b"]
    assert filled.ask("DELETE", SHOP).status == 200
    assert names(filled.ask("GET", ALL)) == ["c"]


def test_a_proxy_that_is_silent_is_a_warning(api):
    api.silent = ['proxy "p" is silent', "é"]
    assert api.ask("POST", SHOP, shop("a")).headers["warning"] == '299 - "proxy \\"p\\" is silent", 299 - "?"'


def test_a_table_shows_what_a_rule_is_about(api):
    api.change("create", shop("a", "a.example", "b.example", "c.example", "d.example", "e.example"))
    table = api.ask("GET", SHOP, accept=TABLE).json
    assert [column["name"] for column in table["columnDefinitions"] if not column["priority"]] == [
        "Name",
        "Destinations",
        "Ports",
        "Age",
    ]
    assert table["rows"][0]["cells"][:3] == ["a", "a.example,b.example,c.example,... (2 more)", "443/TLS"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    for include, expected in (("Object", "EgressRule"), ("None", None)):
        (row,) = api.ask("GET", f"{SHOP}/a?includeObject={include}", accept=TABLE).json["rows"]
        assert row.get("object", {}).get("kind") == expected


def test_a_watch_tells_every_change_from_a_revision_on(filled):
    watch = filled.watch(f"{SHOP}?watch=true&resourceVersion=1")
    assert next(watch)["object"]["metadata"]["name"] == "b"
    filled.change("apply", shop("a", "new.example"))
    filled.change("apply", rule("elsewhere"), istio_rule("of-another-kind", "x.example", namespace="shop"))
    filled.change("delete", shop("b"))
    events = [next(watch) for _ in range(2)]
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("MODIFIED", "a"),
        ("DELETED", "b"),
    ]
    assert events[-1]["object"]["metadata"]["resourceVersion"] == "8"
    watch.close()


def test_a_watch_without_a_revision_begins_with_what_is_there(filled):
    watch = filled.watch(
        f"{SHOP}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    )
    events = [next(watch) for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "ADDED", "BOOKMARK"]
    assert events[-1]["object"]["metadata"] == {
        "resourceVersion": "4",
        "annotations": {"k8s.io/initial-events-end": "true"},
    }
    filled.change("create", shop("z"))
    assert next(watch)["object"]["metadata"]["name"] == "z"
    watch.close()


def test_a_watch_by_label_sees_objects_come_into_and_leave_the_selection(filled):
    watch = filled.watch(f"{SHOP}?watch=true&resourceVersion=4&labelSelector=team%3Dpay")
    for team in ("pay", "web", "none"):
        filled.change("apply", shop("b", labels={"team": team}))
    assert [next(watch)["type"] for _ in range(2)] == ["ADDED", "DELETED"]
    watch.close()


def test_a_watch_ends_at_its_time_with_a_bookmark(filled):
    lines = list(filled.watch(f"{SHOP}?watch=true&resourceVersion=4&timeoutSeconds=1&allowWatchBookmarks=true"))
    assert [(line["type"], line["object"]["metadata"]["resourceVersion"]) for line in lines] == [("BOOKMARK", "4")]


def test_a_watch_of_tables_has_a_table_in_each_event(filled):
    connection = filled.connection()
    connection.request("GET", f"{SHOP}?watch=true", headers={"accept": TABLE})
    event = json.loads(connection.getresponse().readline())
    assert (event["type"], event["object"]["kind"], event["object"]["rows"][0]["cells"][0]) == ("ADDED", "Table", "a")
    connection.close()


def test_discovery_names_every_kind(api):
    groups = api.ask("GET", "/apis").json["groups"]
    versions = [version["groupVersion"] for group in groups for version in group["versions"]]
    assert versions == ["config.istio.io/v1alpha2", "exitway.dev/v1"]
    for version in versions:
        assert [entry["kind"] for entry in api.ask("GET", f"/apis/{version}").json["resources"]] == ["EgressRule"]
        operations = api.ask("GET", f"/openapi/v3/apis/{version}").json["paths"].values()
        assert {parameter["name"] for operation in operations for parameter in operation["patch"]["parameters"]} == {
            "dryRun",
            "fieldValidation",
        }
    api.change("create", shop("a"))
    assert names(api.ask("GET", "/api/v1/namespaces")) == ["default", "shop"]
    assert api.ask("GET", "/api/v1/namespaces/any").json["metadata"] == {"name": "any"}
    assert [api.ask("GET", path).content for path in ("/healthz", "/livez", "/readyz")] == [b"ok"] * 3
