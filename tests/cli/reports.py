"""What the formats of others say of the reports that we write for them; what we do not write is not in here, and would be a fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


def _uri_reference(text: str) -> str:
    """RFC 3986, section 4.1; what it has no room for is percent-encoded."""
    assert re.fullmatch(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+", text)
    urlsplit(text)
    return text


Uri = Annotated[str, AfterValidator(_uri_reference)]
Level = Literal["none", "note", "warning", "error"]


class _Object(BaseModel):
    """An object of SARIF 2.1.0, with the section of the standard: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Message(_Object):
    """Messages (3.11), and those of a tool's metadata (3.12)."""

    text: str


class ArtifactLocation(_Object):
    """3.4."""

    uri: Uri


class Region(_Object):
    """3.30: a region of text begins at a line; the first one, and the first column, are 1."""

    start_line: int = Field(ge=1)
    start_column: int = Field(ge=1)


class PhysicalLocation(_Object):
    """3.29."""

    artifact_location: ArtifactLocation
    region: Region | None = None


class LogicalLocation(_Object):
    """3.33."""

    fully_qualified_name: str
    kind: str


class Location(_Object):
    """3.28."""

    physical_location: PhysicalLocation | None = None
    logical_locations: list[LogicalLocation]


class Suppression(_Object):
    """3.35."""

    kind: Literal["inSource", "external"]


class Outcome(_Object):
    """A result (3.27): it must have a message."""

    rule_id: str
    rule_index: int = Field(ge=0)
    level: Level
    message: Message
    locations: list[Location]
    partial_fingerprints: dict[str, str]
    suppressions: list[Suppression] = []


class Configuration(_Object):
    """3.50."""

    level: Level


class Descriptor(_Object):
    """A reportingDescriptor (3.49): it must have an id."""

    id: str
    short_description: Message
    help_uri: Uri
    help: Message
    default_configuration: Configuration


class Component(_Object):
    """A toolComponent (3.19): it must have a name."""

    name: str
    version: str
    information_uri: Uri
    rules: list[Descriptor]


class Tool(_Object):
    """3.18: it must have a driver."""

    driver: Component


class Run(_Object):
    """3.14: it must have a tool, and results, unless there was no analysis."""

    tool: Tool
    column_kind: Literal["utf16CodeUnits", "unicodeCodePoints"]
    results: list[Outcome]


class Sarif(_Object):
    """The sarifLog (3.13): it must have a version and runs. 3.27.5, 3.27.6: a result is of the rule at its index."""

    schema_: Uri = Field(alias="$schema")
    version: Literal["2.1.0"]
    runs: list[Run]


_TOKEN, _COUNT, _SECONDS = r"\S(.*\S)?", r"\d+", r"\d+(\.\d+)?"
_ANT = {
    "testsuites": ("(testsuite )*", {}),
    "testsuite": (
        "properties (testcase )*system-out system-err ",
        {"package": _TOKEN, "id": _COUNT, "name": _TOKEN, "hostname": _TOKEN, "time": _SECONDS}
        | {"timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"}
        | dict.fromkeys(("tests", "failures", "errors", "skipped"), _COUNT),
    ),
    "properties": ("", {}),
    "testcase": ("(failure )?", {"name": _TOKEN, "classname": _TOKEN, "time": _SECONDS}),
    "failure": ("", {"message": ".*", "type": ".+"}),
    "system-out": ("", {}),
    "system-err": ("", {}),
}
"""What an element holds, and its attributes, all of them.

As Ant has it (https://github.com/windyroad/JUnit-Schema, ``JUnit.xsd``), which is narrower than Jenkins (xunit-plugin, ``junit-10.xsd``) but for the
order in a suite, which Jenkins leaves open.
"""


def junit_faults(element: ET.Element) -> Iterator[str]:
    """What is wrong with it, and with all in it."""
    holds, attributes = _ANT[element.tag]
    if not re.fullmatch(holds, "".join(f"{child.tag} " for child in element)):
        yield f"{element.tag} holds {[child.tag for child in element]}"
    if element.keys() ^ attributes.keys():
        yield f"{element.tag} has {sorted(element.keys())}"
    for name, value in element.items():
        if not re.fullmatch(attributes.get(name, ""), value):
            yield f"{element.tag}.{name} is {value!r}"
    if (element.text or "").strip() and element.tag != "failure":
        yield f"{element.tag} has text"
    for child in element:
        yield from junit_faults(child)
