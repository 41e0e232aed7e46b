"""The control plane's certificates, in a real Secret and real webhook configurations."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from exitway.cluster.authority import RENEWAL, SERVING_LIFE, TERM, renewed
from exitway.cluster.certificates import Certificates
from exitway.cluster.settings import ClusterSettings
from tests.cluster.cluster import Namespace, kubectl, new_namespace, until
from tests.cluster.following import connected, soon
from tests.resources.wire import exitway, to

SORTS = ("mutating", "validating")


@dataclass
class Clock:
    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def place(cluster: None) -> Iterator[Namespace]:
    """A namespace with an empty Secret, and webhook configurations for nobody's pods, all called as the namespace is."""
    name = f"tls-{uuid.uuid4().hex[:8]}"
    with new_namespace({}, name) as made:
        made.kubectl("create", "secret", "generic", f"{name}-tls")
        for sort in SORTS:
            kubectl("create", "-f", "-", stdin=json.dumps(hooks(sort, name)))
        yield made
        for sort in SORTS:
            kubectl("delete", f"{sort}webhookconfiguration", name)


def hooks(sort: str, name: str) -> dict[str, object]:
    service = {"name": name, "namespace": name, "path": "/"}
    hook = {
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": service},
        "sideEffects": "None",
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "nobody"}},
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{sort.title()}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{**hook, "name": f"{part}.exitway.example"} for part in ("one", "two")],
    }


def settings_for(place: Namespace) -> ClusterSettings:
    return ClusterSettings("replica", place.name, release=place.name)


@asynccontextmanager
async def replicas(
    settings: ClusterSettings, count: int, now: Callable[[], datetime]
) -> AsyncIterator[list[Certificates]]:
    async with connected() as kube:
        made = [Certificates(kube, settings, now=now) for _ in range(count)]
        running = [asyncio.create_task(one.run()) for one in made]
        try:
            yield made
        finally:
            for task in running:
                task.cancel()


def bundles(place: Namespace) -> set[bytes]:
    """What the webhook configurations trust."""
    found = set()
    for sort in SORTS:
        told = json.loads(kubectl("get", f"{sort}webhookconfiguration", place.name, "-o", "json"))
        found |= {base64.b64decode(hook["clientConfig"].get("caBundle", "")) for hook in told["webhooks"]}
    return found


async def served(one: Certificates, trusted: bytes, name: str) -> str:
    """The serial number of the certificate that a new connection sees which trusts these authorities."""
    client = ssl.create_default_context(cadata=trusted.decode())
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=one.context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        certificate = writer.get_extra_info("peercert")
        writer.close()
        return str(certificate["serialNumber"])


def test_replicas_that_start_together_serve_the_same_and_the_api_server_trusts_it(place):
    async def main() -> None:
        async with replicas(settings_for(place), 3, Clock()) as made:
            await asyncio.wait_for(asyncio.gather(*(one.ready.wait() for one in made)), 15)
            await soon(lambda: len({(one.key, one.chain, one.authorities) for one in made}) == 1)
            await soon(lambda: bundles(place) == {made[0].authorities})
            for name in settings_for(place).dns_names:
                assert len({await served(one, made[0].authorities, name) for one in made}) == 1

    asyncio.run(main())


def test_a_certificate_is_renewed_and_an_authority_followed_without_a_restart(place):
    start = -(TERM + timedelta(hours=1))  # so that the last step is now, which is the time of those who connect
    clock = Clock(start)

    async def main() -> None:
        async with replicas(settings_for(place), 2, clock) as made:
            await asyncio.wait_for(asyncio.gather(*(one.ready.wait() for one in made)), 15)
            await soon(lambda: len({one.chain for one in made}) == 1)
            bundle = made[0].authorities
            for ahead in (start + SERVING_LIFE - RENEWAL, timedelta()):
                clock.ahead, before = ahead, made[0].chain
                place.kubectl("label", "secret", f"{place.name}-tls", f"look=at-{ahead.days}", "--overwrite")
                await soon(lambda before=before: before not in {one.chain for one in made})  # type: ignore[misc]
                await soon(lambda: len({one.chain for one in made}) == 1)
            assert made[0].authorities.startswith(bundle), "the authorities of before are still trusted"
            assert len(x509.load_pem_x509_certificates(made[0].authorities)) == 3
            for one in made:
                assert await served(one, bundle, place.name), "who was told a term ago whom to trust still does"
            await soon(lambda: bundles(place) == {made[0].authorities})

    asyncio.run(main())


def test_what_somebody_else_fills_is_served_as_it_is_and_never_written(place):
    settings = settings_for(place)
    given = renewed({}, settings.dns_names, datetime.now(UTC) - timedelta(days=80))
    assert given

    async def main() -> None:
        async with replicas(replace(settings, certificates="external"), 1, Clock()) as (one,):
            await asyncio.sleep(1)
            assert not one.ready.is_set()
            data = {key: base64.b64encode(given[key]).decode() for key in ("tls.crt", "tls.key", "ca.crt")}
            place.kubectl("patch", "secret", f"{place.name}-tls", "-p", json.dumps({"data": data}))
            await soon(one.ready.is_set)
            await soon(lambda: bundles(place) == {given["ca.crt"]})
            assert one.chain == given["tls.crt"]
            broken = {"data": {"tls.key": base64.b64encode(b"rubbish").decode()}}
            place.kubectl("patch", "secret", f"{place.name}-tls", "-p", json.dumps(broken))
            await asyncio.sleep(1)
            await served(one, given["ca.crt"], settings.dns_names[0])

    asyncio.run(main())


def test_a_lost_secret_is_filled_again_and_the_webhooks_go_on(installed):
    def restarts() -> str:
        return kubectl(
            "get", "pods", "-n", installed, "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}"
        )

    def secret() -> str:
        return kubectl("get", "secret", "-n", installed, "exitway-tls", "-o", "jsonpath={.data.tls\\.crt}")

    before, had = restarts(), secret()
    kubectl(
        "patch",
        "secret",
        "-n",
        installed,
        "exitway-tls",
        "-p",
        '{"data":{"tls.crt":"","tls.key":"","ca.crt":"","ca.key":""}}',
    )
    until(lambda: secret() not in ("", had))
    wire = json.dumps(exitway(to("*", "443/TLS"), namespace="default"))
    until(lambda: "EXW0305" in kubectl("create", "--dry-run=server", "-f", "-", stdin=wire, check=False))
    assert restarts() == before
