"""The status of rules, written by several replicas to a real API server. What their proxies do is given."""

import asyncio
import uuid

import pytest

from tests.cluster.cluster import kubectl
from tests.cluster.following import followed, path, replica
from tests.rules import rule


@pytest.fixture
def namespace(definitions):
    name = f"status-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


async def status(kube, namespace):
    """Conditions by type (status, reason, generation, message), and entries by replica (proxies, acknowledged)."""
    found = (await kube.request("GET", path(namespace, "one"))).get("status") or {}
    told = {
        one["type"]: (one["status"], one["reason"], one["observedGeneration"], one["message"])
        for one in found.get("conditions", ())
    }
    entries = {
        one["name"].partition("/")[2]: (one["observedGeneration"], one["proxies"], one["acknowledged"])
        for one in found.get("replicas", ())
        if one["name"].startswith(f"{namespace}/")  # another installation may be there
    }
    return told, entries


async def becomes(kube, namespace, programmed, entries, seconds=10):
    async with asyncio.timeout(seconds):
        while True:
            told, found = await status(kube, namespace)
            if told.get("Programmed") == programmed and found == entries:
                return
            await asyncio.sleep(0.05)


def test_two_replicas_say_together_when_every_proxy_has_it(namespace):
    async def main():
        async with followed() as (kube, _), replica(namespace, "a") as one, replica(namespace, "b") as other:
            one.set(2, 1)
            other.set(1, 1)
            await kube.request("POST", path(namespace), rule("one", namespace=namespace))
            pending = ("False", "Pending", 1, "2 of 3 proxies have it in force")
            await becomes(kube, namespace, pending, {"a": (1, 2, 1), "b": (1, 1, 1)})
            one.set(2, 2)
            done = ("True", "Acknowledged", 1, "3 of 3 proxies have it in force")
            await becomes(kube, namespace, done, {"a": (1, 2, 2), "b": (1, 1, 1)})
            assert (await status(kube, namespace))[0]["Accepted"][0] == "True"
            other.set(1, 0, "pod x: no such cluster")
            await kube.apply(path(namespace, "one"), rule("one", "b.example", namespace=namespace), manager="test")
            refused = ("False", "Refused", 2, "2 of 3 proxies have it in force; pod x: no such cluster")
            await becomes(kube, namespace, refused, {"a": (2, 2, 2), "b": (2, 1, 0)})

    asyncio.run(main())


def test_the_entry_of_a_replica_that_is_gone_goes_too(namespace):
    async def main():
        async with followed() as (kube, _), replica(namespace, "b") as one:
            async with replica(namespace, "a") as other:
                one.set(1, 1)
                other.set(1, 1)
                await kube.request("POST", path(namespace), rule("one", namespace=namespace))
                done = ("True", "Acknowledged", 1, "2 of 2 proxies have it in force")
                await becomes(kube, namespace, done, {"a": (1, 1, 1), "b": (1, 1, 1)})
            one.set(2, 2)
            await becomes(kube, namespace, done, {"b": (1, 2, 2)}, seconds=20)

    asyncio.run(main())


def test_at_rest_nothing_is_written(namespace):
    async def main():
        async with followed() as (kube, _), replica(namespace, "a") as one, replica(namespace, "b") as other:
            one.set(1, 1)
            other.set(0, 0)
            await kube.request("POST", path(namespace), rule("one", namespace=namespace))
            done = ("True", "Acknowledged", 1, "1 of 1 proxies has it in force")
            await becomes(kube, namespace, done, {"a": (1, 1, 1), "b": (1, 0, 0)})
            async with asyncio.timeout(60):
                before = after = ""
                while not before or before != after:
                    before = (await kube.request("GET", path(namespace, "one")))["metadata"]["resourceVersion"]
                    await asyncio.sleep(8)  # longer than the leisure
                    after = (await kube.request("GET", path(namespace, "one")))["metadata"]["resourceVersion"]

    asyncio.run(main())
