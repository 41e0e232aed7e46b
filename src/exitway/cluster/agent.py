"""``exitway cluster agent``: the first process of the agent's container. What it keeps running is in ``node.py``."""

from __future__ import annotations

import sys

from exitway.cluster.keeper import keep
from exitway.cluster.settings import ClusterSettings


def run(settings: ClusterSettings) -> None:
    """Keep the agent of a node running, until told to end. ``settings``: the agent itself reads them from the environment, as we did."""
    del settings
    raise SystemExit(keep([sys.executable, "-P", "-m", "exitway.cluster.node"]))
