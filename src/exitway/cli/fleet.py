"""``exitway flows`` and ``exitway learn`` of a whole cluster: who is asked, and what is said of those who do not answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from exitway.cli.flows import print_flows
from exitway.cli.problems import show
from exitway.cli.target import Target
from exitway.cluster.fleet import MOST_FLOWS, Answer
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.problem import Problem, Problems

if TYPE_CHECKING:
    from exitway.cli.cluster_client import ClusterClient
    from exitway.cluster.tellers import Silent
    from exitway.flows.choice import Choice
    from exitway.flows.flow import Flow


def show_flows(target: Target, choice: Choice, limit: int | None, output: str, *, follow: bool) -> None:
    """Print them; what somebody did not say is a problem, after what the others said."""
    cluster = target.cluster()
    fleet = cluster.fleet(choice)
    answer = cluster.run(fleet.answer(limit))
    _check(cluster, choice, answer)
    tell = print_flows(answer.flows, output, follow=follow)
    found = problems(answer)
    show(found)
    if follow:
        cluster.run(fleet.follow(tell, lambda one: show(_of([one])), answer.silent))
    if found:
        click.get_current_context().exit(1)


def recorded(cluster: ClusterClient, choice: Choice) -> tuple[Sequence[Flow], list[Problem]]:
    """All that there is, and what was not said."""
    answer = cluster.run(cluster.fleet(choice).answer(None))
    _check(cluster, choice, answer)
    return answer.flows, problems(answer)


def _check(cluster: ClusterClient, choice: Choice, answer: Answer) -> None:
    """Raise Problems where nothing can be there."""
    if answer.flows:
        return
    if choice.namespace:
        path = f"/api/v1/namespaces/{quote(choice.namespace, safe='')}"
        try:
            cluster.request("GET", path)
        except Problems as refused:
            if refused.problems[0].code == "EXW1404":
                message = f"there is no namespace {choice.namespace} in the cluster"
                raise Problems([Problem("EXW1405", message, "`kubectl get namespaces` lists them")]) from None
    if not answer.installed:
        message = f"Exitway does not run in the cluster: nothing of it is in the namespace {SYSTEM_NAMESPACE}"
        raise Problems([Problem("EXW1407", message, "`exitway status --context CONTEXT` shows what runs")])


def problems(answer: Answer) -> list[Problem]:
    """Who did not answer; and that there was too much."""
    found = _of(answer.silent)
    if answer.cut:
        message = f"there are more flows than {MOST_FLOWS}: the older ones are left out"
        found.append(Problem("EXW1605", message, "-n, --workload, --verdict, --host and --since ask for fewer"))
    return found


def _of(silent: Iterable[Silent]) -> list[Problem]:
    """One for all that are silent for the same reason."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for one in silent:
        alike.setdefault((one.code, one.why, one.hint), []).append(one.at)
    return [Problem(code, f"{', '.join(sorted(where))}: {why}", hint) for (code, why, hint), where in alike.items()]
