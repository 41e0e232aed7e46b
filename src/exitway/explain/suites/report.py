"""What came of expectations, in words and as JUnit XML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from xml.etree import ElementTree as ET

from exitway.explain.sheet import SENTENCES, rule_text
from exitway.explain.suites.suite import Outcome
from exitway.names.call import Reason
from exitway.names.words import listed


def verdict_text(outcome: Outcome) -> str:
    """``denied (port), nearest shop/stripe (rules/stripe.yml:6:5): port 443 (for TLS: https://) is allowed, you asked for 80``."""
    explanation, place_of = outcome.explanation, outcome.place_of
    decision = explanation.decision
    rule = rule_text(decision.because, explanation.target, place_of) if decision.because else ""
    if explanation.fault:
        return explanation.fault
    if decision.allowed:
        return f"allowed by {rule}"
    if decision.reason is Reason.DENIED:
        return f"denied by {rule}"
    if not explanation.near:
        return f"denied ({decision.reason}): {SENTENCES[decision.reason]}"
    near = explanation.near[0]
    return f"denied ({decision.reason}), nearest {rule_text(near.rule, near.target, place_of)}: {listed(near.differs)}"


def line(outcome: Outcome) -> str:
    """One line: where, what was expected, what is decided and why."""
    case = outcome.case
    why = f" - {case.because}" if case.because else ""
    if outcome.passed:
        return f"{case.place}: PASSED {case} ({case.who}){why}"
    return f"{case.place}: FAILED {case} ({case.who}): {expected(outcome)}{verdict_text(outcome)}{why}"


def expected(outcome: Outcome) -> str:
    """What beyond the verdict was expected and is not so: ``expected rule stripe, ``."""
    case = outcome.case
    wanted = {"reason": case.reason, "rule": case.rule}
    parts = [f"{what} {wanted[what]}" for what in outcome.differs if what in wanted]
    return f"expected {' and '.join(parts)}, is " if parts else ""


def summary(outcomes: Sequence[Outcome], rules: tuple[int, int] | None) -> str:
    """``1 failed, 11 passed; 4 of 5 rules used``. ``rules``: how many, and how many of them are unused; None: not all calls were tried."""
    failed = sum(not outcome.passed for outcome in outcomes)
    counts = [f"{failed} failed"] if failed else []
    if len(outcomes) > failed or not counts:
        counts.append(f"{len(outcomes) - failed} passed")
    if rules is None:
        return ", ".join(counts)
    known, unused = rules
    return f"{', '.join(counts)}; {known - unused} of {known} rule{'' if known == 1 else 's'} used"


@dataclass(frozen=True, slots=True)
class Run:
    """When the tests were run (UTC, to the second, without a zone), and how long that took."""

    timestamp: str
    seconds: float


def junit(outcomes: Sequence[Outcome], unused: Sequence[str], run: Run) -> bytes:
    """The outcomes in the form that CI servers read: a ``testsuite`` for each file.

    There is no standard. This is valid by the schema of Ant's reports (windyroad/JUnit-Schema) and by that of Jenkins (xunit-plugin,
    ``junit-10.xsd``), so it has only what both know. ``unused``: rules that count as failures.
    """
    root = ET.Element("testsuites")
    for file, group in groupby(outcomes, key=lambda outcome: outcome.case.place.file):
        _suite(root, file, [_case(outcome) for outcome in group], run)
    if unused:
        _suite(root, "coverage", [_unused(rule) for rule in unused], run)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(root: ET.Element, name: str, cases: Sequence[ET.Element], run: Run) -> None:
    failures = sum(case.find("failure") is not None for case in cases)
    named = {"package": "exitway", "id": str(len(root)), "name": _xml(name), "hostname": "localhost"}
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "skipped": "0"}
    times = {"timestamp": run.timestamp, "time": f"{run.seconds:.3f}"}
    suite = ET.SubElement(root, "testsuite", {**named, **counts, **times})
    ET.SubElement(suite, "properties")
    suite.extend(cases)
    ET.SubElement(suite, "system-out")
    ET.SubElement(suite, "system-err")


def _case(outcome: Outcome) -> ET.Element:
    case = outcome.case
    stem = re.sub(r"\.[^.]*$", "", case.place.file).strip("./").replace("/", ".")
    named = {"classname": ".".join(filter(None, (stem, case.group))), "name": f"{case} ({case.who})"}
    element = ET.Element("testcase", {name: _xml(text) for name, text in named.items()}, time="0")
    if not outcome.passed:
        said = f"{expected(outcome)}{verdict_text(outcome)}"
        failure = ET.SubElement(element, "failure", message=_xml(said), type=outcome.differs[0])
        failure.text = _xml(line(outcome))
    return element


def _unused(rule: str) -> ET.Element:
    element = ET.Element("testcase", classname="coverage", name=_xml(rule), time="0")
    ET.SubElement(element, "failure", message="the rule is used by no test", type="coverage").text = _xml(rule)
    return element


def _xml(text: str) -> str:
    """The text with what no XML may hold (XML 1.0, section 2.2) escaped."""
    return _UNSPEAKABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def dots(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A line for each file: its name, and a dot for what passed, an F for what did not."""
    for file, group in groupby(outcomes, key=lambda outcome: outcome.case.place.file):
        yield f"{file} {''.join('.' if outcome.passed else 'F' for outcome in group)}"
