"""Egress rules written short, in their wire form."""

ISTIO, EXITWAY = "config.istio.io/v1alpha2", "exitway.dev/v1"


def istio_rule(name, host="httpbin.org", port=80, protocol="http", namespace="default", **metadata):
    spec = {"destination": {"service": host}, "ports": [{"port": port, "protocol": protocol}]}
    return {
        "apiVersion": ISTIO,
        "kind": "EgressRule",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": spec,
    }


def rule(name, *hosts, port=443, protocol="TLS", namespace="default", **metadata):
    spec = {"to": [{"hosts": list(hosts or ["api.example"]), "ports": [{"number": port, "protocol": protocol}]}]}
    return {
        "apiVersion": EXITWAY,
        "kind": "EgressRule",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": spec,
    }
