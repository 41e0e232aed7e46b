"""What is said about a lesson, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from exitway.learn.lesson import Lesson
from exitway.learn.obstacle import Wanted
from exitway.learn.prove import Proof
from exitway.learn.terms import Terms
from exitway.names.port import Protocol
from exitway.names.words import listed


def summary(lesson: Lesson, proof: Proof, wanted: Wanted) -> Iterator[str]:
    """What was learned, what the proof came to, and what is let out beyond the recording."""
    terms = [(name, of) for kind in lesson.learned for name, of in kind.terms.items()]
    yield (
        f"{_count(len(terms), 'destination')} from {_count(proof.replayed, 'different call')}; replayed, they pass, "
        f"and {proof.tried} calls near them are denied"
        if not proof.faults
        else f"{_count(len(terms), 'destination')} from {_count(proof.replayed, 'different call')}"
    )
    for kind in lesson.learned:
        yield from _beyond(kind.terms, wanted)
        if kind.holds_everywhere:
            labels = listed(f"{key}={value}" for key, value in kind.labels)
            whose = f"workloads with {labels}" if labels else "all workloads"
            yield f"beyond the recording: rules of {kind.namespace} hold for {whose}, of every namespace"
    if lesson.recording.left:
        yield f"{_count(len(lesson.recording.left), 'call')} not learned: the end of the file says which, and why"


def faults(lesson: Lesson, proof: Proof) -> Iterator[str]:
    """What is not proven: also what went out, and does not with these rules."""
    yield from proof.faults
    yield from (f"{one.what} went out, and is not learned: {one.why}" for one in lesson.recording.left if one.passed)


def _beyond(terms: Terms, wanted: Wanted) -> Iterator[str]:
    for name, of in terms.items():
        ports = listed(sorted({str(term.port) for term in of}))
        if name.startswith("*."):
            yield f"beyond the recording: {name} lets out every name under {name[2:]} at {ports}"
    if wanted.hosts_only and (
        hosts := [name for name, of in terms.items() if any(term.port.protocol.is_http for term in of)]
    ):
        yield f"beyond the recording: requests of every method and path to {listed(hosts)}"
    if tcp := [
        f"{name}:{term.port.number}" for name, of in terms.items() for term in of if term.port.protocol is Protocol.TCP
    ]:
        yield f"TCP is whatever is spoken there: {listed(tcp)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
