"""No object, however it is nested, keeps us from reading what stands beside it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitway.kube.shallow import MOST_LEVELS, read

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(VALUES)
def test_what_is_not_deep_is_read_as_it_is(value):
    assert read(json.dumps(value).encode()) == value


@given(VALUES, st.sampled_from([("[", "]"), ('{"a":', "}")]), st.sampled_from([MOST_LEVELS * 10, 10_000]))
def test_what_is_too_deep_is_null_and_the_rest_is_there(value, brackets, levels):
    opened, closed = brackets
    deep = opened * levels + json.dumps(value) + closed * levels
    beside = json.dumps(value, ensure_ascii=False)
    found = read(f'{{"before": {beside}, "deep": {deep}, "]\\\\\\"[": {beside}}}'.encode())
    assert list(found) == ["before", "deep", ']\\"[']
    assert found["before"] == found[']\\"['] == value
    inner = found["deep"]
    for _ in range(MOST_LEVELS - 1):
        (inner,) = inner if isinstance(inner, list) else inner.values()
    assert inner is None


@pytest.mark.parametrize("content", [b"{", b"[" * 5000, b"]" * 5000, b'{"a": }', b'"', b"[" * 5000 + b'"', b"\xff"])
def test_what_is_no_json_is_refused(content):
    with pytest.raises(ValueError):
        read(content)
