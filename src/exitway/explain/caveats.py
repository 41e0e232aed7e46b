"""What a verdict does not say, and the program will see all the same."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from exitway.explain.scene import Scene, Way
from exitway.names.call import Call, Decision, Sort
from exitway.names.guard import ALWAYS, NEVER
from exitway.names.host import LOCAL_HOST

_NEVER, _ALWAYS = tuple(map(ip_network, NEVER)), tuple(map(ip_network, ALWAYS))


def caveats(scene: Scene, call: Call, decision: Decision, way: Way) -> Iterator[str]:
    """Sentences."""
    if scene.audit and not decision.allowed:
        yield "the workload is under audit: this is recorded, and let through all the same"
    if decision.direct:
        yield "it goes through the kernel, past the proxy: what is said there is not looked at"
    if decision.allowed and call.asked and not decision.direct and call.asked != LOCAL_HOST:
        yield _of_the_address(scene, call)
    if way.nowhere:
        yield "the certificate authorities that the rule names cannot be read here; where the proxy cannot read them either, it answers 503"
    if (
        decision.allowed
        and call.sort is Sort.HTTP
        and call.port == 443
        and not (way.nowhere or "tls" in way.path.cluster)
    ):
        yield "clear-text HTTP goes to port 443, where servers speak TLS: https://, or originateTLS: true in the rule"
    if not call.asked and call.address and decision.allowed:
        yield from _of_addresses(call.address)


def _of_the_address(scene: Scene, call: Call) -> str:
    excepted = sorted(
        {str(network) for network, port, allowed in scene.policy.exceptions if allowed and port == call.port}
    )
    but = f" (but {', '.join(excepted)}, which a rule allows)" if excepted else ""
    return f"{call.asked} was not looked up: if it leads only to private addresses{but}, it is denied (reason address)"


def _of_addresses(text: str) -> Iterator[str]:
    address = ip_address(text)
    if any(address in network for network in _NEVER):
        yield f"{text} is nobody's address"
    elif any(address in network for network in _ALWAYS):
        yield f"{text} is a metadata, loopback or link-local address: who reaches it may get credentials of this machine"
