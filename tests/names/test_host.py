"""The algebra of host patterns."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exitway.names.host import Host, is_label, patterns

# Few letters, so that patterns and names meet.
texts = st.text("ab.-", min_size=1, max_size=6)
hosts = st.builds(Host, texts) | st.builds(Host, st.text("ab.-", max_size=5), st.just(value=True))
names = st.text("ab.-", min_size=1, max_size=8)


def some_names_of(pattern: Host) -> list[str]:
    """Enough names to tell a pattern from any other over this alphabet: what stands for the ``*`` begins, or not, with what another wants there."""
    return [x + pattern.suffix for x in ("a", "b", ".", "-", "aa", "z")] if pattern.wildcard else [pattern.suffix]


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a.example", ["a.example"], ["x.a.example", "xa.example", "a.example.org", ""]),
        ("A.Example", ["a.example"], ["x.a.example"]),
        ("*.a.example", ["x.a.example", "x.y.a.example"], ["a.example", ".a.example", "xa.example"]),
        ("*-b.a.example", ["x-b.a.example"], ["-b.a.example", "b.a.example"]),
        ("*a.example", ["xa.example", "x.a.example"], ["a.example"]),
        ("*", ["anything", "10.0.0.1"], [""]),
    ],
)
def test_a_pattern_matches_what_its_table_says(pattern, matching, others):
    host = Host.parse(pattern)
    assert [name for name in [*matching, *others] if host.matches(name)] == matching
    assert str(host) == pattern.lower()


@given(hosts, names)
def test_a_wider_pattern_matches_every_name_of_a_narrower_one(one, name):
    for other in (Host(name), Host(name[1:], wildcard=True)):
        if one.covers(other):
            assert all(one.matches(each) for each in some_names_of(other))


@given(hosts, hosts)
@example(Host("", wildcard=True), Host("a"))
@example(Host(".a", wildcard=True), Host("a", wildcard=True))
def test_covers_says_exactly_that_no_name_of_the_other_is_missed(one, other):
    assert one.covers(other) == all(one.matches(name) for name in some_names_of(other))


@given(hosts, hosts, hosts)
def test_covers_is_an_order(one, other, third):
    assert one.covers(one)
    if one.covers(other) and other.covers(one):
        assert one == other
    if one.covers(other) and other.covers(third):
        assert one.covers(third)


@given(hosts, hosts, names)
def test_of_two_patterns_that_match_a_name_one_covers_the_other_and_the_narrower_is_more_specific(one, other, name):
    if one.matches(name) and other.matches(name) and one != other:
        assert one.covers(other) != other.covers(one)
        narrower, wider = (one, other) if other.covers(one) else (other, one)
        assert wider.wildcard
        assert not narrower.wildcard or len(narrower.suffix) > len(wider.suffix)


@given(hosts, names)
def test_the_patterns_of_a_name_are_those_that_match_it(host, name):
    assert host.matches(name) == (host in patterns(name))


@given(hosts)
def test_a_pattern_reads_as_it_is_written(host):
    assert Host.parse(str(host)) == host


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("a", True),
        ("A-1", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("", False),
        ("-a", False),
        ("a-", False),
        ("a_b", False),
        ("\u212a", False),
        ("\u017f", False),
        ("\u0661", False),
        ("a\n", False),
    ],
)
def test_a_label_is_ascii_letters_digits_and_inner_hyphens(text, good):
    assert is_label(text) == good


@pytest.mark.parametrize(
    ("text", "address"), [("10.0.0.1", True), ("::1", True), ("*.0.0.1", False), ("127.1", False), ("a.b", False)]
)
def test_only_a_whole_literal_is_an_address(text, address):
    assert Host.parse(text).is_address == address
