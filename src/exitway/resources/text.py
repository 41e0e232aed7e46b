"""A resource as text that people read, change and give back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def yaml_text(wire: Mapping[str, Any]) -> str:
    """One YAML document, its fields in the order of the server."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(dict(wire), Dumper=dumper, sort_keys=False, default_flow_style=False))
