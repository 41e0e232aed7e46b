"""Which names may leave over HTTP: one route configuration for each policy.

Names that may use the same ports stand together in one virtual host, so ten thousand names are one list of ten thousand strings, not ten
thousand virtual hosts. The port that was dialled is compared as a state of the connection (``listener.py`` sets it): nothing that the
client writes into a request has a part in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from exitway.envoy.api import Json
from exitway.envoy.cluster import BY_NAME, BY_NAME_OVER_TLS
from exitway.envoy.request import OF_DOUBTFUL_PATH, UNDOUBTED_METHOD, matches
from exitway.envoy.tracing import TRACEPARENT, traced
from exitway.envoy.wire import header, text
from exitway.names.call import Reason, Sort, Verdict
from exitway.names.host import Host
from exitway.names.port import Port
from exitway.names.request import PATH_OVERRIDES
from exitway.names.traces import Traces
from exitway.policy.policy import Policy
from exitway.resources.intent import Permission, Permissions

DIALLED_PORT = "exitway.dialled_port"
DECISION = "x-exitway-decision"
LISTENER_NAME = "%METADATA(LISTENER:exitway:workload)%"


class Answer(StrEnum):
    """What becomes of a request."""

    ALLOW = "allow"
    DENIED = "denied"
    OTHER_PROTOCOL = "other-protocol"


class Right(NamedTuple):
    """What holds for some requests, or (with no methods and no paths) for all. ``cluster``: where they go, if they are allowed.

    Where spans are made of requests: ``rule``: whose it is; ``told``: whether the destination is to be told of the span.
    """

    answer: Answer
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    cluster: str = ""
    rule: str = ""
    told: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether no request is left to the next."""
        return not self.methods and not self.paths

    def __str__(self) -> str:
        return " ".join(
            filter(None, (self.answer, self.cluster, self.rule, self.told * TRACEPARENT, *self.methods, *self.paths))
        )


_Rights = tuple[tuple[int, tuple[Right, ...]], ...]
"""What the names of a virtual host have in common: for each port number that a rule speaks of, rights in their order."""


ClusterFor = Callable[[Port], str]
"""The cluster for allowed requests to a port. Where TLS is originated it is another one than ``BY_NAME``."""


def usual_cluster(port: Port) -> str:
    """The cluster for a port without certificate authorities of its own."""
    return BY_NAME_OVER_TLS if port.originate_tls else BY_NAME


@dataclass(frozen=True, slots=True)
class Denial:
    """What a denial says: the namespace, the HTTP status, and which workload it was (a format string)."""

    namespace: str
    status: int
    workload: str = LISTENER_NAME


def route_configuration(
    name: str,
    policy: Policy,
    denial: Denial,
    cluster_for: ClusterFor = usual_cluster,
    traces: Traces | None = None,
) -> Json:
    """The names of a policy, for HTTP. Equal policies give equal JSON. ``cluster_for`` is asked once for what is equal.

    ``traces``: where spans go. They say which rule was behind them, so then only names of the same rules stand together.
    """

    def refuse(match: Json, port: int, reason: Reason, ports: Iterable[int]) -> Iterator[Json]:
        if policy.audit:
            yield from _let_through(match, port, reason)
        else:
            yield {"match": match | _dialled(port)} | refusal(reason, denial, ports)

    groups: defaultdict[_Rights, list[str]] = defaultdict(list)
    known: dict[object, _Rights] = {}
    for host, permissions in policy.hosts.items():
        terms = (permissions.terms, permissions.rules) if traces else permissions.terms
        if terms not in known:
            known[terms] = _rights(permissions, cluster_for, traced=traces is not None)
        groups[known[terms]].append(str(host))
    if Host("", wildcard=True) not in policy.hosts:
        groups[()].append("*")
    return {
        "name": name,
        "request_headers_to_remove": ["x-forwarded-proto"],
        "virtual_hosts": [
            {
                "name": _name(rights),
                "domains": sorted(domains),
                "routes": [*_routes(rights, refuse, traces)],
            }
            for rights, domains in sorted(groups.items())
        ],
    }


_Refuse = Callable[[Json, int, Reason, Iterable[int]], Iterator[Json]]
"""The routes of requests that match, to a port (0: any), and are denied for a reason; ``PORT`` names the ports that would be allowed."""


def _name(rights: _Rights) -> str:
    """Readable, and of these rights only: neither a method nor a path has a space or a semicolon in it."""
    return ";".join(f"{port}:{right}" for port, ones in rights for right in ones) or "none"


def _rights(permissions: Permissions, cluster_for: ClusterFor, *, traced: bool) -> _Rights:
    rights: dict[int, tuple[Right, ...]] = {}
    for (port, sort), said in sorted(permissions.items()):
        if sort is Sort.HTTP:
            rights[port] = tuple(_right(permission, cluster_for, traced=traced) for permission in said)
        elif said[-1].verdict is Verdict.ALLOW and not _has_answer_for_all(rights.get(port, ())):
            rights[port] = (*rights.get(port, ()), Right(Answer.OTHER_PROTOCOL))
    return tuple(sorted(rights.items()))


