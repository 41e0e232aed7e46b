"""The form of a file of expectations: its fields, its short forms, and what is wrong with the values of the right type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from exitway.explain.target import Packet, read_target
from exitway.names.call import Call as Called
from exitway.names.call import Reason, Verdict
from exitway.resources.egress_rule import moment
from exitway.resources.form import Form, did_you_mean, mapping, mappings
from exitway.resources.metadata import label_faults, namespace_faults
from exitway.resources.problem import Problem, Problems, quoted


class Who(Form):
    """Who calls, when, and why it must be so."""

    namespace: str = ""
    labels: dict[str, str] | None = None
    at: str = ""
    because: str = ""


class Call(Who):
    """One call, written out."""

    call: str
    method: str = ""
    protocol: str = ""
    dialled: str = ""
    reason: str = ""
    rule: str = ""


class Group(Who):
    """Calls of one who."""

    allow: tuple[Call, ...] = ()
    deny: tuple[Call, ...] = ()


class Named(Group):
    """A group among others."""

    name: str = ""


class File(Group):
    """The whole file."""

    rules: tuple[str, ...] = ()
    tests: tuple[Named, ...] = ()


def target_of(text: str, method: str, protocol: str, dialled: str, field: str = "") -> Called | Packet:
    """What is called. Raises :class:`Problems`, of the field ``call`` or ``dialled`` that begins so."""
    target = read_target(text, method=method, protocol=protocol, field=f"{field}call")
    if not dialled or isinstance(target, Packet):
        return target
    host = f"[{dialled}]" if dialled.count(":") > 1 and not dialled.startswith("[") else dialled
    where = read_target(f"{host}:{target.port}", protocol="TCP", field=f"{field}dialled")
    return replace(target, address=where.address, asked="" if isinstance(where, Packet) else where.asked)


def written_out(wire: Mapping[str, Any]) -> dict[str, Any]:
    """The file with its short forms in full: a call that is only text, one set of rules."""
    full = {**wire, **_with_calls(wire)}
    if isinstance(full.get("rules"), str):
        full["rules"] = [full["rules"]]
    if isinstance(full.get("tests"), list):
        full["tests"] = [{**one, **_with_calls(one)} if isinstance(one, dict) else one for one in full["tests"]]
    return full


def _with_calls(group: Mapping[str, Any]) -> dict[str, Any]:
    return {
        verdict: [{"call": call} if isinstance(call, str) else call for call in group[verdict]]
        for verdict in Verdict
        if isinstance(group.get(verdict), list)
    }


def value_faults(wire: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the values of the right type."""
    yield from _group_faults(wire, "")
    for index, group in mappings(wire.get("tests")):
        yield from _group_faults(group, f"tests[{index}].")


def _group_faults(group: Mapping[str, Any], field: str) -> Iterator[Problem]:
    yield from _who_faults(group, field)
    for verdict in Verdict:
        for index, call in mappings(group.get(verdict)):
            at = f"{field}{verdict}[{index}]."
            yield from _who_faults(call, at)
            yield from _call_faults(call, at)
            yield from _reason_faults(call.get("reason"), verdict, f"{at}reason")


def _who_faults(who: Mapping[str, Any], field: str) -> Iterator[Problem]:
    if who.get("namespace"):
        yield from namespace_faults(who["namespace"], f"{field}namespace")
    yield from label_faults(mapping(who.get("labels")), f"{field}labels")
    at = who.get("at")
    if isinstance(at, str) and at and moment(at) is None:
        yield Problem(
            "EXW0310", f"{quoted(at)} is not a time", "such as 2027-01-31T00:00:00Z, with its zone", f"{field}at"
        )


def _call_faults(call: Mapping[str, Any], field: str) -> Iterator[Problem]:
    text, method, protocol, dialled = (call.get(name, "") for name in ("call", "method", "protocol", "dialled"))
    if "call" in call and all(isinstance(one, str) for one in (text, method, protocol, dialled)):
        try:
            target_of(text, method, protocol, dialled, field)
        except Problems as bad:
            yield from bad.problems


def _reason_faults(reason: Any, verdict: Verdict, field: str) -> Iterator[Problem]:
    possible = _ALLOWING if verdict is Verdict.ALLOW else _DENYING
    if isinstance(reason, str) and reason and reason not in possible:
        what = "allowed" if verdict is Verdict.ALLOW else "denied"
        yield Problem(
            "EXW1802", f"nothing is {what} for the reason {quoted(reason)}", did_you_mean(reason, possible), field
        )


_ALLOWING = (Reason.RULE.value,)
_DENYING = tuple(
    reason.value
    for reason in Reason
    if reason
    not in (
        Reason.RULE,
        Reason.RANGE,
        Reason.ADDRESS,
        Reason.REVOKED,
        Reason.UNKNOWN,
    )  # those but the first two come of what happened
)
