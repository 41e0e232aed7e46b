"""Keeps the second wall round the pods of a node (``capture/pod_wall.py``)."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from exitway.capture.pod_wall import Outlet, removed, ruleset
from exitway.capture.tools import feed
from exitway.names.guard import Network

_log = logging.getLogger("exitway")


class NodeWall:
    """One for each agent. ``owner``: its runtime directory. The first wall is in the pods: what fails here is told, and tried when it changes.

    ``problem``: why it is not as it should be; empty: it is.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._wanted = ""
        self.problem = ""

    def follow(self, outlets: Collection[Outlet], cluster: Iterable[Network]) -> None:
        """Stand round these from now on. Where nothing changes, nothing is done."""
        cluster = list(cluster)
        text = ruleset(self._owner, outlets, cluster)
        if text == self._wanted:
            return
        self._wanted = text
        if not self._load(text):  # an interface may just have gone
            self._load(ruleset(self._owner, [Outlet("", outlet.addresses) for outlet in outlets], cluster))

    def close(self) -> None:
        """Take it away."""
        self._load(removed(self._owner))

    def _load(self, text: str) -> bool:
        try:
            feed("nft", "-f", "-", text=text)
        except OSError as error:
            self.problem = f"the wall round the pods is not as it should be: {error}"
            _log.warning("%s", self.problem)
            return False
        self.problem = ""
        return True
