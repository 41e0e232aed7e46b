"""Envoy's access log lines (``envoy/access_log.py``) to flows. Pure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from exitway.envoy import matcher
from exitway.flows.flow import Flow
from exitway.flows.live import Live, is_end, split
from exitway.names.address import endpoint
from exitway.names.call import Call, Decision, Reason, Sort, Verdict
from exitway.names.guard import permitted
from exitway.names.host import LOCAL_HOST, authority_name
from exitway.policy.decide import decide
from exitway.policy.policy import Policy

MOST_REMEMBERED = 10_000
"""Allowed destinations whose first use is remembered. When there are more, all are forgotten and told once again."""

LONGEST_REQUEST = 200
"""Characters of a denied request's method and path that are told."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What is needed to read a workload's lines.

    Who it is, its policy and the one before, the names behind its synthetic addresses, and why the proxy was refused the addresses of a name at a
    port.
    """

    workload: str
    policy: Policy
    name_of: Callable[[str], str | None]
    refusal: Callable[[str, int], Reason | None]
    former: Policy | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    fields: Mapping[str, Any]
    observed: Observed
    call: Call
    asked: str
    """The name behind the address that was dialled, or empty."""

    def still(self, policy: Policy) -> Decision:
        """The verdict on what runs. That the program asked for this name was seen when it began: its address may stand for another by now.

        Not so where the address alone says which name it is: there it is pinned.
        """
        call = self.call if self.fields["chain"] == matcher.NAMED else replace(self.call, asked=None)
        decided = decide(policy, call)
        if decided.allowed and self.fields["chain"] != matcher.TCP and (call.name or self.asked) != LOCAL_HOST:
            address = ip_address(endpoint(self.fields["z"]["to"])[0])
            if not permitted(address, self.call.port, ()) and not permitted(address, self.call.port, policy.exceptions):
                return Decision(Verdict.DENY, Reason.ADDRESS, decided.because)
        return decided

    def flow(self, time: str, decision: Decision, detail: str) -> Flow:
        return Flow(
            time=time,
            workload=self.observed.workload,
            name=self.call.name or self.asked,
            address=self.call.address,
            port=self.call.port,
            protocol=_protocol(self.fields, self.call.sort),
            decision=decision,
            detail=detail,
            audit=self.observed.policy.audit,
        )


class AccessLogReader:
    """Turns lines into flows: every denial, and the first use of each allowed destination. ``live``: what runs, as far as it was told."""

    def __init__(self, observed: Callable[[str], Observed | None], ids: Iterator[int] | None = None) -> None:
        """``ids``: of the flows, one after the other."""
        self._observed = observed
        self._ids = ids or itertools.count(1)
        self._seen: set[bytes] = set()
        self.live = Live()

    def recall(self, lines: Iterable[bytes]) -> None:
        """Take in what an earlier reader has read: what of it runs still. Nothing is told."""
        for line in lines:
            identity = split(line)[1]
            if is_end(line):
                self.live.end(identity)
            else:
                self.live.begin(identity, line)

    def flows(self, lines: Iterable[bytes], begun: Callable[[bytes], None] = lambda _: None) -> Iterator[Flow]:
        """The flows worth telling; ``begun`` gets the line of all that runs and is told of for the first time.

        A line that is not ours, or of a workload that is not known any more, is passed over.
        """
        for line in lines:
            beginning, identity = split(line)
            if not is_end(line):
                if self.live.begin(identity, line):
                    begun(line)
                continue
            if not self.live.end(identity) or beginning in self._seen:
                continue
            flow = self._flow(line)
            if flow is None:
                continue
            if flow.decision.allowed or flow.audit:
                self._remember(beginning)
            yield replace(flow, id=next(self._ids))

    def revoked(self, line: bytes, time: str) -> Flow | None:
        """What is to be told when the connection or request of this line is cut at ``time``. None: it is not to be cut."""
        entry = self._entry(line)
        if entry is None:
            return None
        decided = entry.still(entry.observed.policy)
        if decided.allowed or entry.observed.policy.audit:
            return None
        before = entry.still(entry.observed.former) if entry.observed.former else decided
        why = " ".join(filter(None, (decided.reason, str(decided.because or ""))))
        return entry.flow(time, Decision(Verdict.DENY, Reason.REVOKED, before.because if before.allowed else None), why)

    def _remember(self, beginning: bytes) -> None:
        if len(self._seen) >= MOST_REMEMBERED:
            self._seen.clear()
        self._seen.add(beginning)

    def _entry(self, line: bytes) -> _Entry | None:
        try:
            fields = json.loads(line)
            observed = self._observed(fields["workload"])
        except (ValueError, KeyError, TypeError):
            return None
        if observed is None:
            return None
        address, port = endpoint(fields["destination"])
        asked = observed.name_of(address) or ""
        return _Entry(fields, observed, _call(fields, address, port, asked), asked)

    def _flow(self, line: bytes) -> Flow | None:
        entry = self._entry(line)
        if entry is None:
            return None
        fields, call, observed = entry.fields, entry.call, entry.observed
        refused = observed.policy.audit or _unresolved(fields)
        refusal = observed.refusal(call.name or entry.asked, call.port) if refused else None
        decided = decide(observed.policy, call)
        decision = _audited(decided, refusal) if observed.policy.audit else _decision(fields, decided, refusal)
        return entry.flow(fields["z"]["at"], decision, _detail(fields, decision))


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


def _audited(decided: Decision, refusal: Reason | None) -> Decision:
    """What would have been done."""
    return Decision(Verdict.DENY, refusal, decided.because) if decided.allowed and refusal else decided


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
