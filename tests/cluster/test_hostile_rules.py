"""Rules that somebody wrote to get round what reads them."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from exitway.kube.client import MERGE_PATCH
from exitway.kube.reflector import Reflector
from tests.cluster.cluster import kubectl, new_namespace
from tests.cluster.following import connected, followed, key, path, soon
from tests.rules import rule

LEVELS = 3000


@pytest.fixture
def namespace(cluster: None) -> Iterator[str]:
    kubectl("apply", "-f", "deploy/helm/exitway/crds")
    with new_namespace({}) as made:
        yield made.name


def create(namespace, name, **spec):
    wire = rule(name, namespace=namespace)
    text = json.dumps({**wire, "spec": {**wire["spec"], **spec}}).replace(
        '"deep"', '{"a":' * LEVELS + "1" + "}" * LEVELS
    )
    kubectl("create", "--raw", path(namespace), "-f", "-", stdin=text)


def test_a_rule_that_is_nested_too_deep_is_unreadable_and_hides_no_other(unguarded, namespace):
    async def main():
        async with followed() as (_, store):
            create(namespace, "watched", deeper="deep")
            create(namespace, "denies", deeper="deep", action="DENY")
            create(namespace, "after")
            await soon(lambda: store.registry.get(key(namespace, "after")))
            assert store.registry.get(key(namespace, "watched")) is None
            assert [len(one.to) for one in store.registry.intents_for(namespace)[:2]] == [
                1,
                0,
            ]  # one to nothing denies all
            assert {"EXW0101"} == {one.code for one in store.problems[key(namespace, "watched")]}
        async with followed() as (_, store):  # which lists them
            assert store.registry.get(key(namespace, "after"))
            assert store.registry.get(key(namespace, "watched")) is None

    asyncio.run(main())


def test_a_rule_that_is_deleted_lets_nothing_out_whatever_holds_it(namespace):
    async def hold(kube, name, *finalizers):
        held = {"metadata": {"finalizers": finalizers}}
        await kube.request("PATCH", path(namespace, name), held, content_type=MERGE_PATCH)

    async def main():
        async with followed() as (kube, store):
            for name, action in (("allows", "ALLOW"), ("denies", "DENY")):
                create(namespace, name, action=action)
                await hold(kube, name, "example.com/held")
            await soon(lambda: len(store.registry.resources_in(namespace)) == 2)
            for name in ("allows", "denies"):
                await kube.request("DELETE", path(namespace, name))
            await soon(lambda: not store.registry.get(key(namespace, "allows")))
            assert store.registry.get(key(namespace, "denies"))
            for name in ("allows", "denies"):
                await hold(kube, name)
            await soon(lambda: not store.standing(key(namespace, "denies")))

    asyncio.run(main())


def test_what_fails_to_hear_of_a_change_is_told_again(namespace):
    heard, failed = set[object](), set[object]()

    def changed(names):
        if not failed and ("", namespace) in heard:
            failed.update(names)
            raise LookupError("somebody's mistake")
        heard.update(names)

    async def main():
        async with connected() as kube:
            following = asyncio.create_task(Reflector(kube, "/api/v1/namespaces", changed=changed).run())
            await soon(lambda: ("", namespace) in heard)
            with new_namespace({}) as made:
                await soon(lambda: ("", made.name) in heard)
            following.cancel()

    asyncio.run(main())
    assert failed
