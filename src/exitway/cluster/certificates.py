"""Keeps the control plane's certificates: in one Secret, which whichever replica comes first fills and renews.

Its authorities are told to the webhook configurations, and to a ConfigMap for those who call us: a node that may read a Secret reads all of it.

What this replica serves with follows the Secret, without a restart. Where somebody else fills it (cert-manager), it is only read.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Never

from cryptography.x509 import load_pem_x509_certificate

from exitway.cluster.authority import renewed
from exitway.cluster.settings import ClusterSettings
from exitway.cluster.uninstall import CONFIGURATIONS
from exitway.kube.client import JSON_PATCH, MERGE_PATCH, Kube
from exitway.kube.error import KubeError
from exitway.kube.reflector import Reflector
from exitway.resources.resource import Json

LOOK_SECONDS = 600.0
"""How often it is asked whether something is due, beside whenever the Secret or a webhook configuration changes."""
RETRY_SECONDS = 2.0


_log = logging.getLogger("exitway")


class Certificates:
    """The certificates, while :meth:`run` runs.

    ``ready``: set once there is a certificate to serve with.
    ``key``, ``chain``, ``authorities``: PEM, as they are now. ``expiry``: of the certificate, in seconds since 1970; 0: there is none.
    ``context``: for a TLS server; each handshake takes the certificate of that time.
    """

    def __init__(
        self, kube: Kube, settings: ClusterSettings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.ready = asyncio.Event()
        self.key = self.chain = self.authorities = b""
        self.expiry = 0.0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._kube, self._settings, self._now = kube, settings, now
        self._name = f"{settings.release}-tls"
        self._path = f"/api/v1/namespaces/{settings.pod_namespace}/secrets"
        self._look = asyncio.Event()
        self._secret = self._follower(self._path, self._name)
        self._published = self._follower(
            f"/api/v1/namespaces/{settings.pod_namespace}/configmaps", f"{settings.release}-authorities"
        )
        self._hooks = {path: self._follower(path, settings.release) for path in CONFIGURATIONS}

    async def run(self) -> Never:
        """Follow the Secret, for ever."""
        async with asyncio.TaskGroup() as group:
            for follower in (self._secret, self._published, *self._hooks.values()):
                group.create_task(follower.run())
            group.create_task(self._keep())
        raise AssertionError  # they do not end

    def _follower(self, path: str, name: str) -> Reflector:
        return Reflector(
            self._kube, path, params={"fieldSelector": f"metadata.name={name}"}, changed=lambda _: self._look.set()
        )

    async def _keep(self) -> Never:
        await self._secret.synced.wait()
        while True:
            self._look.clear()
            pause = LOOK_SECONDS
            try:
                await self._renew()
                self._load()
                await self._tell_webhooks()
                await self._publish()
            except KubeError as error:
                _log.warning("certificates: %s", error)
                pause = max(RETRY_SECONDS, error.retry_after_seconds)
            try:
                await asyncio.wait_for(self._look.wait(), pause)
            except TimeoutError:
                continue

    async def _renew(self) -> None:
        """Write what is due. If another replica was faster, that is a conflict (409), and the watch brings what it wrote."""
        secret = self._stored()
        if self._settings.certificates != "own":
            return
        if secret is None:
            _log.warning("the Secret %s is missing: `helm upgrade` makes it again", self._name)
            return
        data = renewed(_decoded(secret), self._settings.dns_names, self._now())
        if data is None:
            return
        encoded = {name: base64.b64encode(content).decode() for name, content in data.items()}
        try:
            await self._kube.request("PUT", f"{self._path}/{self._name}", {**secret, "data": encoded})
        except KubeError as error:
            if error.code != 409:
                raise
        else:
            _log.info("the Secret %s has new certificates", self._name)

    def _stored(self) -> Json | None:
        return self._secret.objects.get((self._settings.pod_namespace, self._name))

    def _load(self) -> None:
        """Serve with what the Secret holds, if that is new and whole."""
        data = _decoded(self._stored() or {})
        key, chain, authorities = (data.get(name, b"") for name in ("tls.key", "tls.crt", "ca.crt"))
        if not (key and chain) or (key, chain, authorities) == (self.key, self.chain, self.authorities):
            return
        try:
            load_chain(self.context, chain, key)
        except (ssl.SSLError, ValueError) as error:
            _log.warning("the Secret %s holds no certificate with its key: %s", self._name, error)
            return
        self.key, self.chain, self.authorities = key, chain, authorities
        self.expiry = load_pem_x509_certificate(chain).not_valid_after_utc.timestamp()
        self.ready.set()

    async def _tell_webhooks(self) -> None:
        """Have the API server trust what we serve with."""
        bundle = base64.b64encode(self.authorities).decode()
        for path, follower in self._hooks.items():
            for configuration in follower.objects.values() if bundle else ():
                patch = bundle_patch(configuration, bundle)
                if patch:
                    name = configuration["metadata"]["name"]
                    await self._kube.request("PATCH", f"{path}/{name}", patch, content_type=JSON_PATCH)
                    _log.info("%s has new certificate authorities", path.rpartition("/")[2])

    async def _publish(self) -> None:
        """Have agents trust what we serve with."""
        authorities = self.authorities.decode()
        for (namespace, name), published in self._published.objects.items() if authorities else ():
            if (published.get("data") or {}).get("ca.crt") != authorities:
                path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
                data = {"data": {"ca.crt": authorities}}
                await self._kube.request("PATCH", path, data, content_type=MERGE_PATCH)


def bundle_patch(configuration: Json, bundle: str) -> list[Json]:
    """The JSON Patch by which all webhooks of a configuration trust the bundle (base64 of PEM)."""
    patch: list[Json] = []
    for index, hook in enumerate(configuration.get("webhooks") or ()):
        if hook["clientConfig"].get("caBundle") != bundle:
            at = f"/webhooks/{index}"
            patch.append({"op": "test", "path": f"{at}/name", "value": hook["name"]})
            patch.append({"op": "add", "path": f"{at}/clientConfig/caBundle", "value": bundle})
    return patch


def load_chain(context: ssl.SSLContext, chain: bytes, key: bytes) -> None:
    """As ``load_cert_chain``, which wants files, of what is only in memory. Raises SSLError."""
    with _file(chain) as chain_path, _file(key) as key_path:
        context.load_cert_chain(chain_path, key_path)


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("exitway", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _decoded(secret: Json) -> dict[str, bytes]:
    """The data of a Secret; what is not base64 is not there."""
    data = {}
    for name, text in (secret.get("data") or {}).items():
        with suppress(ValueError):
            data[name] = base64.b64decode(text, validate=True)
    return data
