"""Where in a resource it stands what one of its intents says."""

from __future__ import annotations

from exitway.resources import istio_egress_rule
from exitway.resources.form import mappings
from exitway.resources.resource import Resource


def destination_field(resource: Resource, target: int, destination: int) -> str:
    """The path of the destination with an index in the intent's target with an index, such as ``spec.to[0].hosts[1]``."""
    if resource.api_version == istio_egress_rule.API_VERSION:
        return "spec.destination.service"
    name = "hosts" if resource.intents[0].to[target].hosts else "cidrs"
    return f"spec.to[{target}].{name}[{destination}]"


def port_field(resource: Resource, target: int, number: int) -> str:
    """The path of a port of that target, such as ``spec.to[0].ports[1].number``."""
    spec = resource.wire["spec"]
    if resource.api_version == istio_egress_rule.API_VERSION:
        listed, field, name = spec["ports"], "spec.ports", "port"
    else:
        listed, field, name = spec["to"][target]["ports"], f"spec.to[{target}].ports", "number"
    return next(f"{field}[{index}].{name}" for index, port in mappings(listed) if port[name] == number)