def _right(permission: Permission, cluster_for: ClusterFor, *, traced: bool) -> Right:
    requests = permission.methods, permission.paths
    rule = str(permission.because) if traced else ""
    if permission.verdict is Verdict.DENY:
        return Right(Answer.DENIED, *requests, rule=rule)
    return Right(Answer.ALLOW, *requests, cluster_for(permission.port), rule, traced and permission.trace_context)


def _has_answer_for_all(rights: tuple[Right, ...]) -> bool:
    """Whether no request falls through: one of them is for all, or allows some, and then the others are refused for their method or path."""
    return any(right.is_whole or right.cluster for right in rights)


def _routes(rights: _Rights, refuse: _Refuse, traces: Traces | None) -> Iterator[Json]:
    """The routes for each port that a rule speaks of, then the refusal of every other port."""
    for port, ones in rights:
        for match, answer, rule in _answers(ones):
            told = isinstance(answer, Right) and answer.told
            said = traced(rule, traces, told=told) if traces and rule else {}
            if isinstance(answer, Reason):
                yield from (route | said for route in refuse(match, port, answer, ()))
            else:
                # a site that says so itself is not to be mistaken for us
                route = {"route": _forward(answer.cluster, port), "response_headers_to_remove": [DECISION]}
                if any(right.paths for right in ones):
                    route["request_headers_to_remove"] = [*PATH_OVERRIDES]
                yield {"match": match | _dialled(port)} | route | said
    allowed = [port for port, ones in rights if ones[-1].answer is not Answer.DENIED]
    reason = Reason.PORT if allowed else Reason.NO_RULE
    yield from refuse({"prefix": "/"}, 0, reason, allowed)


def _dialled(port: int) -> Json:
    """The part of a match that looks at the port; 0: any."""
    if not port:
        return {}
    return {"filter_state": [{"key": DIALLED_PORT, "string_match": {"exact": str(port)}}]}


def _answers(rights: tuple[Right, ...]) -> Iterator[tuple[Json, Right | Reason, str]]:
    """What to do with a request at one port, in the order of :func:`exitway.policy.decide.decide`: matches, what allows or denies it, its rule."""
    if any(right.paths for right in rights):
        yield OF_DOUBTFUL_PATH, Reason.PATH, ""
    sure = UNDOUBTED_METHOD if any(right.methods for right in rights) else []
    for right in rights:
        for match in matches(right.methods, right.paths, sure if right.cluster else []):
            yield match, right if right.cluster else _REASONS[right.answer], right.rule
    allowing = [right for right in rights if right.cluster]
    if sure:
        for paths in dict.fromkeys(right.paths for right in allowing):
            yield from ((match, Reason.METHOD, "") for match in matches((), paths))
    if allowing and all(right.paths for right in allowing):
        yield {"prefix": "/"}, Reason.PATH, ""


def _forward(cluster: str, port: int) -> Json:
    """The listener has taken the port off the authority, so that none but the dialled one can count; where it belongs there, it is put back."""
    route = {"cluster": cluster, "timeout": "0s"}
    usual = 80 if cluster == BY_NAME else 443
    return route if port == usual else route | {"host_rewrite": "%REQ(:AUTHORITY)%:%DOWNSTREAM_LOCAL_PORT%"}


def _let_through(match: Json, port: int, reason: Reason) -> Iterator[Json]:
    """What an audit does with requests that would be denied."""
    for dialled in [port] if port else [80, 0]:
        yield {
            "match": match | _dialled(dialled),
            "route": _forward(BY_NAME, dialled),
            "response_headers_to_add": [header(DECISION, f"audit; reason={reason}")],
        }


_REASONS = {Answer.DENIED: Reason.DENIED, Answer.OTHER_PROTOCOL: Reason.PROTOCOL}
_REQUEST = "  request      %REQ(:METHOD)% %REQ(:PATH):200%\n"
_SENTENCES = {
    Reason.NO_RULE: "no egress rule allows this destination",
    Reason.PORT: "a rule allows this destination on port {ports} only",
    Reason.PROTOCOL: "a rule allows this destination and port, but not for HTTP",
    Reason.METHOD: "a rule allows this destination and path, but not for this method, or a header asks for another one",
    Reason.PATH: "a rule allows this destination and port, but not for this path, or not for a path written like this",
    Reason.DENIED: "a rule with action DENY names it",
}


def refusal(reason: Reason, denial: Denial, ports: Iterable[int] = ()) -> Json:
    """The answer to a denied request: the status, ``x-exitway-decision``, and a short text that says who, what, which port and why."""
    why = _SENTENCES[reason].format(ports=" or ".join(map(str, ports)))
    body = (
        "Denied by Exitway\n"
        f"  workload     {denial.namespace}/{denial.workload}\n"
        "  destination  %REQ(:AUTHORITY)%, HTTP, dialled at port %DOWNSTREAM_LOCAL_PORT%\n"
        f"{_REQUEST if reason in (Reason.METHOD, Reason.PATH, Reason.DENIED) else ''}"
        f"  reason       {reason}: {why}\n"
        f"  to allow it  exitway explain -n {denial.namespace} URL    (says what is missing, and prints the smallest rule)\n"
    )
    return {
        "direct_response": {"status": denial.status, "body_format": text(body)},
        "response_headers_to_add": [header(DECISION, f"deny; reason={reason}")],
    }
