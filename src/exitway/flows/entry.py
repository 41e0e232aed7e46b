"""One line of Envoy's access log (``envoy/access_log.py``), read: what was called, what became of it, and the flow that it makes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from exitway.envoy import matcher
from exitway.flows.carried_out import carried_out, certain, is_audited, said, unresolved
from exitway.flows.fields import check, fields_of
from exitway.flows.flow import Flow
from exitway.flows.known import measured
from exitway.flows.live import Parts, split
from exitway.names.address import endpoint
from exitway.names.call import Call, Decision, Reason, Sort, Verdict
from exitway.names.guard import permitted
from exitway.names.host import LOCAL_HOST, authority_name
from exitway.names.key import Key
from exitway.policy.decide import decide
from exitway.policy.policy import Policy

LONGEST_PATH = 2048
"""Characters of a request's path that are told."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What is needed to read a workload's lines.

    Who it is, its policy and the one before, the names behind its synthetic addresses, why the proxy was refused the addresses of a name at a
    port, and which of its processes has the connection
    between two ``address:port``.
    """

    workload: str
    policy: Policy
    name_of: Callable[[str], str | None]
    refusal: Callable[[str, int], Reason | None]
    former: Policy | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    process: Callable[[str, str], str] = lambda *_: ""
    hindsight: Hindsight | None = None
    """Where lines are read long after they were written, and the policy may be another one than then."""


@dataclass(frozen=True, slots=True)
class Hindsight:
    """``written``: when rules were written last, RFC 3339. ``stands_for``: whether an address stands for a name."""

    written: Mapping[Key, str]
    stands_for: Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line that has been read."""

    fields: Mapping[str, Any]
    parts: Parts
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
            to = self.fields["z"].get("to")
            if not to or not _permitted(to, self.call.port, policy):
                return Decision(Verdict.DENY, Reason.ADDRESS, decided.because)
        return decided

    def let_out(self, identity: int) -> Flow:
        """What has reached the outside, and runs."""
        decided = self._decided()
        if not decided.allowed and not self.observed.policy.audit:  # the policy is another one by now: it is to be cut
            decided = Decision(Verdict.ALLOW, Reason.RULE)
        decided = self._certain(decided)
        return self.flow(self.fields["z"]["at"], decided, "", identity)

    def seen(self, identity: int) -> Flow:
        """What has come to its end."""
        decision = self._decided()
        if not self.observed.policy.audit:
            refusal = self._refusal(decision) if unresolved(self.fields) else None
            decision = self._certain(carried_out(self.fields, decision, refusal))
        detail = _detail(self.fields, decision, self.observed.policy)
        return self.flow(self.fields["z"]["at"], decision, detail, identity)

    def _decided(self) -> Decision:
        """What the policy says; under audit, what would have been done."""
        decided = decide(self.observed.policy, self.call)
        if self.observed.policy.audit and decided.allowed and (refusal := self._refusal(decided)):
            return Decision(Verdict.DENY, refusal, decided.because)
        return decided

    def _refusal(self, decided: Decision) -> Reason | None:
        """Why the proxy had no address to dial, where that is known. That another name was asked for, the address alone says."""
        if self.observed.hindsight and decided.reason is Reason.MISMATCH:
            return decided.reason
        return self.observed.refusal(self.call.name or self.asked, self.call.port)

    def _certain(self, decision: Decision) -> Decision:
        return certain(self.fields, decision, self.observed.hindsight.written) if self.observed.hindsight else decision

    @property
    def _audited(self) -> bool:
        return self.observed.policy.audit or (self.observed.hindsight is not None and is_audited(self.fields))

    def flow(self, time: str, decision: Decision, detail: str, identity: int = 0) -> Flow:
        """The flow of this decision."""
        this, (method, path) = self.fields["z"], _request(self.fields)
        duration, sent, received = measured(self.parts)
        return Flow(
            time=time,
            workload=self.observed.workload,
            name=self.call.name or self.asked,
            address=self.call.address,
            port=self.call.port,
            protocol=_protocol(self.fields, self.call.sort),
            decision=decision,
            detail=detail,
            audit=self._audited,
            asked=self.asked,
            method=method,
            path=path[:LONGEST_PATH],
            sni=self.fields.get("sni") or "",
            status=self.fields.get("status") or 0,
            sent=sent,
            received=received,
            duration=duration,
            upstream=this.get("to") or "",
            process=self.observed.process(this.get("peer") or "", self.fields["destination"]),
            labels=self.observed.labels,
            id=identity,
        )


def read(line: bytes, observed: Callable[[str], Observed | None]) -> Entry | None:
    """A line. None: it is of a workload that is not known any more.

    Raises:
        Unreadable: it is not as Envoy writes them.
    """
    fields = fields_of(line)
    found = observed(fields["workload"])
    if found is None:
        return None
    check(fields)
    address, port = endpoint(fields["destination"])
    asked = found.name_of(address) or _asked(fields, found, address)
    return Entry(fields, split(line), found, _call(fields, address, port, asked), asked)


def _permitted(to: str, port: int, policy: Policy) -> bool:
    address = ip_address(endpoint(to)[0])
    return permitted(address, port, ()) or permitted(address, port, policy.exceptions)


def _asked(fields: Mapping[str, Any], observed: Observed, address: str) -> str:
    """The name that was called, if the address that was dialled stands for it."""
    name = authority_name(fields.get("authority") or "") or (fields.get("sni") or "").lower()
    return name if name and observed.hindsight and observed.hindsight.stands_for(address, name) else ""


def _call(entry: Mapping[str, Any], address: str, port: int, asked: str) -> Call:
    if entry["chain"] == matcher.HTTP:
        name, (method, path) = authority_name(entry.get("authority") or ""), _request(entry)
        # whether there was such a header no line says; where it matters, the answer does
        overridden = said(entry).endswith(f"={Reason.METHOD}")
        return Call(Sort.HTTP, port, name, address, method=method, path=path, overridden=overridden)
    if entry.get("sni") or entry["chain"] == matcher.TLS:
        return Call(Sort.TLS, port, name=(entry.get("sni") or "").lower(), address=address, asked=asked)
    return Call(Sort.TCP, port, address=address, asked=asked)


def _request(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["z"].get("method") or "", entry["z"].get("path") or ""


def _protocol(entry: Mapping[str, Any], sort: Sort) -> str:
    return (entry.get("protocol") or "HTTP") if sort is Sort.HTTP else sort.value.upper()


def _detail(entry: Mapping[str, Any], decision: Decision, policy: Policy) -> str:
    """Why what was let out failed, or what was wrong with a request that never reached a rule."""
    flags = entry.get("flags") or "-"
    let_out = decision.allowed or policy.audit or decision.reason is Reason.ADDRESS
    if flags in ("-", "NR") or (not let_out and entry.get("status") != 400):
        return ""
    return " ".join(filter(None, (flags, entry.get("details"), entry.get("failure"))))
