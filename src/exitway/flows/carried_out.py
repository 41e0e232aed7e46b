"""What the proxy did, by a line of its access log; and what of that is certain where rules may have changed since. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exitway.envoy import matcher
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key

_BY_RULE = (Reason.RULE, Reason.DENIED)


def unresolved(entry: Mapping[str, Any]) -> bool:
    """Whether the proxy had no address to dial."""
    return "UH" in (flags := entry.get("flags") or "") or "DF" in flags


def carried_out(entry: Mapping[str, Any], decided: Decision, refusal: Reason | None) -> Decision:
    """What Envoy did, with the rule that the policy names for it.

    The line may be older than the policy: then what was done stands, and the rule is left out rather than guessed.
    """
    details = entry.get("details") or ""
    if refusal or "address_denied" in details:
        return Decision(Verdict.DENY, refusal or Reason.ADDRESS, decided.because)
    done, reason = _done(entry, decided)
    if done is decided.verdict:
        return decided
    return Decision(done, Reason.RULE if done is Verdict.ALLOW else reason)


def certain(entry: Mapping[str, Any], decision: Decision, written: Mapping[Key, str]) -> Decision:
    """What is certain of a decision that was worked out later, by rules that may be others. ``written``: when each was written last.

    The verdict is in the line, and of a request the reason as well. A rule is told where it says so now and was written before: then it said so at
    the time. Which rules there were besides nobody knows, so a connection that was refused has a reason only where such a rule denies it.
    """
    because, at = decision.because, entry["z"]["at"]
    rule = because if because and written.get(because, _NEVER) < at else None
    if is_audited(entry):
        return Decision(Verdict.DENY, _given(entry["decision"]))
    if entry["chain"] == matcher.HTTP and (said(entry) or entry["z"].get("to")):
        verdict, reason = _done(entry, decision)
        return Decision(verdict, reason, rule if reason is decision.reason else None)
    known = decision.reason is Reason.MISMATCH or (rule and decision.reason in _BY_RULE)
    return Decision(decision.verdict, decision.reason if known else Reason.UNKNOWN, rule)


_NEVER = "~"
"""After every time."""


def is_audited(entry: Mapping[str, Any]) -> bool:
    """Whether the proxy let a request through for an audit alone. No server can say so: where a rule allows it, the word is taken off its answer."""
    return bool(entry["z"].get("to")) and (entry.get("decision") or "").startswith("audit; ")


def said(entry: Mapping[str, Any]) -> str:
    """What the proxy itself answered. An answer from outside has no say in it, nor has one that was broken off."""
    return (not entry["z"].get("to") and entry.get("decision")) or ""


def _done(entry: Mapping[str, Any], decided: Decision) -> tuple[Verdict, Reason]:
    """The verdict that was carried out, and for a denial the reason that was given.

    Of a request that ended before the proxy had answered, or dialled anybody, no more is known than what was decided.
    """
    if entry["chain"] != matcher.HTTP:
        return (Verdict.DENY if entry["chain"] == matcher.DENY else Verdict.ALLOW), Reason.NO_RULE
    word = said(entry).partition("; ")[0]
    if entry["z"].get("to") or word.startswith(Verdict.ALLOW):
        return Verdict.ALLOW, Reason.RULE
    if word == Verdict.DENY or entry.get("status") in (400, 404) or "DPE" in (entry.get("flags") or ""):
        return Verdict.DENY, _given(said(entry))
    return decided.verdict, decided.reason


def _given(answer: str) -> Reason:
    """The reason in the proxy's answer; that nothing allows it, where it never came to a rule."""
    return Reason.read(answer.partition("; ")[2].removeprefix("reason="), Reason.NO_RULE)
