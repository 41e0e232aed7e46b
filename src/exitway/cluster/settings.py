"""What the parts in a cluster are told when they start. The chart sets it; ``deploy/helm/exitway/values.yaml`` says what may be chosen."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar

from exitway.names.traces import Traces
from exitway.resources.problem import Problem, Problems, quoted

Read = TypeVar("Read")

_WIDEST = 8
"""Of a cluster's range, the length of its prefix: 10.0.0.0/8, fd00::/8."""


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """One field for each variable: ``EXITWAY_`` and its name in capitals."""

    pod_name: str
    """Of the pod that we run in."""
    pod_namespace: str
    """Where we are installed, such as ``exitway-system``."""
    pod_uid: str = ""
    """Of the same pod."""
    pod_ip: str = ""
    """The same pod's address."""
    node_name: str = ""
    """The node that we run on."""
    release: str = "exitway"
    """Of the control plane's service and of the webhook configurations; with ``-tls`` its Secret, with ``-dns`` the resolver's service."""
    image: str = "exitway"
    """The one image: what is put into pods runs it."""
    image_pull_policy: str = "IfNotPresent"
    """Of the containers that are put into pods."""
    sidecar_resources: Mapping[str, Any] | None = None
    """``resources`` of the injected proxy, as JSON."""
    native_sidecars: bool = True
    """Whether the cluster starts init containers that restart always (Kubernetes 1.29)."""
    node_wall: bool = True
    """Whether agents wall their pods in a second time, on the node."""
    cluster_ranges: tuple[IPv4Network | IPv6Network, ...] = ()
    """Pods, services and nodes, by commas; empty: found."""
    cluster_dns: tuple[str, ...] = ()
    """The cluster's DNS servers; empty: those of /etc/resolv.conf."""
    upstream_dns: tuple[str, ...] = ()
    """The DNS servers that names outside are asked of; empty: the cluster's."""
    cluster_domain: str = "cluster.local"
    """The cluster's own domain."""
    denied_status: int = 404
    """HTTP status of a denied request, 400 to 599."""
    metrics_port: int = 0
    """Where the agent of a node serves ``/metrics``, at the node's address; 0: nowhere."""
    traces: Traces | None = None
    """Where the proxies of pods send spans of requests, with ``EXITWAY_TRACES_PERCENT``; None: nowhere."""
    audit_namespaces: tuple[str, ...] = ()
    """Namespaces whose pods are under audit: what is denied is recorded and let through."""
    token: Path = Path("/var/run/secrets/exitway/token")
    """The service account token with audience ``exitway``, which the kubelet renews."""
    authorities: Path = Path("/var/run/secrets/exitway-ca/ca.crt")
    """The certificate authorities of the control plane, for those who call it."""
    certificates: str = "own"
    """Who makes the certificates: ``own``, or ``external`` (cert-manager, or somebody else who fills the Secret)."""

    @property
    def dns_names(self) -> tuple[str, ...]:
        """How the control plane is called; its certificate has these."""
        service = f"{self.release}.{self.pod_namespace}"
        return self.release, service, f"{service}.svc", f"{service}.svc.{self.cluster_domain}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ClusterSettings:
        """Raises Problems, with all that is malformed or missing."""
        read = _Reader(environment)
        given: dict[str, Any] = {
            name: read.text(name)
            for name in (
                *("pod_uid", "pod_ip", "node_name", "release", "image", "image_pull_policy"),
                *("cluster_domain", "certificates"),
            )
        }
        given["cluster_ranges"] = tuple(read.each("cluster_ranges", _range))
        for name in ("cluster_dns", "upstream_dns"):
            given[name] = tuple(map(str, read.each(name, ip_address)))
        given["denied_status"] = read.number("denied_status", range(400, 600))
        given["metrics_port"] = read.number("metrics_port", range(65536))
        given["audit_namespaces"] = tuple(read.text("audit_namespaces").replace(",", " ").split())
        given["traces"] = read.traces()
        given["sidecar_resources"] = read.mapping("sidecar_resources")
        settings = cls(
            read.text("pod_name", required=True),
            read.text("pod_namespace", required=True),
            native_sidecars=read.text("native_sidecars") != "false",
            node_wall=read.text("node_wall") != "false",
            **{name: value for name, value in given.items() if value},
        )
        if read.problems:
            raise Problems(read.problems)
        return settings


class _Reader:
    """Reads variables, and notes what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._environment = environment

    def text(self, name: str, *, required: bool = False) -> str:
        text = self._environment.get(_variable(name), "")
        if required and not text:
            message = f"{_variable(name)} is missing"
            self.problems.append(Problem("EXW0906", message, "the chart sets it: this command runs in its pods"))
        return text

    def each(self, name: str, read: Callable[[str], Read]) -> Iterator[Read]:
        for word in self.text(name).replace(",", " ").split():
            try:
                yield read(word)
            except ValueError as error:
                self._malformed(name, str(error))

    def number(self, name: str, allowed: range) -> int:
        """0: it is not given."""
        text = self.text(name)
        if text and not (text.isascii() and text.isdecimal() and int(text[:9]) in allowed):
            self._malformed(name, f"it is not a number from {allowed[0]} to {allowed[-1]}")
            return 0
        return int(text or 0)

    def traces(self) -> Traces | None:
        """As on one machine (``exitway/settings.py``)."""
        if place := self.text("traces"):
            try:
                return Traces.at(place, self.text("traces_percent") or "100")
            except ValueError as error:
                self._malformed("traces", str(error))
        return None

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        try:
            value = json.loads(self.text(name) or "null")
        except ValueError as error:
            self._malformed(name, str(error))
            return None
        if value is None or isinstance(value, dict):
            return value
        self._malformed(name, "it is not a mapping")
        return None

    def _malformed(self, name: str, why: str) -> None:
        message = f"{_variable(name)} is {quoted(self.text(name))}: {why}"
        self.problems.append(Problem("EXW0906", message, "mend the variable, or unset it"))


def _range(word: str) -> IPv4Network | IPv6Network:
    network = ip_network(word)
    if network.prefixlen < _WIDEST:
        raise ValueError(f"{network} is wider than any cluster, and pods send there as they please")
    return network


def _variable(name: str) -> str:
    return f"EXITWAY_{name.upper()}"
