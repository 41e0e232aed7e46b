"""A file of expectations, read strictly.

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
from dataclasses import dataclass
from datetime import datetime

from exitway.explain.suites.form import Call, File, Group, Who, target_of, value_faults, written_out
from exitway.explain.suites.suite import Case
from exitway.names.call import Reason, Verdict
from exitway.names.workload import Workload
from exitway.resources.document import Document
from exitway.resources.egress_rule import moment
from exitway.resources.form import read_form
from exitway.resources.problem import MAX_PROBLEMS, Problem, Problems


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
    wire = written_out(document.wire)
    form, problems = read_form(File, wire)
    faults = list(value_faults(wire))
    if form is None or problems or faults:
        raise Problems([one.at(document.place(one.field)) for one in [*problems, *faults][:MAX_PROBLEMS]])
    outer = _Whose(
        form.namespace or namespace, labels if form.labels is None else form.labels, _at(form, None), form.because
    )
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

    def of(self, who: Who) -> _Whose:
        """What holds further in: what is given there comes instead."""
        labels = self.labels if who.labels is None else who.labels
        return _Whose(who.namespace or self.namespace, labels, _at(who, self.at), who.because or self.because)


def _cases(group: Group, field: str, whose: _Whose, document: Document, name: str) -> Iterator[Case]:
    for expected, calls in ((Verdict.ALLOW, group.allow), (Verdict.DENY, group.deny)):
        for index, call in enumerate(calls):
            place = document.place(f"{field}{expected}[{index}]")
            inner = whose.of(call)
            yield Case(
                expected,
                _said(call),
                target_of(call.call, call.method, call.protocol, call.dialled),
                Workload(inner.namespace, "test", inner.labels),
                place,
                inner.at,
                Reason(call.reason) if call.reason else None,
                call.rule,
                name,
                inner.because,
            )


def _said(call: Call) -> str:
    """The call as it is written."""
    dialled = f" dialled at {call.dialled}" if call.dialled else ""
    return " ".join(filter(None, (call.method, call.protocol, call.call))) + dialled


def _at(who: Who, outer: datetime | None) -> datetime | None:
    return moment(who.at) if who.at else outer
