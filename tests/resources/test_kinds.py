"""What all kinds have in common: the envelope, the metadata, and the table of kinds."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitway.resources import kinds
from exitway.resources.kind_names import KIND_NAMES, kinds_called, without_hyphens
from exitway.resources.kinds import read
from tests.resources.wire import exitway, hints, istio, problems, to

RULE = exitway(to("a.example", "80/HTTP"))
KNOWN = "known are EgressRule config.istio.io/v1alpha2, EgressRule exitway.dev/v1"
BOTH = [istio("a.example", "80/http"), RULE]


@pytest.mark.parametrize(
    ("envelope", "faults"),
    [
        ({"kind": "EgresRule"}, [("EXW0105", "kind", f"did you mean EgressRule? {KNOWN}")]),
        ({"kind": "Deployment"}, [("EXW0105", "kind", KNOWN)]),
        ({"apiVersion": "exitway.dev/v2"}, [("EXW0105", "apiVersion", f"did you mean exitway.dev/v1? {KNOWN}")]),
        (
            {"apiVersion": "config.istio.io/v1alpha3"},
            [("EXW0105", "apiVersion", f"did you mean config.istio.io/v1alpha2? {KNOWN}")],
        ),
        ({"apiVersion": "v1", "kind": "Pod"}, [("EXW0105", "kind", KNOWN)]),
        ({"apiVersion": 1, "kind": None}, [("EXW0104", "apiVersion", KNOWN), ("EXW0104", "kind", KNOWN)]),
    ],
)
def test_an_unknown_kind_or_version_is_refused_with_the_known_ones(envelope, faults):
    wire = RULE | envelope
    assert [(code, field, hint) for (code, field, _), hint in zip(problems(wire), hints(wire), strict=True)] == faults


def test_an_object_without_kind_and_version_is_refused():
    assert problems({}) == [("EXW0102", "apiVersion", "apiVersion is missing"), ("EXW0102", "kind", "kind is missing")]


@pytest.mark.parametrize("wire", BOTH)
def test_the_fields_that_a_server_sets_are_accepted_and_the_status_is_ignored(wire):
    served = {
        "uid": "u",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": None,
        "managedFields": [{"manager": "kubectl"}],
        "selfLink": "/x",
    }
    own = {
        "labels": {"example.com/team": "blue", "empty": ""},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}\n"},
    }
    full = wire | {"metadata": wire["metadata"] | served | own, "status": {"anything": [1]}}
    resource = read(full)
    assert resource.intents == read(wire).intents
    assert resource.wire == {name: value for name, value in full.items() if name != "status"}


@pytest.mark.parametrize("wire", BOTH)
@pytest.mark.parametrize(
    ("metadata", "faults"),
    [
        ({}, [("EXW0102", "metadata.name"), ("EXW0102", "metadata.namespace")]),
        ({"name": "a"}, [("EXW0102", "metadata.namespace")]),
        ({"name": "a.b-1.c", "namespace": "0"}, []),
        ({"name": "", "namespace": ""}, [("EXW0106", "metadata.name"), ("EXW0106", "metadata.namespace")]),
        ({"name": "A", "namespace": "A"}, [("EXW0106", "metadata.name"), ("EXW0106", "metadata.namespace")]),
        ({"name": "a/b", "namespace": "a.b"}, [("EXW0106", "metadata.name"), ("EXW0106", "metadata.namespace")]),
        ({"name": "../a", "namespace": "a\n"}, [("EXW0106", "metadata.name"), ("EXW0106", "metadata.namespace")]),
        ({"name": "a" * 63, "namespace": "a" * 64}, [("EXW0106", "metadata.namespace")]),
        ({"name": ".".join(["a" * 63] * 4), "namespace": "a"}, [("EXW0106", "metadata.name")]),
        ({"name": False, "namespace": "a"}, [("EXW0104", "metadata.name")]),
        ({"name": "a", "namespace": "a", "clusterName": "b"}, [("EXW0101", "metadata.clusterName")]),
        (
            {"name": "a", "namespace": "a", "labels": {"/a": "b", "a/b/c": "d", "e": "-"}},
            [
                ("EXW0107", "metadata.labels[/a]"),
                ("EXW0107", "metadata.labels[a/b/c]"),
                ("EXW0107", "metadata.labels[e]"),
            ],
        ),
        ({"name": "a", "namespace": "a", "labels": {"a/b": 1}}, [("EXW0104", "metadata.labels[a/b]")]),
        ({"name": "a", "namespace": "a", "annotations": {"a b": "c"}}, [("EXW0107", "metadata.annotations[a b]")]),
        (None, [("EXW0104", "metadata")]),
    ],
)
def test_metadata_is_judged(wire, metadata, faults):
    assert [(code, field) for code, field, _ in problems(wire | {"metadata": metadata})] == faults


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["hosts", "cidrs", "ports", "port", "number", "protocol", "service", "x.y"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(BOTH), st.data())
def test_whatever_replaces_a_part_of_a_rule_is_read_or_gives_problems(wire, data):
    wire = json.loads(json.dumps(wire))
    parent: object = wire
    while True:
        here = parent
        assert isinstance(here, dict | list)
        step = data.draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
        parent = here[step]
        if not isinstance(parent, dict | list) or not parent or data.draw(st.booleans()):
            break
    here[step] = data.draw(json_values)
    for _, field, message in problems(wire):
        assert message
        assert field


def test_lone_surrogates_and_endless_nesting_are_problems():
    endless: list[object] = []
    for _ in range(100_000):
        endless = [endless]
    for odd in ("\ud800", endless):
        assert problems(RULE | {"status": odd})


def test_a_resource_with_thousands_of_faults_shows_the_first():
    assert len(problems(RULE | {f"x{i}": 1 for i in range(5000)})) == 100
    assert len(problems(exitway({"hosts": ["*"] * 5000, "ports": []}))) == 100


@pytest.mark.parametrize(
    ("word", "versions"),
    [
        *(
            (word, ["config.istio.io/v1alpha2", "exitway.dev/v1"])
            for word in ("egressrules", "egressrule", "EgressRule")
        ),
        ("egressrules.exitway.dev", ["exitway.dev/v1"]),
        ("egressrules.example.com", []),
        ("egress-rules", []),
        ("pods", []),
        ("", []),
    ],
)
def test_kinds_are_found_by_what_people_type(word, versions):
    assert [kind.api_version for kind in kinds_called(word)] == versions


def test_hyphens_are_recognised_as_a_slip():
    assert [without_hyphens(word) for word in ("egress-rules", "Egress-Rule", "egressrules", "po-ds")] == [
        "egressrules",
        "egressrule",
        "",
        "",
    ]


def test_every_kind_has_a_reader():
    assert set(kinds._READERS) == {(kind.api_version, kind.kind) for kind in KIND_NAMES}


def test_what_the_command_line_imports_is_light():
    heavy = "import sys, exitway.resources.document, exitway.resources.kind_names; print({'pydantic', 'asyncio', 'ipaddress'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "set()\n"
