"""Rules written short, and the scene of whoever asks."""

from datetime import UTC, datetime

import yaml

from exitway.names.workload import Workload
from exitway.resources import kinds
from exitway.resources.document import read_documents
from exitway.resources.registry import Registry
from exitway.server.trial import Trial

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def rule(name, text, namespace="shop", kind="exitway.dev/v1"):
    """``text``: the spec, YAML."""
    metadata = {"name": name, "namespace": namespace}
    return kinds.read(
        {
            "apiVersion": kind,
            "kind": "EgressRule",
            "metadata": metadata,
            "spec": read_documents(text.encode(), "")[0].wire,
        }
    )


def istio(name, service, ports, namespace="shop"):
    """``ports``: ``80/http 443/https``."""
    listed = [{"port": int(one.partition("/")[0]), "protocol": one.partition("/")[2]} for one in ports.split()]
    spec = yaml.safe_dump({"destination": {"service": service}, "ports": listed})
    return rule(name, spec, namespace, "config.istio.io/v1alpha2")


def scene(*rules, namespace="shop", labels=None, **given):
    return Trial(Registry().changed(rules, revision=1), Workload(namespace, "", labels or {}), NOW, **given)
