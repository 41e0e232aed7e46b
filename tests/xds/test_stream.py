"""A stream as a conversation: ``>>`` is what Envoy says or what is published, ``<<`` what it must be told in reply."""

from dataclasses import dataclass

import pytest

from exitway.envoy.api import CLUSTER, LISTENER, ROUTE_CONFIGURATION
from exitway.envoy.snapshot import Resource, Snapshot
from exitway.xds.stream import DeltaStream, Request

SHORT = {CLUSTER: "cluster", LISTENER: "listener", ROUTE_CONFIGURATION: "route"}
TYPES = {short: type_url for type_url, short in SHORT.items()}


def resource(short, name, version="1"):
    return Resource(TYPES[short], name, {}, b"", version)


def snapshot(*resources):
    return Snapshot.of(resources)


@dataclass
class Publish:
    snapshot: Snapshot


def subscribe(short, *names, held=None, nonce=""):
    return Request(TYPES[short], subscribe=frozenset(names), held=held or {}, nonce=nonce)


class Playbook:
    def __init__(self, stream):
        self.stream = stream
        self.said = []
        self.nonce = {}

    def __rshift__(self, event):
        self.tell(event)
        self.said = []
        while answer := self.stream.next():
            short = SHORT[answer.type_url]
            self.nonce[short] = answer.nonce
            self.said += [f"{short} {changed.name}={changed.version}" for changed in answer.changed]
            self.said += [f"{short} -{name}" for name in answer.removed]
            self.said += [f"{short} (nothing)"] if not (answer.changed or answer.removed) else []
        return self

    def tell(self, event):
        if isinstance(event, Publish):
            self.stream.publish(event.snapshot)
        else:
            self.stream.receive(event)

    def __lshift__(self, expected):
        assert self.said == list(expected)
        return self

    def ack(self, short):
        return Request(TYPES[short], nonce=self.nonce[short])

    def nack(self, short):
        return Request(TYPES[short], nonce=self.nonce[short], error="no good")


NOTHING = ()


def test_a_first_request_without_names_asks_for_everything():
    envoy = Playbook(DeltaStream(snapshot(resource("cluster", "a"), resource("listener", "l"))))
    envoy >> subscribe("cluster") << ["cluster a=1"]
    envoy >> envoy.ack("cluster") << NOTHING


def test_a_starting_proxy_is_answered_even_when_there_is_nothing_for_it():
    envoy = Playbook(DeltaStream(snapshot()))
    envoy >> subscribe("listener") << ["listener (nothing)"]
    envoy >> envoy.ack("listener") << NOTHING


def test_a_reconnecting_proxy_that_has_all_is_told_nothing():
    envoy = Playbook(DeltaStream(snapshot(resource("listener", "l"))))
    envoy >> subscribe("listener", held={"l": "1"}) << NOTHING


def test_routes_are_told_by_name():
    envoy = Playbook(DeltaStream(snapshot(resource("route", "r"), resource("route", "s"))))
    envoy >> subscribe("route", "r") << ["route r=1"]
    envoy >> subscribe("route", "s") << ["route s=1"]
    (
        envoy
        >> Publish(snapshot(resource("route", "r", "2"), resource("route", "s"), resource("route", "t")))
        << ["route r=2"]
    )


def test_an_unchanged_policy_is_not_sent_again():
    envoy = Playbook(DeltaStream(snapshot(resource("listener", "l"))))
    envoy >> subscribe("listener") << ["listener l=1"]
    envoy >> Publish(snapshot(resource("listener", "l"))) << NOTHING


def test_what_is_held_from_an_earlier_stream_is_not_sent_again():
    envoy = Playbook(DeltaStream(snapshot(resource("listener", "kept"), resource("listener", "changed", "2"))))
    (
        envoy
        >> subscribe("listener", held={"kept": "1", "changed": "1", "gone": "1"})
        << ["listener changed=2", "listener -gone"]
    )


def test_what_is_new_goes_before_what_refers_to_it_and_what_vanishes_goes_after():
    envoy = Playbook(DeltaStream(snapshot(resource("cluster", "old"), resource("listener", "old"))))
    envoy >> subscribe("cluster") << ["cluster old=1"]
    envoy >> subscribe("listener") << ["listener old=1"]
    new = snapshot(resource("cluster", "new"), resource("listener", "new"))
    envoy >> Publish(new) << ["cluster new=1", "listener new=1", "listener -old", "cluster -old"]


def test_a_route_that_does_not_exist_is_answered_as_removed_so_that_envoy_does_not_wait():
    envoy = Playbook(DeltaStream(snapshot()))
    envoy >> subscribe("route", "nowhere") << ["route -nowhere"]


def test_a_name_that_was_unsubscribed_is_sent_afresh_when_it_is_wanted_again():
    envoy = Playbook(DeltaStream(snapshot(resource("route", "r"))))
    envoy >> subscribe("route", "r") << ["route r=1"]
    envoy >> Request(ROUTE_CONFIGURATION, unsubscribe=frozenset({"r"})) << NOTHING
    envoy >> subscribe("route", "r") << ["route r=1"]


def test_a_refused_version_is_not_sent_in_a_loop_but_any_other_is():
    envoy = Playbook(DeltaStream(snapshot(resource("listener", "l"))))
    envoy >> subscribe("listener") << ["listener l=1"]
    envoy >> Publish(snapshot(resource("listener", "l", "bad"))) << ["listener l=bad"]
    envoy >> envoy.nack("listener") << NOTHING
    assert list(envoy.stream.errors.values()) == ["no good"]
    envoy >> Publish(snapshot(resource("listener", "l", "bad"))) << NOTHING
    envoy >> Publish(snapshot(resource("listener", "l"))) << ["listener l=1"]
    envoy >> envoy.ack("listener") << NOTHING
    assert not envoy.stream.errors


@pytest.mark.parametrize("short", ["listener", "route"])
def test_a_stream_is_in_step_once_all_is_asked_for_sent_and_answered(short):
    other = "route" if short == "listener" else "listener"
    envoy = Playbook(DeltaStream(snapshot(resource("listener", "l"), resource("route", "r"))))
    assert not envoy.stream.in_step
    envoy >> subscribe(short, *(["r"] if short == "route" else []))
    envoy >> envoy.ack(short)
    assert not envoy.stream.in_step
    envoy >> subscribe(other, *(["r"] if other == "route" else []))
    assert not envoy.stream.in_step
    envoy >> envoy.ack(other)
    assert envoy.stream.in_step


def test_what_was_overtaken_before_it_was_written_is_never_told():
    envoy = Playbook(DeltaStream(snapshot(resource("listener", "l"))))
    envoy >> subscribe("listener") << ["listener l=1"]
    envoy.tell(Publish(snapshot(resource("listener", "l", "2"), resource("listener", "brief"))))
    envoy >> Publish(snapshot(resource("listener", "l", "3"))) << ["listener l=3"]
    envoy.tell(Publish(snapshot(resource("listener", "l", "4"))))
    envoy >> Publish(snapshot(resource("listener", "l", "3"))) << NOTHING


def test_equal_streams_are_told_equal_things_so_that_their_bytes_are_made_once():
    both = snapshot(resource("cluster", "c"), resource("listener", "l"))
    first, second = DeltaStream(both), DeltaStream(both)
    second.receive(subscribe("cluster", held={"c": "0"}))
    second.next()
    for stream in (first, second):
        stream.receive(subscribe("cluster"))
        stream.receive(subscribe("listener"))
    assert [first.next(), first.next(), first.next()][1:] == [second.next(), second.next()]
