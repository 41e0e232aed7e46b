"""Names that look like others.

Rules hold names in A-labels; what a person takes ``xn--80ak6aa92e.com`` for is seen when it is shown. Of the confusable characters of Unicode
(UTS 39, ``confusables.txt``) the table has letters that can stand in a domain name and look like one of ASCII in most fonts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from exitway.analyze.catalogue import found
from exitway.analyze.destination import Destination, destinations
from exitway.analyze.finding import Finding
from exitway.names.host import Host
from exitway.names.public_suffix import shared_by
from exitway.resources.resource import Resource

_ACE = "xn--"
_LETTERS = {
    **dict(zip("аеорсухіјѕһԁԛԝӏԍьѵ", "aeopcyxijshdqwlgbv", strict=True)),  # Cyrillic
    **dict(zip("αονριγσυ", "aovpiyou", strict=True)),  # Greek
    **dict(zip("օոսհցզյɡ", "onuhgqjg", strict=True)),  # Armenian, and the last of IPA
    **dict(zip("ıɑɩʋ01", "iaiuol", strict=True)),  # Latin, and digits
}
_PAIRS = (("rn", "m"), ("vv", "w"))
_SCRIPTS_TOGETHER = (
    {"LATIN", "CJK", "HIRAGANA", "KATAKANA"},
    {"LATIN", "CJK", "BOPOMOFO"},
    {"LATIN", "CJK", "HANGUL"},
)
"""Scripts that one word may have: those of Japanese, Chinese and Korean (UTS 39, section 5.2, "highly restrictive")."""

WELL_KNOWN = (
    "adobe.com", "alibaba.com", "amazon.com", "amazonaws.com", "anthropic.com", "apple.com", "atlassian.com", "azure.com", "bitbucket.org",
    "cloudflare.com", "debian.org", "docker.com", "docker.io", "dropbox.com", "facebook.com", "ghcr.io", "github.com", "githubusercontent.com",
    "gitlab.com", "google.com", "googleapis.com", "gstatic.com", "hashicorp.com", "huggingface.co", "icloud.com", "instagram.com",
    "kubernetes.io", "linkedin.com", "live.com", "maven.org", "microsoft.com", "microsoftonline.com", "mozilla.org", "netflix.com", "nodejs.org",
    "npmjs.org", "office.com", "openai.com", "oracle.com", "paypal.com", "pypi.org", "python.org", "pythonhosted.org", "quay.io", "redhat.com",
    "rubygems.org", "salesforce.com", "sentry.io", "slack.com", "stripe.com", "twilio.com", "ubuntu.com", "visa.com", "whatsapp.com",
    "wikipedia.org", "yahoo.com", "youtube.com", "zoom.us",
)  # fmt: skip
"""Domains that others are made to look like, or that programs need most."""


def lookalikes(resources: Sequence[Resource]) -> Iterator[Finding]:
    """A DENY for such a name is what one should have."""
    known = list(destinations(resources))
    by_look: dict[str, set[str]] = {}
    for destination in known:
        if isinstance(destination.what, Host):
            name = _name(destination.what)
            by_look.setdefault(look(name), set()).add(name)
    for destination in known:
        if isinstance(destination.what, Host) and destination.allowed:
            yield from _of_name(destination, _name(destination.what), by_look)


def _name(host: Host) -> str:
    return host.suffix.lstrip(".-")


def _of_name(destination: Destination, name: str, by_look: dict[str, set[str]]) -> Iterator[Finding]:
    model, hint = _model(name, by_look), "see whose it is; if it is meant, say so by ignoring this"
    if scripts := _mixed(name):
        letters = " and ".join(script.capitalize() for script in sorted(scripts))
        message = f"{both(name)} mixes {letters} letters in one word{f', and looks like {both(model)}' * bool(model)}"
        yield found("EXW2040", destination.key, message, hint, destination.field)
    elif model:
        message = f"{both(name)} looks like {both(model)}"
        yield found("EXW2041", destination.key, message, hint, destination.field)


def _mixed(name: str) -> set[str]:
    """The scripts of the first word that has several which are not written together."""
    of_words = (_scripts(shown(label)) for label in name.split("."))
    return next(
        (
            scripts
            for scripts in of_words
            if len(scripts) > 1 and not any(scripts <= known for known in _SCRIPTS_TOGETHER)
        ),
        set(),
    )


def _model(name: str, by_look: dict[str, set[str]]) -> str:
    """What the name could be taken for: a well-known domain, another name of the rules, or one in ASCII; empty: none of these."""
    labels = name.split(".")
    own = len(labels) - shared_by(name).count(".") - 2
    domain = ".".join(labels[max(own, 0) :])
    if (model := _BY_LOOK.get(look(domain))) and model != domain:
        return model
    siblings = sorted(by_look[look(name)], key=_disguise)
    if siblings[0] != name:
        return siblings[0]
    alike = [label for label in labels if label.startswith(_ACE) and _is_in_disguise(shown(label))]
    return look(name) if alike and labels[-1].isascii() and not labels[-1].startswith(_ACE) else ""


def _disguise(name: str) -> tuple[int, int, str]:
    """Of names that look the same, the least is the one that the others could be taken for."""
    return name.count(_ACE), sum(c in "01" for c in name), name


def _is_in_disguise(label: str) -> bool:
    """Whether all letters of a word of another script look like Latin ones."""
    return "LATIN" not in _scripts(label) and look(label).isascii()


def shown(name: str) -> str:
    """The name as people see it. What is no A-label stays as it is."""
    return ".".join(_decoded(label) for label in name.split("."))


def both(name: str) -> str:
    """The name in both forms, where they differ."""
    return name if shown(name) == name else f"{name} ({shown(name)})"


def _decoded(label: str) -> str:
    if not label.startswith(_ACE):
        return label
    try:
        return label.removeprefix(_ACE).encode("ascii").decode("punycode")
    except (UnicodeError, ValueError):
        return label


def look(name: str) -> str:
    """The same for names that look the same: without accents, and with one letter for all that look like it."""
    bare = (c for c in unicodedata.normalize("NFKD", shown(name)) if not unicodedata.combining(c))
    text = "".join(_LETTERS.get(c, c) for c in bare)
    for pair, letter in _PAIRS:
        text = text.replace(pair, letter)
    return text


def _scripts(label: str) -> set[str]:
    """Of its letters, by their Unicode names: the standard library has no table of scripts, and the first word of a letter's name is its script's."""
    return {unicodedata.name(c, "UNKNOWN").split()[0] for c in label if c.isalpha()}


_BY_LOOK = {look(name): name for name in WELL_KNOWN}
