"""The kinds by name: what the command line and the API's paths need. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from exitway.names.key import Key


@dataclass(frozen=True, slots=True)
class KindName:
    """A kind in one version. ``type`` stands in keys and messages; ``plural`` and ``singular`` are what people type."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    type: str

    @property
    def api_version(self) -> str:
        """``config.istio.io/v1alpha2``."""
        return f"{self.group}/{self.version}"

    def __str__(self) -> str:
        return f"{self.kind} {self.api_version}"


KIND_NAMES = (
    KindName("config.istio.io", "v1alpha2", "EgressRule", "egressrules", "egressrule", "egress-rule"),
    KindName("exitway.dev", "v1", "EgressRule", "egressrules", "egressrule", "egress-rule"),
)


def kind_of(key: Key) -> KindName:
    """The kind of the object that has the key."""
    return next(kind for kind in KIND_NAMES if (kind.group, kind.type) == (key.group, key.type))


def kinds_called(word: str) -> tuple[KindName, ...]:
    """The kinds meant by ``egressrules``, ``egressrule``, ``EgressRule``, or of one group ``egressrules.exitway.dev``."""
    name, _, group = word.lower().partition(".")
    return tuple(kind for kind in KIND_NAMES if name in (kind.plural, kind.singular) and group in ("", kind.group))


def without_hyphens(word: str) -> str:
    """``egressrules`` for ``egress-rules``; empty if the word has no hyphens or means no kind without them either."""
    plain = word.lower().replace("-", "")
    return plain if "-" in word and kinds_called(plain) else ""
