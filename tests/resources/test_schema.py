"""What the schema of a kind carries over from its form. What it accepts and refuses is asked of a real API server (tests/cluster)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from exitway.api.crd import definitions
from exitway.resources import egress_rule_form, istio_egress_rule
from exitway.resources.schema import structural


def test_limits_descriptions_and_rules_are_those_of_the_form():
    to = structural(egress_rule_form.Spec)["properties"]["to"]
    assert (to["minItems"], to["maxItems"]) == (1, egress_rule_form.MAX_DESTINATIONS)
    entry = to["items"]
    assert entry["x-kubernetes-preserve-unknown-fields"] is True, "an unknown field is refused by name, not dropped"
    assert entry["properties"]["ports"]["x-kubernetes-list-map-keys"] == ["number"]
    assert entry["properties"]["ports"]["items"]["properties"]["protocol"]["enum"] == [
        "HTTP",
        "HTTP2",
        "GRPC",
        "TLS",
        "TCP",
    ]
    assert {
        "rule": "!has(self.caFile) || (has(self.originateTLS) && self.originateTLS)",
        "message": "caFile means nothing without originateTLS: true",
    } in entry["x-kubernetes-validations"]


def test_what_the_form_can_do_without_and_readers_cannot_is_required():
    schema = structural(istio_egress_rule.Spec)
    assert schema["required"] == ["destination", "ports"]
    assert schema["properties"]["destination"]["required"] == ["service"]
    assert list(schema["properties"]["destination"]["properties"]) == ["service"]


def test_patterns_compile_and_begin_and_end_what_they_match():
    def patterns(schema: object) -> Iterator[str]:
        if isinstance(schema, dict):
            yield from ([schema["pattern"]] if isinstance(schema.get("pattern"), str) else ())
            for value in schema.values():
                yield from patterns(value)

    found = list(patterns({kind["metadata"]["name"]: kind["spec"]["versions"][0]["schema"] for kind in definitions()}))
    assert len(found) > 5
    for pattern in found:
        assert pattern.startswith("^")
        re.compile(pattern.replace("^(?i)", "(?i)^"))
