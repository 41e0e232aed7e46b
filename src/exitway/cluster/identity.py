"""Who a proxy is: the pod that its service account token is bound to, which the API server vouches for (TokenReview).

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from exitway.dns.share import Shares
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.names.cluster import AUDIENCE
from exitway.xds.server import RefusedError

T = TypeVar("T")

_PREFIX = "system:serviceaccount:"
_EXTRA = "authentication.kubernetes.io/"

MARGIN_SECONDS = 30.0
"""So long before its end a token is asked about anew: the kubelet has renewed it long before."""
REFUSED_SECONDS = 5.0
"""So long a token that was refused is refused without asking: a proxy tries again every second."""
REMEMBERED = 20_000
AT_ONCE = 32
"""How many questions the API server is asked at a time: one for each pod that tokens speak of, so that rubbish waits for rubbish."""
AT_ONCE_OF_ONE = 8
"""Of these for one address, whatever pods its tokens speak of."""
RATE_OF_ONE, BURST_OF_ONE = 100.0, 2000.0
"""Questions for one address in a second, and at once. An address is a pod or a node, or, behind NAT, all proxies of a cluster that come back."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A pod, and the service account that it runs as. ``node``: where it runs, if the token says so (Kubernetes 1.30)."""

    namespace: str
    account: str
    pod: str
    uid: str
    node: str = ""


class Identities:
    """Asks about tokens, and remembers the answers by the tokens' hashes. What is no token for us, by what it says itself, is refused unasked."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._known: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()
        self._refused: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._asking = asyncio.Semaphore(AT_ONCE)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._shares = Shares(RATE_OF_ONE, BURST_OF_ONE)
        self._asking_for: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def of(self, token: str, address: str) -> Identity:
        """Who has this token, which came from there. Raises RefusedError: nobody, or it is not known now."""
        if not token:
            raise RefusedError("no token: a proxy proves which pod it is by a service account token")
        name, now, claims = hashlib.sha256(token.encode()).digest(), time.time(), _claims(token)
        until, known = self._known.get(name, (0.0, None))
        if known and now < until:
            return known
        until, why = self._refused.get(name, (0.0, ""))
        if now < until or (why := _unfit(claims, now)):
            raise RefusedError(why)
        if not self._shares.of(address, time.monotonic()).take(time.monotonic()):
            raise RefusedError("too many tokens have come from this address")
        own = self._asking_for.setdefault(address, asyncio.Semaphore(AT_ONCE_OF_ONE))
        turn = self._turns.setdefault(_pod(claims), asyncio.Lock())
        async with own, turn, self._asking:
            said = await self._ask(token)
        if isinstance(said, str):
            _remember(self._refused, name, (now + REFUSED_SECONDS, said))
            raise RefusedError(said)
        _remember(self._known, name, (float(claims["exp"]) - MARGIN_SECONDS, said))
        return said

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


def _claims(token: str) -> Mapping[str, Any]:
    """What a token says, which proves nothing (RFC 7519); empty if it is none."""
    try:
        payload = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _pod(claims: Mapping[str, Any]) -> str:
    """Which pod a token says that it is bound to."""
    try:
        return str(claims["kubernetes.io"]["pod"]["uid"])
    except (KeyError, TypeError):
        return ""


def _unfit(claims: Mapping[str, Any], now: float) -> str:
    """Why the API server need not be asked; empty: it has to be."""
    audience, end = claims.get("aud"), claims.get("exp")
    if not isinstance(end, int | float) or not isinstance(audience, list | str):
        return "the token is none of a service account"
    if AUDIENCE not in ([audience] if isinstance(audience, str) else audience):
        return f"the token is not for the audience {AUDIENCE}"
    return "the token has expired" if end <= now else ""


def _remember(known: OrderedDict[bytes, T], name: bytes, what: T) -> None:
    known[name] = what
    if len(known) > REMEMBERED:
        known.popitem(last=False)
