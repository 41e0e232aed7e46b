"""Which hosts have a name in common."""

from hypothesis import given
from hypothesis import strategies as st

from exitway.names.host import Host
from exitway.resources.overlap import Overlapping

HOSTS = st.from_regex(r"\A\*?[.-]?[ab](\.?[ab]){0,4}\Z|\A\*\Z").map(Host.parse)


@given(st.lists(HOSTS, max_size=20), HOSTS)
def test_those_are_found_of_which_one_covers_the_other(hosts, host):
    found = list(Overlapping(dict.fromkeys(hosts)).of(host))
    assert len(found) == len(set(found))
    assert set(found) == {one for one in hosts if host.covers(one) or one.covers(host)}
