"""A file of expectations: its form, read strictly.

rules: ../rules                       # a file or a directory, or a list of them, seen from this file; absent: as the command says
namespace: shop                       # who calls; absent: as the command says
labels: {app: checkout}
at: 2027-01-31T12:00:00Z              # when; absent: now
allow:
  - https://api.stripe.com/v1/charges # a call, as explain/target.py reads it
  - POST http://api.example/orders
deny:
  - call: https://api.stripe.com/
    labels: {app: blog}               # instead of those above
    because: only the checkout has money to do with
    reason: no-rule                   # what else the decision must be; both may be absent
    rule: stripe
    dialled: 192.0.2.7                # a name or an address; absent: what the call names
tests:                                # more of them, each with a who of its own
  - name: the blog
    labels: {app: blog}
    allow: []
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from exitway.explain.suite import Case
from exitway.explain.target import Packet, read_target
from exitway.names.call import Call, Reason, Verdict
from exitway.names.workload import Workload
from exitway.resources.document import Document
from exitway.resources.egress_rule import moment
from exitway.resources.form import Form, did_you_mean, mapping, mappings, read_form
from exitway.resources.metadata import label_faults, namespace_faults
from exitway.resources.problem import MAX_PROBLEMS, Problem, Problems, quoted


class _Who(Form):
    namespace: str = ""
    labels: dict[str, str] | None = None
    at: str = ""
    because: str = ""


class _Call(_Who):
    call: str
    method: str = ""
    protocol: str = ""
    dialled: str = ""
    reason: str = ""
    rule: str = ""


class _Group(_Who):
    allow: tuple[_Call, ...] = ()
    deny: tuple[_Call, ...] = ()


class _Named(_Group):
    name: str = ""


class _File(_Group):
    rules: tuple[str, ...] = ()
    tests: tuple[_Named, ...] = ()


@dataclass(frozen=True)
class Suite:
    """One file. ``rules``: as they are named there."""

    rules: tuple[str, ...]
    namespace: str
    cases: tuple[Case, ...]


def read_suite(document: Document, namespace: str, labels: Mapping[str, str]) -> Suite:
    """The expectations of a document. ``namespace``, ``labels``: whose calls they are that name none.

    Raises:
        Problems: all that is wrong, with places.
    """
    wire = _written_out(document.wire)
    form, problems = read_form(_File, wire)
    faults = list(_faults(wire))
    if form is None or problems or faults:
        raise Problems([one.at(document.place(one.field)) for one in [*problems, *faults][:MAX_PROBLEMS]])
    outer = _Whose(form.namespace or namespace, labels if form.labels is None else form.labels, _at(form, None))
    cases = list(_cases(form, "", outer, document, ""))
    for index, group in enumerate(form.tests):
        cases += _cases(group, f"tests[{index}].", outer.of(group), document, group.name)
    if not cases:
        raise Problems(
            [Problem("EXW1801", "no call in it", "calls stand under allow and deny", place=document.place(""))]
        )
    return Suite(form.rules, outer.namespace, tuple(cases))


@dataclass(frozen=True)
class _Whose:
    namespace: str
    labels: Mapping[str, str]
    at: datetime | None
    because: str = ""

    def of(self, who: _Who) -> _Whose:
        """What holds further in: what is given there comes instead."""
        labels = self.labels if who.labels is None else who.labels
        return _Whose(who.namespace or self.namespace, labels, _at(who, self.at), who.because or self.because)


def _cases(group: _Group, field: str, whose: _Whose, document: Document, name: str) -> Iterator[Case]:
    for expected, calls in ((Verdict.ALLOW, group.allow), (Verdict.DENY, group.deny)):
        for index, call in enumerate(calls):
            place = document.place(f"{field}{expected}[{index}]")
            inner = whose.of(call)
            yield Case(
                expected,
                _said(call),
                _target(call.call, call.method, call.protocol, call.dialled),
                Workload(inner.namespace, "test", inner.labels),
                place,
                inner.at,
                Reason(call.reason) if call.reason else None,
                call.rule,
                name,
                inner.because,
            )


def _said(call: _Call) -> str:
    """The call as it is written."""
    dialled = f" dialled at {call.dialled}" if call.dialled else ""
    return " ".join(filter(None, (call.method, call.protocol, call.call))) + dialled


def _target(text: str, method: str, protocol: str, dialled: str, field: str = "") -> Call | Packet:
    """What is called. Raises :class:`Problems`, of the field ``call`` or ``dialled`` that begins so."""
    target = read_target(text, method=method, protocol=protocol, field=f"{field}call")
    if not dialled or isinstance(target, Packet):
        return target
    host = f"[{dialled}]" if dialled.count(":") > 1 and not dialled.startswith("[") else dialled
    where = read_target(f"{host}:{target.port}", protocol="TCP", field=f"{field}dialled")
    return replace(target, address=where.address, asked="" if isinstance(where, Packet) else where.asked)


def _at(who: _Who, outer: datetime | None) -> datetime | None:
    return moment(who.at) if who.at else outer


def _written_out(wire: Mapping[str, Any]) -> dict[str, Any]:
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


def _faults(wire: Mapping[str, Any]) -> Iterator[Problem]:
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
            _target(text, method, protocol, dialled, field)
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
    not in (Reason.RULE, Reason.RANGE, Reason.ADDRESS, Reason.REVOKED)  # the last two are known when it happens
)
