"""Requests to the Kubernetes API: JSON in, JSON out, and one exception for everything that goes wrong."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx2
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from exitway.kube import shallow
from exitway.kube.auth import authentication
from exitway.kube.config import find_config
from exitway.kube.error import KubeError

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs each request

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""Longer than a validating webhook may take (10 s by default, 30 s at most)."""
_LONGEST_LINE = 2**26
"""Many times what an object may have."""
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
]
"""A server that vanished without a word is noticed within half a minute, also by a watch, on which nothing may come for long."""


class Kube:
    """A cluster, as one user. Many requests and streams may go on at once; all on one event loop."""

    def __init__(self, config: SingleConfig) -> None:
        self.server = config.cluster.server.rstrip("/")
        self.namespace = config.namespace
        self.context = config.context_name
        verify = verify_cluster(config.cluster, config.user or User(), config.abs_file)
        # A transport of our own passes HTTPS_PROXY by, which people need outside and nobody in a cluster.
        inside = config.user is not None and config.user.token_file is not None
        transport = (
            httpx2.AsyncHTTPTransport(verify=verify, limits=_LIMITS, socket_options=_KEEPALIVE) if inside else None
        )
        self._client = httpx2.AsyncClient(
            base_url=self.server,
            verify=verify,
            auth=authentication(config.user),
            limits=_LIMITS,
            transport=transport,
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        )

    @classmethod
    def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> Self:
        """Without arguments as kubectl does, in a pod by its service account. Nothing is sent yet. Raises Problems."""
        return cls(find_config(kubeconfig, context))

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """The JSON of a 2xx answer. ``path`` as in ``/api/v1/pods``; its parts are quoted by the caller. Raises KubeError."""
        content = None if body is None else json.dumps(body).encode()
        with_type = {"Content-Type": content_type} if content is not None else {}
        try:
            answer = await self._client.request(
                method, path, content=content, params=params, headers={"Accept": "application/json", **with_type}
            )
        except (httpx2.HTTPError, ConfigError) as error:
            raise self._unreachable(error) from error
        if answer.status_code >= 300:
            raise _error(answer.content, answer.status_code)
        return _json(answer.content)

    async def apply(self, path: str, body: Any, *, manager: str) -> Any:
        """Server-side apply: the fields of ``body`` become those that ``manager`` owns; those it owned before and leaves out go. Raises KubeError."""
        return await self.request("PATCH", path, body, {"fieldManager": manager, "force": "true"}, APPLY_PATCH)

    async def stream(self, path: str) -> AsyncGenerator[Any]:
        """One value for each line of the answer, until the server ends it. Raises KubeError."""
        async for values in self.chunks(path):
            for value in values:
                yield value

    async def chunks(
        self, path: str, params: Mapping[str, str] | None = None, silence_seconds: float | None = None
    ) -> AsyncGenerator[list[Any]]:
        """As :meth:`stream`, but what has come together is given together; first an empty list, when the server has said yes.

        ``silence_seconds``: how long it may say nothing.
        """
        async for lines in self.lines(path, params, silence_seconds):
            values = [_json(line) for line in lines if line]
            if values or not lines:
                yield values

    async def lines(
        self, path: str, params: Mapping[str, str] | None = None, silence_seconds: float | None = None
    ) -> AsyncGenerator[list[bytes]]:
        """As :meth:`chunks`, of an answer whose lines are whatever they are (a log); one that does not end is left out."""
        async with self._open(path, params, silence_seconds) as answer:
            yield []
            rest = b""
            async for some in answer.aiter_bytes():
                *lines, rest = (rest + some).split(b"\n")  # not splitlines: JSON may hold U+2028 as it is
                if len(rest) > _LONGEST_LINE:
                    raise KubeError(502, "", f"the API server's answer has a line of more than {_LONGEST_LINE} bytes")
                if lines:
                    yield lines

    @asynccontextmanager
    async def _open(
        self, path: str, params: Mapping[str, str] | None, silence_seconds: float | None
    ) -> AsyncIterator[httpx2.Response]:
        timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=silence_seconds)
        try:
            async with self._client.stream("GET", path, params=params, timeout=timeout) as answer:
                if answer.status_code >= 300:
                    raise _error(await answer.aread(), answer.status_code)
                yield answer
        except (httpx2.HTTPError, ConfigError) as error:
            raise self._unreachable(error) from error

    async def close(self) -> None:
        """End all connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _unreachable(self, error: Exception) -> KubeError:
        why = str(error) or type(error).__name__
        return KubeError(0, "Unreachable", f"the API server at {self.server} does not answer: {why}")


_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=8)
"""Each watch holds a connection; none may wait for another."""


def _error(content: bytes, code: int) -> KubeError:
    """What does not exist at all is said in plain text."""
    try:
        return KubeError.of(json.loads(content), code)
    except ValueError:
        return KubeError.of(None, code)


def _json(content: bytes) -> Any:
    try:
        return shallow.read(content) if content else None
    except ValueError:
        raise KubeError(502, "", f"the API server's answer is not JSON: {content[:100]!r}") from None
