"""Whom the commands for rules speak to: the server of this machine, or the API server of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from exitway.cli.client import PATIENCE_SECONDS, Client
from exitway.settings import Settings

if TYPE_CHECKING:
    from exitway.cli.cluster_client import ClusterClient


class Api(Protocol):
    """What both can be asked."""

    @property
    def namespace(self) -> str:
        """Where rules go that name no namespace."""

    def request(self, method: str, path: str, body: Any = None, patience_seconds: float = PATIENCE_SECONDS) -> Any:
        """The JSON of a 2xx answer. Raises Problems."""

    def stream(self, path: str) -> Iterator[Any]:
        """One JSON value for each line of the answer (a watch), until the server ends it. Raises as :meth:`request`."""

    def change(self, body: Mapping[str, Any]) -> Any:
        """Make changes, all or none: request and answer as in :mod:`exitway.api.changes`. Raises as :meth:`request`."""

    def standing(self, wire: Mapping[str, Any]) -> list[str]:
        """Whether proxies have taken the rule, in sentences. Raises as :meth:`request`."""


@dataclass(frozen=True, slots=True)
class Target:
    """What was asked for by options. A cluster is meant where one of ``kubeconfig`` and ``context`` is given."""

    server: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None

    @property
    def is_cluster(self) -> bool:
        """Whether a cluster is meant, by options or by settings. Raises Problems."""
        if self.server and (self.kubeconfig or self.context):
            raise click.UsageError("--server is one of this machine, --kubeconfig and --context are for a cluster")
        settings = Settings.from_environment()
        return not self.server and bool(self.kubeconfig or self.context or settings.kubeconfig or settings.context)

    def connect(self) -> Client | ClusterClient:
        """The one that is meant, by options or by settings. Raises Problems."""
        return self.cluster() if self.is_cluster else Client(Settings.from_environment(), self.server)

    def cluster(self) -> ClusterClient:
        """The cluster. Raises Problems."""
        settings = Settings.from_environment()
        from exitway.cli.cluster_client import ClusterClient

        cluster = ClusterClient(self.kubeconfig or settings.kubeconfig, self.context or settings.context or None)
        if command := click.get_current_context(silent=True):
            command.call_on_close(cluster.close)
        return cluster
