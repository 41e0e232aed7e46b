"""Who a proxy is: the pod that its service account token is bound to, which the API server vouches for (TokenReview).

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.names.cluster import AUDIENCE
from exitway.xds.server import RefusedError

_PREFIX = "system:serviceaccount:"
_EXTRA = "authentication.kubernetes.io/"

MARGIN_SECONDS = 30.0
"""So long before its end a token is asked about anew: the kubelet has renewed it long before."""
REFUSED_SECONDS = 5.0
"""So long a token that was refused is refused without asking: a proxy tries again every second."""
REMEMBERED = 20_000
AT_ONCE = 32
"""How many questions the API server is asked at a time."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A pod, and the service account that it runs as. ``node``: where it runs, if the token says so (Kubernetes 1.30)."""

    namespace: str
    account: str
    pod: str
    uid: str
    node: str = ""


class Identities:
    """Asks about tokens, and remembers the answers by the tokens' hashes."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._known: OrderedDict[bytes, tuple[float, Identity | str]] = OrderedDict()
        self._asking = asyncio.Semaphore(AT_ONCE)

    async def of(self, token: str) -> Identity:
        """Who has this token. Raises RefusedError: nobody, or it is not known now."""
        if not token:
            raise RefusedError("no token: a proxy proves which pod it is by a service account token")
        name = hashlib.sha256(token.encode()).digest()
        until, known = self._known.get(name, (0.0, ""))
        if until <= time.time():
            async with self._asking:
                known = await self._ask(token)
            until = _end(token) - MARGIN_SECONDS if isinstance(known, Identity) else time.time() + REFUSED_SECONDS
            self._known[name] = until, known
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        if isinstance(known, Identity):
            return known
        raise RefusedError(known)

    async def _ask(self, token: str) -> Identity | str:
        """Who it is, or why it is nobody."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        try:
            answer = await self._kube.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
        except KubeError as error:
            raise RefusedError(f"the API server was not to be asked about the token: {error}") from error
        return identity(answer["status"])


def identity(status: Mapping[str, Any]) -> Identity | str:
    """What the status of a TokenReview says: who it is, or why it is nobody."""
    if not status.get("authenticated"):
        return f"the token is not valid: {status.get('error') or 'no reason given'}"
    if AUDIENCE not in (status.get("audiences") or ()):
        return f"the token is not for the audience {AUDIENCE}"
    user = status["user"]
    namespace, _, account = user["username"].removeprefix(_PREFIX).partition(":")
    extra = {key.removeprefix(_EXTRA): values[0] for key, values in (user.get("extra") or {}).items() if values}
    if not user["username"].startswith(_PREFIX) or not extra.get("pod-uid"):
        return "the token is not bound to a pod"
    return Identity(namespace, account, extra["pod-name"], extra["pod-uid"], extra.get("node-name", ""))


def _end(token: str) -> float:
    """When a token that is valid ends, in seconds since 1970 (RFC 7519, ``exp``); 0: it does not say."""
    try:
        payload = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))).get("exp", 0))
    except (IndexError, ValueError, TypeError, AttributeError, binascii.Error):
        return 0.0
