"""Envoy's access log lines (``envoy/access_log.py``) to flows. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from exitway.envoy import matcher
from exitway.flows.flow import Flow
from exitway.names.call import Call, Decision, Reason, Sort, Verdict
from exitway.names.host import authority_name
from exitway.policy.decide import decide
from exitway.policy.policy import Policy

MOST_REMEMBERED = 10_000
"""Allowed destinations whose first use is remembered. When there are more, all are forgotten and told once again."""

LONGEST_REQUEST = 200
"""Characters of a denied request's method and path that are told."""

_TIME_KEY = b',"z":'


@dataclass(frozen=True, slots=True)
class Observed:
    """What is needed to read a workload's lines.

    Who it is, its policy, the names behind its synthetic addresses, and why the proxy was refused the addresses of a name at a port.
    """

    workload: str
    policy: Policy
    name_of: Callable[[str], str | None]
    refusal: Callable[[str, int], Reason | None]


class AccessLogReader:
    """Turns lines into flows: every denial, and the first use of each allowed destination."""

    def __init__(self, observed: Callable[[str], Observed | None]) -> None:
        self._observed = observed
        self._seen: set[bytes] = set()

    def flows(self, lines: Iterable[bytes]) -> Iterator[Flow]:
        """The flows worth telling. A line that is not ours, or of a workload that is not known any more, is passed over."""
        for line in lines:
            beginning = line.partition(_TIME_KEY)[0]
            if beginning in self._seen:
                continue
            flow = self._flow(line)
            if flow is None:
                continue
            if flow.decision.allowed:
                self._remember(beginning)
            yield flow

    def _remember(self, beginning: bytes) -> None:
        if len(self._seen) >= MOST_REMEMBERED:
            self._seen.clear()
        self._seen.add(beginning)

    def _flow(self, line: bytes) -> Flow | None:
        try:
            entry = json.loads(line)
            observed = self._observed(entry["workload"])
        except (ValueError, KeyError, TypeError):
            return None
        if observed is None:
            return None
        address, _, port = entry["destination"].rpartition(":")
        address = address.strip("[]")
        asked = observed.name_of(address) or ""
        call = _call(entry, address, int(port), asked)
        refusal = observed.refusal(call.name or asked, call.port) if _unresolved(entry) else None
        decision = _decision(entry, decide(observed.policy, call), refusal)
        return Flow(
            time=entry["z"]["at"],
            workload=observed.workload,
            name=call.name or asked,
            address=address,
            port=call.port,
            protocol=_protocol(entry, call.sort),
            decision=decision,
            detail=_detail(entry, decision),
        )


def _call(entry: Mapping[str, Any], address: str, port: int, asked: str) -> Call:
    if entry["chain"] == matcher.HTTP:
        name, (method, path) = authority_name(entry.get("authority") or ""), _request(entry)
        # whether there was such a header no line says; where it matters, the answer does
        overridden = _said(entry).endswith(f"={Reason.METHOD}")
        return Call(Sort.HTTP, port, name, address, method=method, path=path, overridden=overridden)
    if entry.get("sni") or entry["chain"] == matcher.TLS:
        return Call(Sort.TLS, port, name=(entry.get("sni") or "").lower(), address=address, asked=asked)
    return Call(Sort.TCP, port, address=address, asked=asked)


def _request(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["z"].get("method") or "", entry["z"].get("path") or ""


def _unresolved(entry: Mapping[str, Any]) -> bool:
    """Whether the proxy had no address to dial."""
    return "UH" in (flags := entry.get("flags") or "") or "DF" in flags


def _decision(entry: Mapping[str, Any], decided: Decision, refusal: Reason | None) -> Decision:
    """What Envoy did, with the rule that the policy names for it.

    The line may be older than the policy: then what was done stands, and the rule is left out rather than guessed.
    """
    details = entry.get("details") or ""
    if refusal or "address_denied" in details:
        return Decision(Verdict.DENY, refusal or Reason.ADDRESS, decided.because)
    done, reason = _done(entry, details)
    if done is decided.verdict:
        return decided
    return Decision(done, Reason.RULE if done is Verdict.ALLOW else reason)


def _said(entry: Mapping[str, Any]) -> str:
    """What the proxy itself answered. An answer from outside has no say in it."""
    return (entry.get("details") != "via_upstream" and entry.get("decision")) or ""


def _done(entry: Mapping[str, Any], details: str) -> tuple[Verdict, Reason]:
    """The verdict that was carried out, and for a denial the reason that was given."""
    if entry["chain"] != matcher.HTTP:
        return (Verdict.DENY if entry["chain"] == matcher.DENY else Verdict.ALLOW), Reason.NO_RULE
    word, _, rest = _said(entry).partition("; ")
    if word == Verdict.DENY or (entry.get("status") in (400, 404) and details != "via_upstream"):
        given = rest.removeprefix("reason=")
        return Verdict.DENY, Reason(given) if given in _REASONS else Reason.NO_RULE
    return Verdict.ALLOW, Reason.RULE


_REASONS = frozenset(reason.value for reason in Reason)


def _protocol(entry: Mapping[str, Any], sort: Sort) -> str:
    return (entry.get("protocol") or "HTTP") if sort is Sort.HTTP else sort.value.upper()


def _detail(entry: Mapping[str, Any], decision: Decision) -> str:
    """Why an allowed call failed, what was wrong with a request that never reached a rule, or what request was denied."""
    flags = entry.get("flags") or "-"
    if entry["chain"] == matcher.HTTP and not decision.allowed and flags in ("-", "NR"):
        return " ".join(filter(None, _request(entry)))[:LONGEST_REQUEST]
    if flags in ("-", "NR") or (
        not decision.allowed and decision.reason is not Reason.ADDRESS and entry.get("status") != 400
    ):
        return ""
    return " ".join(filter(None, (flags, entry.get("details"), entry.get("failure"))))
