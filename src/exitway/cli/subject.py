"""Who is asked about, and on which rules: those of files, or those in force where the workload is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from exitway.cli import options, render
from exitway.cli.asker import Asker, anybody, running
from exitway.cli.client import Client
from exitway.cli.rules import Rules, rules_in_files, rules_to_ask
from exitway.cli.target import Target
from exitway.resources.problem import Problem, Problems

if TYPE_CHECKING:
    from exitway.cli.cluster_client import ClusterClient
    from exitway.cli.verify import Verified
    from exitway.explain.explanation import Explanation
    from exitway.explain.target import Packet
    from exitway.flows.flow import Flow
    from exitway.names.call import Call
    from exitway.server.trial import Trial


@dataclass(frozen=True)
class Subject:
    """``api``: whose rules they are; None: those of files."""

    rules: Rules
    asker: Asker
    api: Client | ClusterClient | None

    @property
    def scene(self) -> Trial:
        """With a program of its own."""
        from exitway.server.trial import Trial

        one = self.asker
        direct = self.api is None or isinstance(self.api, Client)
        return Trial(
            self.rules.registry, one.workload, render.now(), one.intents, one.ranges, direct=direct, audit=one.audit
        )

    def check(self, asked: Call | Packet) -> None:
        """Raise problems where the call would not come to a proxy of the cluster at all."""
        if self.api is not None and not isinstance(self.api, Client):
            from exitway.cli.cluster_names import check_leaves

            check_leaves(self.api, asked, self.asker.workload.namespace)

    def verified(self, explanation: Explanation) -> Verified:
        """The call, made. Raises Problems."""
        from exitway.cli.verify import verify

        if self.api is not None and not isinstance(self.api, Client):
            hint = "make it in the pod: `kubectl exec POD -- curl ...`"
            raise Problems([Problem("EXW1710", "in a cluster, no call can be tried from here", hint)])
        return verify(explanation, self.asker, self.api, self.rules.registry)


def of_options(
    filenames: Sequence[str], namespace: str | None, labels: Mapping[str, str], workload: str | None, target: Target
) -> Subject:
    """Whom the options of the command mean: somebody, or a workload that runs."""
    if filenames:
        if workload:
            raise click.UsageError("--workload is one that runs; with -f say -n and -l")
        return _of_files(filenames, anybody(namespace or options.DEFAULT_NAMESPACE, labels))
    api = target.connect()
    asker = running(api, workload, namespace) if workload else anybody(namespace or api.namespace, labels, api)
    return Subject(rules_to_ask(api, asker.workload.namespace), asker, api)


def of_flow(flow: Flow, filenames: Sequence[str], target: Target) -> Subject:
    """The workload that the flow was of; where it has ended, one of its namespace and labels."""
    if filenames:
        return _of_files(filenames, anybody(flow.namespace, flow.labels))
    api = target.connect()
    try:
        asker = running(api, flow.workload, None)
    except Problems as unknown:
        if unknown.problems[0].code != "EXW1708":
            raise
        asker = anybody(flow.namespace, flow.labels, api)
    return Subject(rules_to_ask(api, flow.namespace), asker, api)


def _of_files(filenames: Sequence[str], asker: Asker) -> Subject:
    return Subject(rules_in_files(filenames, asker.workload.namespace), asker, None)
