"""Which names may leave over HTTP: one route configuration for each policy.

Names that may use the same ports stand together in one virtual host, so ten thousand names are one list of ten thousand strings, not ten
thousand virtual hosts. The port that was dialled is compared as a state of the connection (``listener.py`` sets it): nothing that the
client writes into a request has a part in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum

from exitway.envoy.api import Json
from exitway.envoy.cluster import BY_NAME, BY_NAME_OVER_TLS
from exitway.envoy.wire import header, text
from exitway.names.call import Reason, Sort, Verdict
from exitway.names.host import Host
from exitway.policy.policy import Policy
from exitway.resources.intent import Permissions

DIALLED_PORT = "exitway.dialled_port"
DECISION = "x-exitway-decision"


class Right(StrEnum):
    """What holds for HTTP on one port of a destination."""

    ALLOW = "allow"
    ALLOW_OVER_TLS = "allow-over-tls"
    DENIED = "denied"
    OTHER_PROTOCOL = "other-protocol"


_Rights = tuple[tuple[int, Right], ...]
"""What the names of a virtual host have in common: a right for each port number that a rule speaks of."""


def route_configuration(name: str, policy: Policy, namespace: str, denied_status: int) -> Json:
    """The names of a policy, for HTTP. Equal policies give equal JSON."""
    groups: defaultdict[_Rights, list[str]] = defaultdict(list)
    known: dict[object, _Rights] = {}
    for host, permissions in policy.hosts.items():
        shape = tuple(
            [(at, one.verdict, one.port.originate_tls) for at, one in permissions.items()]
        )  # all but the rules' names
        if shape not in known:
            known[shape] = _rights(permissions)
        groups[known[shape]].append(str(host))
    if Host("", wildcard=True) not in policy.hosts:
        groups[()].append("*")
    return {
        "name": name,
        "request_headers_to_remove": ["x-forwarded-proto"],
        "virtual_hosts": [
            {
                "name": ",".join(f"{port}:{right}" for port, right in rights) or "none",
                "domains": sorted(domains),
                "routes": [*_routes(rights, namespace, denied_status)],
            }
            for rights, domains in sorted(groups.items())
        ],
    }


def _rights(permissions: Permissions) -> _Rights:
    rights: dict[int, Right] = {}
    for (port, sort), permission in sorted(permissions.items()):
        if sort is not Sort.HTTP:
            if permission.verdict is Verdict.ALLOW:
                rights.setdefault(port, Right.OTHER_PROTOCOL)
        elif permission.verdict is Verdict.DENY:
            rights[port] = Right.DENIED
        else:
            rights[port] = Right.ALLOW_OVER_TLS if permission.port.originate_tls else Right.ALLOW
    return tuple(sorted(rights.items()))


def _routes(rights: _Rights, namespace: str, denied_status: int) -> Iterator[Json]:
    """One route for each port that a rule speaks of, then the refusal of every other port."""
    for port, right in rights:
        match = {"prefix": "/", "filter_state": [{"key": DIALLED_PORT, "string_match": {"exact": str(port)}}]}
        if right in _CLUSTERS:
            # a site that says so itself is not to be mistaken for us
            yield {"match": match, "route": _forward(right, port), "response_headers_to_remove": [DECISION]}
        else:
            yield {"match": match} | refusal(_REASONS[right], namespace, denied_status)
    allowed = sorted(port for port, right in rights if right is not Right.DENIED)
    reason = Reason.PORT if allowed else Reason.NO_RULE
    yield {"match": {"prefix": "/"}} | refusal(reason, namespace, denied_status, ports=allowed)


def _forward(right: Right, port: int) -> Json:
    """The listener has taken the port off the authority, so that none but the dialled one can count; where it belongs there, it is put back."""
    route = {"cluster": _CLUSTERS[right], "timeout": "0s"}
    usual = 443 if right is Right.ALLOW_OVER_TLS else 80
    return route if port == usual else route | {"host_rewrite": "%REQ(:AUTHORITY)%:%DOWNSTREAM_LOCAL_PORT%"}


_CLUSTERS = {Right.ALLOW: BY_NAME, Right.ALLOW_OVER_TLS: BY_NAME_OVER_TLS}
_REASONS = {Right.DENIED: Reason.DENIED, Right.OTHER_PROTOCOL: Reason.PROTOCOL}
_SENTENCES = {
    Reason.NO_RULE: "no egress rule allows this destination",
    Reason.PORT: "a rule allows this destination on port {ports} only",
    Reason.PROTOCOL: "a rule allows this destination and port, but not for HTTP",
    Reason.DENIED: "a rule with action DENY names this destination",
}


def refusal(reason: Reason, namespace: str, denied_status: int, ports: Iterable[int] = ()) -> Json:
    """The answer to a denied request: the status, ``x-exitway-decision``, and a short text that says who, what, which port and why."""
    why = _SENTENCES[reason].format(ports=" or ".join(map(str, ports)))
    body = (
        "Denied by Exitway\n"
        f"  workload     {namespace}/%METADATA(LISTENER:exitway:workload)%\n"
        "  destination  %REQ(:AUTHORITY)%, HTTP, dialled at port %DOWNSTREAM_LOCAL_PORT%\n"
        f"  reason       {reason}: {why}\n"
        f"  to allow it  exitway create -f RULE.yml -n {namespace}    (an EgressRule for this host and port)\n"
    )
    return {
        "direct_response": {"status": denied_status, "body_format": text(body)},
        "response_headers_to_add": [header(DECISION, f"deny; reason={reason}")],
    }
