"""What the parts of Exitway call each other by in a cluster: labels, ports, marks, ranges of addresses."""

from __future__ import annotations

from enum import StrEnum

PLACEMENT = "exitway.dev/placement"
"""Label of a namespace, annotation of a pod: where the proxy of the pods stands. ``none``, as an annotation, only where the namespace allows it."""
OPT_OUT = "exitway.dev/opt-out"
"""Label of a namespace: with ``allowed``, its pods may say that they have no placement."""
CAPTURED = "exitway.dev/captured"
"""Label of a pod that was made ready to be captured; its value is the placement."""
UNSAFE_PODS = "exitway.dev/unsafe-pods"
"""Label of a namespace: with ``allowed``, its pods may say that they ask for what defeats the boundary."""
UNSAFE = "exitway.dev/allow-unsafe"
"""Annotation of a pod: what it asks for although it defeats the boundary, by commas. Without ``UNSAFE_PODS`` it allows nothing."""
MIRROR = "kubernetes.io/config.mirror"
"""Annotation of Kubernetes: the pod is the image, in the API, of a static pod, which its node runs without asking."""
NODES = "system:node:"
"""How the names of users begin who are kubelets."""


class Placement(StrEnum):
    """Where the proxy of a pod stands."""

    SIDECAR = "sidecar"
    NODE = "node"
    NONE = "none"


AUDIENCE = "exitway"
"""Of the service account tokens by which proxies and agents prove which pod they are."""

AUTHORITIES = "/etc/exitway/authorities"
"""The directory, in Exitway's own pods, that the files of certificate authorities are in which rules name. No other path is opened for a rule."""

XDS_PORT = 15012
WEBHOOK_PORT = 9443
HEALTH_PORT = 8081
DNS_PORT = 5353
"""Where the resolver listens for the queries of pods; its service has port 53."""
RESOLVER_PORT = 5354
"""Where it listens for the questions of proxies (``question.py``)."""

NODE_RESOLVER_PORT = 3
"""Where the agent of a node serves names in a pod, on both loopback addresses: beside the proxy's ports, where no program of the pod may listen."""

CAPTURED_MARK = 0x45580001
"""Of packets in a pod's namespace that are led to the proxy."""
PROXY_MARK = 0x45580002
"""Of packets that a sidecar sends to names and to the control plane. Setting a mark needs a capability that no container of an application has."""
ADDRESS_MARK = 0x45580003
"""Of those among them that go to an address which a rule for its network allows: what guards names does not hold for it."""
INBOUND_MARK = 0x45580004
"""Of the connections that came in from elsewhere: their answers leave."""
CAPTURE_TABLE = 17752
"""The routing table of a pod's namespace by which marked packets come back in."""

HASHED_IPV4 = "241.0.0.0/8"
HASHED_IPV6 = "2001:2:0:f241::/64"
"""Where the resolver of a cluster puts names: addresses that are worked out of the name alone, so that every replica gives the same."""
