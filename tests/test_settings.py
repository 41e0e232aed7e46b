from pathlib import Path

import pytest

from exitway.names.traces import Traces
from exitway.resources.problem import Problems
from exitway.settings import Settings


def test_each_field_is_a_variable():
    environment = {
        "EXITWAY_RUNTIME_DIR": "/a",
        "EXITWAY_STATE_DIR": "/b",
        "EXITWAY_ENVOY": "/c",
        "EXITWAY_CONCURRENCY": "2",
        "EXITWAY_DENIED_STATUS": "403",
        "EXITWAY_AUDIT_NAMESPACES": "dev, try",
        "EXITWAY_FLOWS_DAYS": "7",
        "EXITWAY_FLOWS_MEGABYTES": "4",
        "EXITWAY_KUBECONFIG": "/d",
        "EXITWAY_CONTEXT": "kind",
        "EXITWAY_RESOLVERS": "198.18.0.53, 198.18.0.54:5353",
        "EXITWAY_TRACES": "[::1]:4317",
        "EXITWAY_TRACES_PERCENT": "2.5",
    }
    assert set(environment) == {f"EXITWAY_{field.upper()}" for field in Settings.__slots__}
    resolvers = ("198.18.0.53", "198.18.0.54:5353")
    expected = Settings(
        Path("/a"), Path("/b"), "/c", 2, 403, ("dev", "try"), resolvers, 7, 4, Path("/d"), "kind", "[::1]:4317", "2.5"
    )
    assert Settings.from_environment(environment) == expected
    assert expected.collector == Traces("::1", 4317, 25)


@pytest.mark.parametrize(
    ("place", "percent"),
    [("4317", ""), ("a:b", ""), ("a:0", ""), ("a:4317", "0"), ("a:4317", "100.1"), ("a:1", "1e2"), ("a:٤", "")],
)
def test_a_collector_that_is_none_is_a_problem(place, percent):
    with pytest.raises(Problems, match="EXW0906 no spans"):
        Settings.from_environment({"EXITWAY_TRACES": place, "EXITWAY_TRACES_PERCENT": percent})


def test_an_empty_variable_is_an_absent_one():
    assert Settings.from_environment({"EXITWAY_CONCURRENCY": "", "EXITWAY_STATE_DIR": ""}) == Settings.from_environment(
        {}
    )


@pytest.mark.parametrize("name", ["EXITWAY_CONCURRENCY", "EXITWAY_DENIED_STATUS"])
@pytest.mark.parametrize("text", ["x", "-1", "4.0", "1e2", "99999", "٤٠٤", "9" * 5000])
def test_a_malformed_number_is_a_problem(name, text):
    with pytest.raises(Problems, match=f"EXW0906 {name} is"):
        Settings.from_environment({name: text})


def test_a_denial_is_never_a_success():
    with pytest.raises(Problems, match="400 to 599"):
        Settings.from_environment({"EXITWAY_DENIED_STATUS": "200"})
