"""Files as people and machines really write them, and as nobody should."""

import gc
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitway.resources import document, node
from exitway.resources.document import read_documents
from exitway.resources.problem import Problems

RULE = """\
# a rule
apiVersion: config.istio.io/v1alpha2
kind: EgressRule
metadata:
  name: httpbin
  labels: {example.com/team: "blue", version: "1.10"}
spec:
  destination:
    service: httpbin.org
  ports:
    - port: 80
      protocol: http
    - {port: 443, protocol: https}
"""


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(Problems) as raised:
        read_documents(text.encode() if isinstance(text, str) else text, "f")
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("apiVersion", "f:2:13"),
        ("metadata", "f:4:1"),
        ("metadata.name", "f:5:9"),
        ("metadata.labels[example.com/team]", "f:6:30"),
        ("spec.destination.service", "f:9:14"),
        ("spec.ports", "f:10:3"),
        ("spec.ports[0]", "f:11:7"),
        ("spec.ports[0].port", "f:11:13"),
        ("spec.ports[1].protocol", "f:13:29"),
        ("spec.ports[1].name", "f:13:7"),
        ("spec.ports[7].port", "f:10:3"),
        ("spec.ports.port", "f:10:3"),
        ("spec.destination.labels.app", "f:8:3"),
        ("status", "f:2:1"),
        ("", "f:2:1"),
        ("]]..[", "f:2:1"),
    ],
)
def test_a_field_has_a_place_and_an_absent_one_that_of_its_nearest_ancestor(field, place):
    (found,) = read_documents(RULE.encode(), "f")
    assert str(found.place(field)) == place


