"""Exitway decides what may leave.

Two ways run through the house:

1. the way of a rule:    resources -> store -> policy -> envoy -> xds -> proxy
2. the way of a packet:  capture -> (Envoy) -> flows

Pure rooms (names, resources, policy, envoy, and the pure halves of xds, capture, dns and flows) do no I/O; import-linter
enforces it. ``server`` is the one place where the parts are joined.
"""

__version__ = "0.1.0"
