"""The smallest rule that lets one call out: one destination, one port, and of HTTP one method and one path.

Where the smallest cannot be said in a rule (a method that is not upper case, a path that servers read in two ways), or would not be enough, the
next one is without it. Which of them is enough is not guessed: who asks tries them in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from exitway.names.call import Call, Sort
from exitway.names.host import as_label, is_host
from exitway.names.request import is_plain, is_upper_case
from exitway.resources.egress_rule import API_VERSION
from exitway.resources.request import LONGEST_PATH

Wire = dict[str, Any]


def least_rule(call: Call, namespace: str, name: str = "", labels: Mapping[str, str] | None = None) -> Wire | None:
    """The smallest EgressRule that speaks of the call, as it is written; None: no rule can.

    ``labels``: those that the rule selects its workloads by.
    """
    return next(rules_for(call, namespace, name, labels), None)


def rules_for(
    call: Call, namespace: str, name: str = "", labels: Mapping[str, str] | None = None, tls: Wire | None = None
) -> Iterator[Wire]:
    """Rules that speak of the call, the smallest first. ``tls``: what they say of who speaks TLS for a request; None: what is usual at its port."""
    selector = {"workloadSelector": {"matchLabels": dict(labels)}} if labels else {}
    metadata = {"name": name or rule_name(call), "namespace": namespace}
    for to in _destinations(call, _usual(call) if tls is None else tls):
        yield {
            "apiVersion": API_VERSION,
            "kind": "EgressRule",
            "metadata": metadata,
            "spec": {**selector, "to": [to]},
        }


def rule_name(call: Call) -> str:
    """A name for a rule for this call: ``api-example-443``."""
    said = call.name or call.asked or call.address
    return f"{as_label(said, 55) or 'any'}-{call.port}"


def _usual(call: Call) -> Wire:
    return {"originateTLS": True} if call.port == 443 else {}  # servers speak TLS there


def _destinations(call: Call, tls: Wire) -> Iterator[Wire]:
    if call.sort is not Sort.TCP and is_host(call.name):
        yield from _by_name(call, tls)
    if call.asked and is_host(call.asked) and (call.sort is Sort.TCP or call.asked != call.name):
        yield {"hosts": [call.asked], "ports": [_port(call.port, "TCP")]}
    elif not call.asked and call.address:  # behind any other address that can be dialled stands a name
        yield {"cidrs": [str(ip_network(call.address))], "ports": [_port(call.port, "TCP")]}


def _by_name(call: Call, tls: Wire) -> Iterator[Wire]:
    if call.sort is Sort.TLS:
        yield {"hosts": [call.name], "ports": [_port(call.port, "TLS")]}
        return
    whole: Wire = {"hosts": [call.name], "ports": [_port(call.port, "HTTP")], **tls}
    methods = {"methods": [call.method]} if is_upper_case(call.method) and not call.overridden else {}
    path = call.path.partition("?")[0]
    paths = {"paths": [path]} if is_plain(path) and "*" not in path and len(path) <= LONGEST_PATH else {}
    for narrowed in ({**methods, **paths}, paths, methods, {}):
        yield whole | narrowed


def _port(number: int, protocol: str) -> Wire:
    return {"number": number, "protocol": protocol}