def test_json_is_read_as_the_yaml_it_is():
    wire = read_documents(RULE.encode(), "f")[0].wire
    for text in (json.dumps(wire), json.dumps(wire, indent="\t"), "\ufeff" + json.dumps(wire)):
        (found,) = read_documents(text.encode(), "f")
        assert found.wire == wire
    assert str(found.place("spec.destination.service")).startswith("f:1:")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:22", "22:22"),
        ("190:20:30", "190:20:30"),
        *(
            (word, word)
            for word in (
                "no",
                "No",
                "yes",
                "on",
                "OFF",
                "y",
                "n",
                "2027-01-31",
                "2027-01-31T00:00:00Z",
                "1_000",
                "0b11",
                "+.1e",
                "=",
            )
        ),
        ('"80"', "80"),
        ("'true'", "true"),
        ("|\n  80\n", "80\n"),
        ("80", 80),
        ("-7", -7),
        ("0x50", 80),
        ("0o17", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("a b  c", "a b  c"),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    (found,) = read_documents(f"a: {text}\n".encode(), "f")
    assert found.wire == {"a": value}
    assert type(found.wire["a"]) is type(value)


def test_several_documents_and_lists_are_read_one_by_one():
    listed = {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {"resourceVersion": ""},
        "items": [{"kind": "A"}, {"kind": "AList", "items": [{"b": 1}]}],
    }
    text = f"---\n# nothing\n---\nkind: C\n...\n---\n{json.dumps(listed)}\n---\n"
    found = read_documents(text.encode(), "f")
    assert [each.wire for each in found] == [{"kind": "C"}, {"kind": "A"}, {"b": 1}]
    assert [str(each.place("kind")) for each in found][:2] == ["f:4:7", "f:7:94"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["f:1:1: EXW0004 there is nothing in it"]),
        ("# only talk\n---\n", ["f:1:1: EXW0004 there is nothing in it"]),
        (b"\xef\xbb\xbf", ["f:1:1: EXW0004 there is nothing in it"]),
        ("kind: List\nitems: []\n", ["f:1:1: EXW0004 there is nothing in it"]),
        ("a: 1\nb: 2\na: 3\n", ['f:3:1: EXW0006 duplicate key "a", already given in line 1']),
        ('{"a": {"b": 1, "b": 2}}', ['f:1:16: EXW0006 duplicate key "b", already given in line 1']),
        ("a: 1\n'a': 2\n", ['f:2:1: EXW0006 duplicate key "a", already given in line 1']),
        ("a:\n  80: x\n", ["f:2:3: EXW0007 a key must be a string, not a whole number"]),
        ("true: x\n", ["f:1:1: EXW0007 a key must be a string, not true or false"]),
        ("? \n: x\n", ["f:1:2: EXW0007 a key must be a string, not empty"]),
        ("? [a, b]\n: x\n", ["f:1:3: EXW0007 a key must be a string, not a list"]),
        ("a: &x 1\nb: 2\n", ['f:1:4: EXW0008 the anchor "x" is not allowed']),
        ("a: 1\nb: *x\n", ['f:2:4: EXW0008 the alias "x" is not allowed']),
        ("a:\n  <<: {b: 1}\n", ['f:2:3: EXW0008 the merge key "<<" is not allowed']),
        (
            "a: !!python/object:os.system x\n",
            ['f:1:4: EXW0009 the tag "tag:yaml.org,2002:python/object:os.system" is not allowed'],
        ),
        ("a: ! x\n", ['f:1:4: EXW0009 the tag "!" is not allowed']),
        ("a: 0100\n", ["f:1:4: EXW0011 0100 begins with 0: some read it as octal, others as decimal"]),
        ("a: .inf\n", ["f:1:4: EXW0011 .inf is not a finite number"]),
        ("a: .NaN\n", ["f:1:4: EXW0011 .NaN is not a finite number"]),
        ("a: 1e999\n", ["f:1:4: EXW0011 1e999 is not a finite number"]),
        ("a: 9223372036854775808\n", ["f:1:4: EXW0011 9223372036854775808 is out of range for a number"]),
        ("- a\n", ["f:1:1: EXW0005 a document must be a mapping, not a list"]),
        ("just words\n", ["f:1:1: EXW0005 a document must be a mapping, not a string"]),
        ("a: 1\n---\n7\n", ["f:3:1: EXW0005 a document must be a mapping, not a whole number"]),
        ("kind: List\nitems: [1]\n", ["f:2:9: EXW0005 a document must be a mapping, not a whole number"]),
        ("kind: List\n", ["f:1:1: EXW0013 a List must have a list of items"]),
        ("kind: List\nitems: {}\n", ["f:2:1: EXW0013 a List must have a list of items"]),
        ("kind: List\nitem: x\nitems: []\n", ['f:2:7: EXW0013 unknown field "item" of a List']),
        (b"a: 1\nb: \xff\xfe\n", ["f:2:4: EXW0002 not text: invalid UTF-8"]),
        ("a: 1\nb: ä\x00\n", ["f:2:5: EXW0002 not text: character U+0000"]),
        ("a: \x1b[31m\n", ["f:1:4: EXW0002 not text: character U+001B"]),
        ("a: 1".encode("utf-16"), ["f:1:1: EXW0002 not UTF-8 but UTF-16 text"]),
        (b"\x7fELF\x02\x01", ["f:1:1: EXW0002 not text: character U+007F"]),
        ("a: b: c\n", ["f:1:5: EXW0001 not valid YAML: mapping values are not allowed in this context"]),
        (
            "a: [1, 2\n",
            ["f:2:1: EXW0001 not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence)"],
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, found):
    assert problems(text) == found


def test_all_problems_are_said_at_once():
    text = "a: &x 1\na: *x\n7: !t 010\nb: [\n"
    assert [problem.split()[1] for problem in problems(text)] == [
        "EXW0008",
        "EXW0006",
        "EXW0008",
        "EXW0007",
        "EXW0009",
        "EXW0011",
        "EXW0001",
    ]


def test_a_tab_gets_a_hint():
    with pytest.raises(Problems) as raised:
        read_documents(b"a:\n\tb: 1\n", "f")
    assert [problem.hint for problem in raised.value.problems] == ["indent with spaces, not with tabs"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: ", "a:\n"])
def test_deep_nesting_is_refused_where_it_becomes_too_deep(opening):
    text = "".join(" " * level + opening for level in range(1000)) if opening == "a:\n" else opening * 500000
    assert "EXW0010 nested more than 64 levels deep" in problems(text[: document.MAX_BYTES])[-1]


def test_as_deep_as_allowed_is_read():
    assert read_documents(b'{"a":' * node.MAX_DEPTH + b"1" + b"}" * node.MAX_DEPTH, "f")
    assert problems(b'{"a":' * (node.MAX_DEPTH + 1) + b"1" + b"}" * (node.MAX_DEPTH + 1)) == [
        "f:1:317: EXW0010 nested more than 64 levels deep"
    ]


def test_a_bomb_of_aliases_is_not_expanded():
    lines = ["a0: &a0 [lol]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    assert len(problems("\n".join(lines))) == 100


def test_a_large_file_is_refused_before_it_is_read():
    text = b"a: " + b"x" * 10 * 2**20
    tracemalloc.start()
    assert problems(text) == ["f: EXW0003 10.0 MiB is more than the 4 MiB that a file may have"]
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_many_values_are_refused_when_they_become_too_many(monkeypatch):
    monkeypatch.setattr(node, "MAX_VALUES", 1000)
    text = "a: [" + "1," * 1_000_000
    gc.collect()
    tracemalloc.start()
    assert problems(text) == ["f:1:1999: EXW0012 more than 1000 values in one file"]
    assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    tracemalloc.stop()


def only_problems(text: bytes) -> None:
    try:
        found = read_documents(text, "f")
    except Problems as raised:
        assert raised.problems
    else:
        json.dumps([each.wire for each in found], allow_nan=False)
        assert all(each.place("a[0].b").line for each in found)


@given(st.binary(max_size=200))
def test_bytes_give_documents_or_problems(text):
    only_problems(text)


@given(st.text(st.sampled_from("ab01.:-+?,[]{}&*!|>'\"%@`#<~= \t\n\r\u0085\u2028\ufeff\\/eExXnN_"), max_size=60))
def test_text_made_of_indicators_gives_documents_or_problems(text):
    only_problems(text.encode())


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="ascii")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc.-/ ", max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abc.-/ ", max_size=5), json_values, max_size=4))
def test_json_means_to_us_what_it_means_to_everybody(wire):
    (found,) = read_documents(json.dumps(wire).encode(), "f")
    assert found.wire == wire
