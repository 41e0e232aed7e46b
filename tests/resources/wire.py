"""Objects written short, and what is wrong with them."""

from typing import Any

import pytest

from exitway.resources.catalogue import CATALOGUE
from exitway.resources.kinds import read
from exitway.resources.problem import Problems

Wire = dict[str, Any]


def istio(service: Any, *ports: str, name: str = "rule", namespace: str = "shop", **spec: Any) -> Wire:
    """A v1alpha2 rule; a port is written ``80/http``."""
    listed = [{"port": int(port.partition("/")[0]), "protocol": port.partition("/")[2]} for port in ports]
    return {
        "apiVersion": "config.istio.io/v1alpha2",
        "kind": "EgressRule",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"destination": {"service": service}, "ports": listed, **spec},
    }


def exitway(*to: Any, name: str = "rule", namespace: str = "shop", **spec: Any) -> Wire:
    """A v1 rule."""
    return {
        "apiVersion": "exitway.dev/v1",
        "kind": "EgressRule",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"to": list(to), **spec},
    }


def to(destination: str, *ports: str, **fields: Any) -> Wire:
    """An entry of ``spec.to``: a host, or with a slash a CIDR block; a port is written ``443/TLS``."""
    listed = [{"number": int(port.partition("/")[0]), "protocol": port.partition("/")[2]} for port in ports]
    return {"cidrs" if "/" in destination else "hosts": [destination], "ports": listed, **fields}


def problems(wire: Wire) -> list[tuple[str, str, str]]:
    """Code, field and message of everything that is wrong; nothing, if nothing is."""
    try:
        read(wire)
    except Problems as raised:
        assert raised.problems
        assert all(problem.code in CATALOGUE for problem in raised.problems)
        return [(problem.code, problem.field, problem.message) for problem in raised.problems]
    return []


def hints(wire: Wire) -> list[str]:
    with pytest.raises(Problems) as raised:
        read(wire)
    return [problem.hint for problem in raised.value.problems]
