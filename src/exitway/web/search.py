"""What somebody looks for: words, all of which have to stand somewhere in what is shown. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exitway.flows.flow import Flow


@dataclass(frozen=True, slots=True)
class Search:
    """``words`` in lower case; none match all."""

    words: Sequence[str] = ()

    @classmethod
    def of(cls, text: str) -> Search:
        """The search for a text, as it was typed."""
        return cls(tuple(text.lower().split()))

    def finds(self, parts: Iterable[object]) -> bool:
        """Whether every word stands in one of the parts. A part that is None, as an absent rule, has none."""
        if not self.words:
            return True
        text = "\n".join(str(part) for part in parts if part).lower()
        return all(word in text for word in self.words)

    def finds_flow(self, flow: Flow) -> bool:
        """Whether it is about this flow."""
        decision = flow.decision
        asked = (flow.method, flow.path, flow.sni, flow.detail, flow.process)
        decided = (decision.verdict, decision.reason, decision.because)
        return self.finds((flow.workload, flow.name, flow.address, f":{flow.port}", flow.protocol, *decided, *asked))
