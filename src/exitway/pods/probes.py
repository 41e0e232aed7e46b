"""What the kubelet asks for a container: probes and hooks. They leave from the node, past the pod's proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exitway.pods.unsafe import Unsafe, asks
from exitway.resources.problem import quoted

Json = Mapping[str, Any]


def probes(container: Json, field: str) -> Iterator[Unsafe]:
    """Those that name a host: they go there, not to the pod. Redirects to other hosts the kubelet does not follow.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline (since 1.34)
    """
    hooks = container.get("lifecycle") or {}
    places = [(name, container.get(name)) for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    places += [(f"lifecycle.{name}", hooks.get(name)) for name in ("postStart", "preStop")]
    for place, probe in places:
        for way in ("httpGet", "tcpSocket"):
            if host := ((probe or {}).get(way) or {}).get("host"):
                name = quoted(str(container.get("name")))
                message = f"container {name} has the node call {quoted(str(host))}, where no rule is asked"
                yield asks("probes", "EXW1131", message, f"{field}.{place}.{way}.host")
