"""From flows to rules: all of it, but for the proof, which needs what serves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exitway.flows.flow import Flow
from exitway.learn.obstacle import Wanted
from exitway.learn.rule import Learned, Rule, learn, rules
from exitway.learn.seen import together
from exitway.learn.text import moments, text, times
from exitway.learn.use import Recording, Vouchers, read
from exitway.names.words import listed
from exitway.names.workload import SYSTEM_NAMESPACE


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was recorded, what of it is learned, and the file that says so."""

    recording: Recording
    learned: Sequence[Learned]
    rules: Sequence[Rule]
    text: str


def lesson(flows: Iterable[Flow], wanted: Wanted, name: str, heading: Sequence[str], vouchers: Vouchers) -> Lesson:
    """``name``: of the rules; ``heading``: what the file begins with, in lines."""
    recording = read(flows, wanted, vouchers)
    learned = learn(recording.uses, hosts_only=wanted.hosts_only, wildcards=wanted.wildcards)
    made = rules(learned, name)
    return Lesson(recording, learned, made, text(made, recording.left, [*heading, *_what(recording, learned, wanted)]))


def _what(recording: Recording, learned: Iterable[Learned], wanted: Wanted) -> Iterable[str]:
    seen = together(use.seen for use in recording.uses)
    if not seen.count:
        yield "Nothing was recorded that a rule can let out."
        return
    yield f"From what {listed(sorted(seen.workloads))} called, {moments(seen)}: {times(seen.count)}, {len(recording.uses)} different calls."
    asked = [words for name, words in _ASKED.items() if getattr(wanted, name)]
    just = "" if any(kind.holds_everywhere for kind in learned) else "just "
    yield f"They let out {just}these calls{', with ' + ', '.join(asked) if asked else ''}."
    if not just:
        yield f"Those of {SYSTEM_NAMESPACE} let them out of every namespace."


_ASKED = {
    "denied": "those that were denied",
    "hosts_only": "any method and path",
    "addresses": "addresses that no name stands behind",
    "wildcards": "every name under a parent that several names have in common",
}
