"""What an installation puts into pods: the same for each of them. JSON in and out, so that it can be kept in a file (``exitway inject``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from ipaddress import ip_network
from typing import Any

from exitway.names.guard import Network
from exitway.resources.problem import Problem, Problems

RESOURCES: Mapping[str, Any] = {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "512Mi"}}
"""Of a sidecar."""


@dataclass(frozen=True, slots=True)
class Installation:
    """``control``: addresses of the control plane, which is called ``name`` in its certificate; ``authorities``: who vouch for that, PEM.

    ``resolver``: addresses of the resolver, at most one of each family. ``cluster``: ranges that pods talk to untouched. ``dns_ports``: where
    the cluster's own name servers listen besides 53. ``native``: whether the cluster has native sidecars (Kubernetes 1.29).
    """

    image: str
    control: tuple[str, ...] = ()
    name: str = ""
    authorities: str = ""
    resolver: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    dns_ports: tuple[int, ...] = ()
    image_pull_policy: str = "IfNotPresent"
    resources: Mapping[str, Any] = field(default_factory=lambda: RESOURCES)
    native: bool = True

    @property
    def ranges(self) -> tuple[Network, ...]:
        """The cluster's."""
        return tuple(map(ip_network, self.cluster))

    @property
    def asked(self) -> str:
        """The address of the resolver that proxies ask."""
        return self.resolver[0]

    def to_json(self) -> dict[str, Any]:
        """As a mapping."""
        return asdict(self) | {"resources": dict(self.resources)}

    @classmethod
    def of(cls, wire: Any) -> Installation:
        """Read one. Raises Problems if it is none."""
        known = {one.name for one in fields(cls)}
        if not isinstance(wire, dict) or not isinstance(wire.get("image"), str) or not set(wire) <= known:
            raise Problems(
                [
                    Problem(
                        "EXW1128",
                        "this is not the description of an installation",
                        "`exitway inject --show-installation` writes one",
                    )
                ]
            )
        try:
            given: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in wire.items()
            }
            read = cls(**given)
            _ = read.ranges
        except (TypeError, ValueError) as error:
            raise Problems([Problem("EXW1128", f"the description of the installation is malformed: {error}")]) from None
        return read
