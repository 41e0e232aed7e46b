"""A difference in meaning is never missed, and none is reported that is not there: as ``decide`` sees it."""

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st

from exitway.explain.differences.difference import Change, Dialled
from exitway.explain.differences.merge import differences
from exitway.explain.differences.parts import narrowest_first
from exitway.explain.differences.side import Side, change
from exitway.names.call import Call, Sort
from exitway.names.host import LOCAL_HOST, Host
from exitway.names.request import is_plain, is_upper_case, path_matches
from exitway.names.workload import SYSTEM_NAMESPACE, Workload
from exitway.resources.intent import Action
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource
from tests.intents import intent

NOW = datetime(2027, 1, 1, tzinfo=UTC)
LATER = [NOW + timedelta(days=day) for day in (-1, 1, 2)]


def registry(intents):
    return Registry().changed(
        (Resource(one.key, "exitway.dev/v1", "EgressRule", {"metadata": {}}, (one,)) for one in intents), revision=1
    )


HOSTS = ["a", "b", "b.a", "x-b.a", "*.a", "*a", "*", "*-b.a", LOCAL_HOST, "198.18.5.7"]
NETWORKS = ["198.18.0.0/15", "198.18.5.0/24", "198.18.5.7/32", "2001:db8::/32", "0.0.0.0/0", "::/0"]
METHODS = ["GET", "POST"]
PATHS = ["/", "/a", "/a*", "/a/*", "/*", "/a@b*", "/a%40*"]
LABELS = [(), (), (("app", "a"),), (("app", "b"),), (("tier", "a"),), (("app", "a"), ("tier", "b"))]
NOTHING = replace(intent("denies-everything", "a", "80/TCP", action=Action.DENY), to=())


def some(choice, least=0):
    return st.lists(st.sampled_from(choice), min_size=least, max_size=2, unique=True).map(" ".join)


@st.composite
def rules(draw, most=4):
    """Rules that speak of few destinations, so that they meet."""
    made = []
    for number in range(draw(st.integers(0, most))):
        kind = draw(st.sampled_from(["HTTP", "GRPC", "https", "TLS", "TCP", "network"]))
        port = f"{draw(st.sampled_from([80, 80, 80, 443]))}/{kind.replace('network', 'TCP')}"
        to = draw(some(NETWORKS if kind == "network" else HOSTS, 1))
        action = draw(st.sampled_from([Action.ALLOW, Action.ALLOW, Action.DENY]))
        requests = {"methods": draw(some(METHODS)), "paths": draw(some(PATHS))} if kind in ("HTTP", "GRPC") else {}
        direct = (
            kind != "https"
            and action is Action.ALLOW
            and "*" not in to
            and not any(requests.values())
            and draw(st.booleans())
        )
        one = intent(
            f"r{number}",
            to,
            port,
            action=action,
            namespace=draw(st.sampled_from(["shop", "shop", SYSTEM_NAMESPACE])),
            labels=draw(st.sampled_from(LABELS)),
            expires=draw(st.sampled_from([None, None, None, *LATER])),
            direct=direct,
            **requests,
        )
        made.append(one if draw(st.integers(0, 30)) else replace(NOTHING, key=one.key, selector=one.selector))
    return made


@st.composite
def pairs(draw):
    """Rules, and what a change has made of them."""
    before = draw(rules())
    kept = [one for one in before if draw(st.booleans())]
    return before, kept + [replace(one, key=replace(one.key, name=f"new-{one.key.name}")) for one in draw(rules(2))]


NAMED = ["a", "b", "b.a", "x-b.a", "-b.a", "ba", "c.a", "c", LOCAL_HOST, "198.18.5.7"]
DIALLED = ["198.18.5.7", "198.18.5.8", "198.19.0.1", "198.51.100.1", "2001:db8::5", "2002::1", "240.240.3.4"]
TARGETS = ["/", "/a", "/ab", "/a/b", "/a@bc", "/a%40c", "/b", "//", "/a/..", "/a?b", "*"]
WHO = list(itertools.product(["shop", "blog", SYSTEM_NAMESPACE], "abc", "abc"))
MOMENTS = [NOW, *LATER[1:], NOW + timedelta(hours=1), NOW + timedelta(days=9)]


def tries(chance, count):
    """What programs do: they dial a name or an address, and say the same name or another one."""
    for _ in range(count):
        namespace, app, tier = chance.choice(WHO)
        workload = Workload(namespace, "w", {"app": app, "tier": tier} if chance.random() < 0.8 else {"tier": tier})
        sort = chance.choice([Sort.HTTP, Sort.HTTP, Sort.TLS, Sort.TCP])
        name = "" if sort is Sort.TCP else chance.choice(NAMED)
        asked = chance.choice([name, name, chance.choice(NAMED), ""])
        address = "" if asked else chance.choice(DIALLED)
        if asked == "198.18.5.7":  # nobody asks for that
            asked, address = "", asked
        call = Call(sort, chance.choice([80, 80, 80, 443]), name, address, asked)
        if sort is Sort.HTTP:
            method = chance.choice(["GET", "POST", "PUT", "get"])
            call = replace(call, method=method, path=chance.choice(TARGETS), overridden=chance.random() < 0.2)
        yield workload, chance.choice(MOMENTS), call


@given(pairs(), st.integers(0, 2**32).map(random.Random))
@settings(max_examples=60)
def test_what_is_decided_otherwise_is_reported(pair, chance):
    before, after = map(registry, pair)
    found = differences(before, after, NOW)
    one, other = Side(before), Side(after)
    for workload, at, call in tries(chance, 1000):
        what = change(one.seen(workload, at, call), other.seen(workload, at, call))
        if what:
            assert any(says(difference, what) and covers(difference, workload, at, call) for difference in found), what


@given(pairs())
@settings(max_examples=60)
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
@settings(max_examples=40)
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
    itself = was_dialled(to, call)
    if to.sort is Sort.TCP or to.dialled is Dialled.FRONT:
        return itself and (to.sort is Sort.TCP or call.sort is Sort.HTTP)
    if to.dialled is Dialled.ITSELF and not itself:
        return False
    if call.sort is not to.sort or not within(to, lambda host: isinstance(host, Host) and host.matches(call.name)):
        return False
    return call.sort is Sort.TLS or (of_methods(to.methods, call) and of_paths(to.paths, call.path))


def was_dialled(to, call):
    if call.asked:
        return within(to, lambda host: isinstance(host, Host) and host.matches(call.asked))
    address = ip_address(call.address)
    return within(to, lambda one: one == Host(call.address) if isinstance(one, Host) else address in one)


def within(to, holds):
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
