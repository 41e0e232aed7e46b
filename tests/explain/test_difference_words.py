"""Differences as they are told: one row for each sort of them."""

from datetime import UTC, datetime, timedelta
from string import ascii_lowercase, digits

import pytest

from exitway.explain.differences.labels import TooManyClasses
from exitway.explain.differences.merge import differences
from exitway.explain.differences.port import changed_ports
from exitway.explain.differences.report import (
    Locate,
    destination_text,
    example_text,
    summary,
    text,
    ways_text,
    who_text,
)
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.intent import Action
from tests.explain.test_difference import registry
from tests.intents import intent

NOW = datetime(2027, 1, 1, tzinfo=UTC)
SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=2)
DENY = Action.DENY

A = intent("a", "a.example", "443/TLS")
GET = intent("get", "a.example", "80/HTTP", methods="GET")
LETTERS = ascii_lowercase + digits
TAKEN = intent("taken", "a.example", "80/HTTP", paths=" ".join(["/p/", *(f"/p/{letter}*" for letter in LETTERS)]))
KNOWN = "GET POST PUT DELETE PATCH HEAD OPTIONS TRACE PROPFIND"

CASES = {
    "a name": ([], [A], ["opens shop -> TLS a.example:443"]),
    "two ports": ([A], [], ["closes shop -> TLS a.example:443"]),
    "another protocol": (
        [A],
        [intent("a", "a.example", "443/TCP")],
        ["opens shop -> TCP a.example:443"],  # TLS goes out as before
    ),
    "a pattern round a name that stays": ([A], [A, intent("b", "*.example", "443/TLS")], ["opens shop -> TLS *.example:443 but not a.example"]),
    "a DENY within": (
        [intent("b", "*.example", "443/TLS")],
        [intent("b", "*.example", "443/TLS"), intent("no", "*.bad.example", "443/TLS", action=DENY)],
        ["closes shop -> TLS *.bad.example:443"],
    ),
    "a DENY where nothing is allowed": ([A], [A, intent("no", "b.example", "443/TLS", action=DENY)], []),
    "a narrower network": (
        [intent("n", "10.0.0.0/8", "5432/TCP")],
        [intent("n", "10.0.0.0/9", "5432/TCP")],
        ["closes shop -> TCP 10.0.0.0/8:5432 but not 10.0.0.0/9"],
    ),
    "networks that fill another": (
        [intent("n", "10.0.0.0/8", "5432/TCP")],
        [intent("n", "10.0.0.0/9 10.128.0.0/9", "5432/TCP")],
        [],
    ),
    "methods": ([GET], [intent("get", "a.example", "80/HTTP", methods="GET POST")], ["opens shop -> HTTP a.example:80 POST"]),
    "all methods": ([GET], [intent("get", "a.example", "80/HTTP")], ["opens shop -> HTTP a.example:80 all methods but GET"]),
    "a prefix of which narrower ones leave little": (
        [TAKEN],
        [TAKEN, intent("wide", "a.example", "80/HTTP", paths="/p/*")],
        [f"opens shop -> HTTP a.example:80 /p/* but /p/, /p/0*, /p/1*, /p/2*, /p/3* and {len(LETTERS) - 4} more"],
    ),
    "all methods, of which all that are known are named": (
        [intent("known", "a.example", "80/HTTP", methods=f"{KNOWN} OTHER")],
        [intent("all", "a.example", "80/HTTP")],
        [f"opens shop -> HTTP a.example:80 all methods but {','.join(sorted([*KNOWN.split(), 'OTHER']))}"],
    ),
    "a path": (
        [intent("p", "a.example", "80/HTTP", paths="/v1/*")],
        [intent("p", "a.example", "80/HTTP", paths="/*"), intent("no", "a.example", "80/HTTP", paths="/v1/admin/*", action=DENY)],
        ["opens shop -> HTTP a.example:80 all plain paths but /v1/*", "closes shop -> HTTP a.example:80 /v1/admin/*"],
    ),
    "all paths": (
        [intent("p", "a.example", "80/HTTP", paths="/v1/*")],
        [intent("p", "a.example", "80/HTTP")],
        ["opens shop -> HTTP a.example:80 all paths but /v1/*"],
    ),
    "TLS by the proxy": (
        [intent("o", "a.example", "443/HTTP")],
        [intent("o", "a.example", "443/https")],
        ["differs shop -> HTTP a.example:443: over TLS by the proxy, no longer through the proxy"],
    ),
    "direct": (
        [intent("d", "a.example", "443/TCP")],
        [intent("d", "a.example", "443/TCP", direct=True)],
        ["differs shop -> TCP a.example:443: direct, no longer through the proxy"],
    ),
    "a label": (
        [intent("a", "a.example", "443/TLS", labels=[("app", "x")])],
        [intent("a", "a.example", "443/TLS", labels=[("app", "y")])],
        ["opens shop, app=y -> TLS a.example:443", "closes shop, app=x -> TLS a.example:443"],
    ),
    "a label less": (
        [intent("a", "a.example", "443/TLS", labels=[("app", "x")]), intent("b", "a.example", "443/TLS", labels=[("app", "y")])],
        [A],
        ["opens shop, app notin (x,y) -> TLS a.example:443"],
    ),
    "an expiry": (
        [intent("a", "a.example", "443/TLS", expires=SOON)],
        [intent("a", "a.example", "443/TLS", expires=LATER)],
        ["opens shop, from 2027-01-02T00:00:00Z, until 2027-01-03T00:00:00Z -> TLS a.example:443"],
    ),
    "what has expired": ([intent("a", "a.example", "443/TLS", expires=NOW)], [], []),
    "every namespace": (
        [intent("own", "a.example", "443/TLS", namespace="blog")],
        [intent("own", "a.example", "443/TLS", namespace="blog"), intent("s", "a.example", "443/TLS", namespace=SYSTEM_NAMESPACE)],
        ["opens every namespace but blog -> TLS a.example:443"],
    ),
    "what was denied, whatever is spoken": (
        [intent("no", "10.0.0.0/8", "80/TCP", action=DENY), intent("web", "*.example", "80/HTTP")],
        [intent("web", "*.example", "80/HTTP")],
        ["opens shop -> HTTP 10.0.0.0/8:80, in requests to other names that rules let requests go to"],
    ),
    "an order, a name, one rule of two": (
        [intent("one", "a.example b.example", "443/TLS 80/HTTP")],
        [intent("two", "b.example a.example", "80/HTTP"), intent("three", "b.example a.example", "443/TLS")],
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "told"), CASES.values(), ids=CASES)
def test_a_difference_is_told(before, after, told):
    found = differences(registry(before), registry(after), NOW)
    said = [f"{one.change} {who_text(one.who)} -> {destination_text(one.destination)}" for one in found]
    said = [text + (ways_text(one) if one.change == "differs" else "") for text, one in zip(said, found, strict=True)]
    assert said == told


