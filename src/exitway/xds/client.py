"""How the agent of a node reports to the control plane: it is told up to where the rules go, and acknowledges when they are in force on its node.

It is a proxy among proxies to the control plane: the same protocol, the same proof of who it is, the same counting.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

import grpc

from exitway.envoy.snapshot import Resource, Snapshot
from exitway.xds.message import answer, ask, told
from exitway.xds.stream import RULES

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_NAME = "rules"
_PAUSE_SECONDS = (0.1, 5.0)
_OPTIONS = {"grpc.keepalive_time_ms": 30_000, "grpc.keepalive_timeout_ms": 10_000, "grpc.enable_http_proxy": 0}

_log = logging.getLogger("exitway")

Versions = Mapping[str, str]
"""Up to where the rules go: by API group, the resourceVersion of its collection."""

InForce = Callable[[Versions], Awaitable[Sequence[str]]]
"""Returns when the rules up to there are in force on this node; with a sentence for each thing that was refused."""


def rules_snapshot(versions: Versions) -> Snapshot:
    """What agents are told."""
    data = json.dumps(dict(sorted(versions.items()))).encode()
    version = " ".join(versions[group] for group in sorted(versions))
    return Snapshot({RULES: {_NAME: Resource(RULES, _NAME, {}, data, version)}})


@dataclass(frozen=True, slots=True)
class Reporter:
    """``target``: address and port of the control plane; ``name``: the one in its certificate. Both files are read at each connection.

    ``authorities``: PEM; ``token``: of the service account; ``node``: for the control plane's log.
    """

    target: str
    name: str
    authorities: Path
    token: Path
    node: str

    async def run(self, in_force: InForce) -> Never:
        """Report for ever; while the control plane is away, nothing here depends on it."""
        held: dict[str, str] = {}
        failures = 0
        while True:
            before = dict(held)
            try:
                await self._report(in_force, held)
            except (grpc.aio.AioRpcError, OSError) as error:
                why = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
                if failures == 0:
                    _log.warning("the control plane is not told what is in force here: %s", why)
            failures = failures + 1 if held == before else 0
            least, most = _PAUSE_SECONDS
            await asyncio.sleep(min(most, least * 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0))  # noqa: S311

    async def _report(self, in_force: InForce, held: dict[str, str]) -> None:
        credentials = grpc.ssl_channel_credentials(self.authorities.read_bytes())
        options = [*_OPTIONS.items(), ("grpc.ssl_target_name_override", self.name)]
        metadata = (("authorization", f"Bearer {self.token.read_text()}"),)
        async with grpc.aio.secure_channel(self.target, credentials, options) as channel:
            call: Any = channel.stream_stream(_METHOD)(metadata=metadata)
            await call.write(ask(RULES, held, self.node))
            async for data in call:
                response = told(data)
                for resource in response.changed:
                    errors = await in_force(json.loads(resource.data))
                    if not errors:
                        held[resource.name] = resource.version
                    await call.write(answer(RULES, response.nonce, "; ".join(errors)))
