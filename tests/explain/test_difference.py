"""A difference in meaning is never missed, and none is reported that is not there: as ``decide`` sees it."""

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st

from exitway.explain.difference import Change, Dialled
from exitway.explain.difference_merge import differences
from exitway.explain.difference_parts import narrowest_first
from exitway.explain.difference_side import Side, change
from exitway.names.call import Call, Sort
from exitway.names.host import LOCAL_HOST, Host
from exitway.names.request import is_plain, is_upper_case, path_matches
from exitway.names.workload import SYSTEM_NAMESPACE, Workload
from exitway.resources.intent import Action
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource
from tests.intents import LABELS, intents

NOW = datetime(2027, 1, 1, tzinfo=UTC)
LATER = [NOW + timedelta(days=day) for day in (-1, 1, 2)]


def registry(intents):
    return Registry().changed(
        (Resource(one.key, "exitway.dev/v1", "EgressRule", {"metadata": {}}, (one,)) for one in intents), revision=1
    )


@st.composite
def rules(draw):
    """Generated intents, with namespaces, selectors, expiries, and some that are direct."""
    made = []
    for number, one in enumerate(draw(intents())):
        namespace = draw(st.sampled_from(["shop", "shop", "blog", SYSTEM_NAMESPACE]))
        labels = draw(
            st.sampled_from([(), (), (("app", "a"),), (("app", "b"),), (("tier", "a"),), (("app", "a"), ("tier", "b"))])
        )
        (target,) = one.to
        plain = not target.methods and not target.paths and not any(host.wildcard for host in target.hosts)
        if plain and one.action is Action.ALLOW and draw(st.booleans()):
            target = replace(
                target, direct=True, ports=tuple(replace(port, originate_tls=False) for port in target.ports)
            )
        made.append(
            replace(
                one,
                key=replace(one.key, namespace=namespace, name=f"r{number}"),
                to=(target,) if draw(st.integers(0, 40)) else (),
                selector=replace(one.selector, match_labels=labels),
                expires=draw(st.sampled_from([None, None, None, *LATER])),
            )
        )
        if not made[-1].to:
            made[-1] = replace(made[-1], action=Action.DENY)
    return made


@st.composite
def pairs(draw):
    """Rules, and what a change has made of them."""
    before = draw(rules())
    kept = [one for one in before if draw(st.booleans())]
    names = {(one.key.namespace, one.key.name) for one in kept}
    return before, kept + [one for one in draw(rules()) if (one.key.namespace, one.key.name) not in names]


NAMED = [".".join(labels) for count in (1, 2) for labels in itertools.product(LABELS, repeat=count)] + [LOCAL_HOST]
DIALLED = ["198.18.5.7", "198.18.5.8", "198.19.0.1", "198.51.100.1", "2001:db8::5", "2001:db8::6", "240.240.3.4"]
TARGETS = ["/", "/a", "/ab", "/A", "/a/ab", "/a@b/x", "/a%40b", "/ab/%C3%A9", "//", "/a/..", "/a;b", "/a?b", "*"]
WHO = list(itertools.product(["shop", "blog", "elsewhere", SYSTEM_NAMESPACE], "abc", "abc"))
MOMENTS = [NOW, *LATER[1:], NOW + timedelta(hours=1), NOW + timedelta(days=9)]


def tries(chance, count):
    """What programs do: they dial a name or an address, and say the same name or another one."""
    for _ in range(count):
        namespace, app, tier = chance.choice(WHO)
        workload = Workload(namespace, "w", {"app": app, "tier": tier} if chance.random() < 0.8 else {"tier": tier})
        sort = chance.choice([Sort.HTTP, Sort.HTTP, Sort.TLS, Sort.TCP])
        name = "" if sort is Sort.TCP else chance.choice(NAMED)
        asked = chance.choice([name, name, name, chance.choice(NAMED), ""])
        call = Call(sort, chance.choice([80, 443, 8080]), name, "" if asked else chance.choice(DIALLED), asked)
        if sort is Sort.HTTP:
            method = chance.choice(["GET", "POST", "DELETE", "HEAD", "get"])
            call = replace(call, method=method, path=chance.choice(TARGETS), overridden=chance.random() < 0.2)
        yield workload, chance.choice(MOMENTS), call


@given(pairs(), st.integers(0, 2**32).map(random.Random))
@settings(max_examples=100)
def test_what_is_decided_otherwise_is_reported(pair, chance):
    before, after = map(registry, pair)
    found = differences(before, after, NOW)
    one, other = Side(before), Side(after)
    for workload, at, call in tries(chance, 300):
        what = change(one.seen(workload, at, call), other.seen(workload, at, call))
        if what:
            assert any(says(difference, what) and covers(difference, workload, at, call) for difference in found), what


@given(pairs())
@settings(max_examples=100)
def test_each_difference_has_a_call_that_shows_it(pair):
    before, after = map(registry, pair)
    one, other = Side(before), Side(after)
    for difference in differences(before, after, NOW):
        witness = difference.witness
        seen = [side.seen(witness.workload, witness.at, witness.call) for side in (one, other)]
        assert seen == [witness.before, witness.after]
        assert change(*seen) is difference.change
        assert covers(difference, witness.workload, witness.at, witness.call)


@given(rules())
def test_rules_do_not_differ_from_themselves_under_other_names(some):
    renamed = [replace(one, key=replace(one.key, name=f"{one.key.name}-again")) for one in some[::-1]]
    assert differences(registry(some), registry(renamed), NOW) == []


def says(difference, what):
    """Whether it tells of that. What opens or closes for all that is spoken tells, too, that requests no longer go as they went."""
    return difference.change is what or (what is Change.DIFFERS and difference.destination.sort is Sort.TCP)


def covers(difference, workload, at, call):
    who, to = difference.who, difference.destination
    if (workload.namespace in who.namespaces) == who.others or not all(
        limit.holds(workload.labels) for limit in who.labels
    ):
        return False
    if (who.begins and at < who.begins) or (who.ends and at >= who.ends) or to.port != call.port:
        return False
    dialled = call.asked or call.address
    if to.sort is Sort.TCP or to.dialled is Dialled.FRONT:
        return within(to, dialled) and (to.sort is Sort.TCP or call.sort is Sort.HTTP)
    itself = dialled == call.name
    if (
        call.sort is not to.sort
        or not within(to, call.name)
        or {Dialled.ITSELF: not itself, Dialled.ELSEWHERE: itself}.get(to.dialled)
    ):
        return False
    return call.sort is Sort.TLS or (of_methods(to.methods, call) and of_paths(to.paths, call.path))


def within(to, text):
    try:
        address = ip_address(text)
    except ValueError:
        address = None

    def holds(one):
        if isinstance(one, Host):
            return one.matches(text)
        return address is not None and address.version == one.version and address in one

    return holds(to.to) and not any(map(holds, to.but))


def of_methods(methods, call):
    if call.overridden or not is_upper_case(call.method):
        return methods.doubtful
    return (call.method in methods.named) != methods.others


def of_paths(paths, path):
    if not is_plain(path):
        return paths.doubtful
    if not paths.these:
        return True
    narrowest = next(
        (one for one in sorted([*paths.these, *paths.but], key=narrowest_first) if path_matches(one, path)), None
    )
    return narrowest in paths.these
