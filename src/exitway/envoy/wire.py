"""Words of Envoy's JSON that every builder needs."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from exitway.envoy.api import TYPE_PREFIX, Json

ADS = {"ads": {}, "resource_api_version": "V3"}
"""Where a resource comes from: the one stream that we serve."""


def typed(type_name: str, **fields: Any) -> Json:
    """An ``Any``: the fields of a message with its type."""
    return {"@type": TYPE_PREFIX + type_name, **fields}


def extension(name: str, type_name: str, **fields: Any) -> Json:
    """A named extension with its configuration."""
    return {"name": name, "typed_config": typed(type_name, **fields)}


def text(format_string: str) -> Json:
    """A substitution format string."""
    return {"text_format_source": {"inline_string": format_string}}


def header(name: str, value: str) -> Json:
    """A header to set, whatever was there."""
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def is_address(host: str) -> bool:
    """Whether it is an address; if not, it is a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def socket_address(address: str, port: int, netns: str = "") -> Json:
    """A TCP address, in a network namespace other than Envoy's own when one is named."""
    where = {"address": address, "port_value": port}
    return {"socket_address": where | ({"network_namespace_filepath": netns} if netns else {})}