def test_an_example_says_what_could_not_be_guessed():
    (one,) = differences(
        registry([GET]), registry([intent("get", "a.example", "80/HTTP", methods="GET", paths="/*")]), NOW
    )
    assert example_text(one.witness) == "GET http://a.example//"
    both = [
        intent("b", "a.example", "80/HTTP", paths="/b"),
        intent("a", "a.example", "80/HTTP", methods="GET", paths="/a"),
    ]
    (other, _) = differences(registry(both), registry(both[:1]), NOW)
    assert destination_text(other.destination) == "HTTP a.example:80 methods in doubt /b"
    assert example_text(other.witness) == "GET http://a.example/b with X-HTTP-Method-Override"


def test_nothing_is_said_in_a_sentence():
    nowhere = Locate(lambda _: "", lambda _: "")
    assert list(text([], nowhere)) == [summary([])] == ["No difference in meaning."]


def test_of_names_of_which_the_same_rules_speak_two_stand_for_all():
    names = intent("names", " ".join(f"h{number}.example" for number in range(300)), "80/HTTP")
    other = intent("other", "*.test", "80/HTTP", methods="GET")
    deny = intent("no", "192.0.2.0/24", "80/TCP", action=DENY)
    (port,) = changed_ports([names, other], [names, other, deny])
    assert [str(host) for host, _ in port.fronts] == ["h0.example", "h1.example", "*.test"]


def test_more_classes_than_can_be_compared_are_said():
    labels = [intent(f"r{n}", "a.example", "443/TLS", labels=[(f"l{n}", "x")]) for n in range(14)]
    with pytest.raises(TooManyClasses):
        differences(registry([]), registry(labels), NOW)
