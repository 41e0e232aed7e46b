"""The store of a cluster, against its API server."""

import asyncio
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from exitway.kube.reflector import Reflector
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.store.change import EventType
from exitway.store.kubernetes import KubernetesStore
from tests.cluster.cluster import STATE, kubectl, until
from tests.cluster.following import connected, followed, key, path, soon
from tests.rules import rule


@pytest.fixture
def namespace(definitions: None) -> Iterator[str]:
    name = f"store-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def test_every_change_is_an_event_and_a_status_is_none(namespace):
    async def main():
        async with followed() as (kube, store):
            start, one = store.revision, key(namespace, "one")
            await kube.request("POST", path(namespace), rule("one", namespace=namespace))
            await soon(lambda: store.registry.get(one))
            status = {**rule("one", namespace=namespace), "status": {"replicas": [{"name": "somebody", "proxies": 1}]}}
            del status["spec"]
            await kube.apply(f"{path(namespace, 'one')}/status", status, manager="somebody")
            await soon(lambda: (standing := store.standing(one)) and "status" in standing.wire)
            await kube.apply(path(namespace, "one"), rule("one", "b.example", namespace=namespace), manager="test")
            await soon(lambda: (standing := store.standing(one)) and standing.generation == 2)
            await kube.request("DELETE", path(namespace, "one"))
            await soon(lambda: not store.registry.get(one))
            mine = [event for event in store.since(start) if event.resource.key == one]
            assert [event.type for event in mine] == [EventType.ADDED, EventType.MODIFIED, EventType.DELETED]
            assert mine[1].before == mine[0].resource

    asyncio.run(main())


def test_many_rules_come_by_pages(namespace):
    many = [rule(f"r{number}", f"h{number}.example", namespace=namespace) for number in range(620)]

    async def main():
        async with followed() as (_, store):
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": many})
            await asyncio.to_thread(kubectl, "create", "-f", "-", stdin=text)
            await soon(lambda: len(store.registry.resources_in(namespace)) == len(many))
            async with followed() as (_, later):
                mine, its = (one.registry.resources_in(namespace) for one in (store, later))
                assert [one.wire["spec"] for one in mine] == [one.wire["spec"] for one in its]

    asyncio.run(main())


def test_what_was_heard_stays_while_the_api_server_is_away(namespace):
    """One that has just started knows no version of before, so what changed meanwhile is found by a new list."""

    async def main():
        async with followed() as (kube, store):
            for name in ("kept", "gone"):
                await kube.request("POST", path(namespace), rule(name, namespace=namespace))
            await soon(lambda: store.registry.get(key(namespace, "gone")))
            revision = store.revision
            _kill_api_server()
            await soon(lambda: store.error)
            assert store.revision == revision
            assert store.registry.get(key(namespace, "kept"))
            await asyncio.to_thread(until, lambda: kubectl("get", "--raw", "/readyz", check=False) == "ok")
            await kube.request("DELETE", path(namespace, "gone"))
            await kube.request("POST", path(namespace), rule("new", namespace=namespace))
            await soon(lambda: store.registry.get(key(namespace, "new")), 30)
            await soon(lambda: not store.registry.get(key(namespace, "gone")))
            events = [event for event in store.since(revision) if event.resource.key.namespace == namespace]
            assert {event.resource.key.name for event in events} == {"gone", "new"}
            await soon(lambda: store.error is None)

    asyncio.run(main())


def _kill_api_server():
    """It is started again half a second later."""
    found = subprocess.run(["pgrep", "-f", f"{STATE}/bin/kube-apiserver "], capture_output=True, text=True, check=True)
    for process in found.stdout.split():
        os.kill(int(process), signal.SIGKILL)


def test_a_version_that_is_too_old_means_a_new_list_whose_differences_are_told(namespace):
    maps = f"/api/v1/namespaces/{namespace}/configmaps"

    def config_map(name, **data):
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"test": ""}},
            "data": data,
        }

    async def main():
        told = []
        async with connected() as kube:
            reflector = Reflector(
                kube,
                maps,
                params={"labelSelector": "test"},
                changed=lambda names: told.append({name for _, name in names}),
            )
            for name in ("same", "changed", "gone"):
                await kube.request("POST", maps, config_map(name))
            following = asyncio.create_task(reflector.run())
            await soon(lambda: told == [{"same", "changed", "gone"}])
            following.cancel()
            await kube.request("DELETE", f"{maps}/gone")
            await kube.apply(f"{maps}/changed", config_map("changed", a="b"), manager="test")
            reflector.revision = "1"
            following = asyncio.create_task(reflector.run())
            await soon(lambda: told[1:] == [{"changed", "gone"}])
            await kube.request("POST", maps, config_map("more"))
            await soon(lambda: told[2:] == [{"more"}])
            following.cancel()

    asyncio.run(main())


def test_a_rule_that_cannot_be_read_opens_nothing(namespace, unguarded):
    """An ALLOW is as if absent; a DENY denies everything to those it selects, also on a replica that never saw it whole."""

    def strange(name, **spec):
        made = rule(name, "b.example", namespace=namespace)
        return {**made, "spec": {**made["spec"], "colour": "red", **spec}}

    async def main():
        async with followed() as (kube, store):
            await kube.request("POST", path(namespace), rule("allow", "a.example", namespace=namespace))
            await kube.request("POST", path(namespace), strange("strange"))
            selector = {"matchLabels": {"app": "checkout"}}
            await kube.request("POST", path(namespace), strange("deny", action="DENY", workloadSelector=selector))
            await soon(lambda: store.problems.keys() >= {key(namespace, "strange"), key(namespace, "deny")})
            async with followed() as (_, later):
                for one in (store, later):
                    assert _hosts(one, namespace, app="other") == ["a.example"]
                    assert _hosts(one, namespace, app="checkout") == []
            await kube.request("DELETE", path(namespace, "deny"))
            await soon(lambda: _hosts(store, namespace, app="checkout") == ["a.example"])

    asyncio.run(main())


def _hosts(store: KubernetesStore, namespace: str, **labels: str) -> list[str]:
    workload = Workload(namespace=namespace, name="test", labels=labels)
    policy = compile_policy(store.registry.intents_for(namespace), workload, datetime.now(UTC))
    return sorted(map(str, policy.hosts))
