"""What a verdict does not say, and the program will see all the same."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from exitway.explain.scene import Scene, Way
from exitway.names.call import Call, Decision, Sort
from exitway.names.guard import NEVER, audited
from exitway.names.host import LOCAL_HOST

HTTP1_METHODS = (
    "ACL", "BIND", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "MERGE", "MKACTIVITY",
    "MKCALENDAR", "MKCOL", "MOVE", "MSEARCH", "NOTIFY", "OPTIONS", "PATCH", "POST", "PROPFIND", "PROPPATCH", "PURGE", "PUT",
    "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "TRACE", "UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE",
)  # fmt: skip
"""What Envoy 1.40 reads over HTTP/1 (``source/common/http/http1/balsa_parser.cc``; tried one by one)."""

_NEVER = tuple(map(ip_network, NEVER))


def caveats(scene: Scene, call: Call, decision: Decision, way: Way) -> Iterator[str]:
    """Sentences."""
    if scene.audit and not decision.allowed:
        yield _of_the_audit(call)
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
    if decision.allowed and call.sort is Sort.HTTP and not decision.direct and call.method not in HTTP1_METHODS:
        yield f"over HTTP/1 the proxy knows no method {call.method}, and answers 400; over HTTP/2 it does not mind"
    if decision.allowed and not call.asked and is_inward(call.address):
        yield inward_text(call.address)


def _of_the_audit(call: Call) -> str:
    """Where not even an audit leads, the program is told that there is nothing."""
    where = call.asked or call.address
    if (not call.asked and is_inward(call.address)) or call.asked == LOCAL_HOST:
        return f"the workload is under audit: this is recorded; but to {where} not even an audit leads"
    if call.sort is Sort.HTTP and not call.path:
        return f"the workload is under audit: this is recorded; but {call.method} without a path not even an audit lets through"
    return "the workload is under audit: this is recorded, and let through all the same"


def is_inward(address: str) -> bool:
    """Whether it is one that nothing leads to but a rule that names it: metadata, link-local, loopback, or nobody's."""
    return bool(address) and not audited(ip_address(address))


def inward_text(address: str) -> str:
    """What is to be said of it."""
    if any(ip_address(address) in network for network in _NEVER):
        return f"{address} is nobody's address"
    danger = "who reaches it may get credentials of the machine; only a rule for it (cidrs, TCP) lets it out, and in a cluster nothing"
    return f"{address} is a metadata, loopback or link-local address: {danger}"


def _of_the_address(scene: Scene, call: Call) -> str:
    excepted = sorted(
        {str(network) for network, port, allowed in scene.policy.exceptions if allowed and port == call.port}
    )
    but = f" (but {', '.join(excepted)}, which a rule allows)" if excepted else ""
    return f"{call.asked} was not looked up: if it leads only to private addresses{but}, it is denied (reason address)"
