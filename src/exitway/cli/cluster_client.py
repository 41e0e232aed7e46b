"""The API server of a cluster, as the commands see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from exitway.api import status as api
from exitway.api.plan import Verb
from exitway.cli.client import PATIENCE_SECONDS, Refusal, Unreachable
from exitway.cli.problems import warn
from exitway.cluster.changes import Done, let_go, make
from exitway.cluster.fleet import Fleet
from exitway.cluster.kubectl import Kubectl
from exitway.cluster.refusals import unknown_kind, whole
from exitway.cluster.report import report
from exitway.cluster.waiting import unacknowledged
from exitway.flows.choice import Choice
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.resources.problem import Problems

T = TypeVar("T")


class ClusterClient:
    """Speaks with the API server that a kubeconfig and a context (by default as kubectl finds them) mean. Raises Problems."""

    def __init__(self, kubeconfig: Path | None, context: str | None) -> None:
        self._connect: Callable[[], Kube] = lambda: Kube.connect(kubeconfig, context)
        self._kubectl = Kubectl(kubeconfig, context)
        self._runner = asyncio.Runner()
        self._kube = self._connect()
        self.namespace, self.server = self._kube.namespace, self._kube.server
        self.context = self._kube.context

    def request(self, method: str, path: str, body: Any = None, patience_seconds: float = PATIENCE_SECONDS) -> Any:
        """The JSON of a 2xx answer; a list's items say of which kind they are, and nothing says who owns which field.

        Raises:
            Refusal: the server answered with a Status.
            Unreachable: nobody answered.
        """
        return _bare(self.run(asyncio.wait_for(self._kube.request(method, path, body), patience_seconds)))

    def stream(self, path: str) -> Iterator[Any]:
        """One JSON value for each line of the answer (a watch), until the server ends it. Raises as :meth:`request`.

        With a connection of its own, since a command may follow several from as many threads.
        """
        kube = self._connect()
        values = kube.stream(path)

        async def following() -> Any:
            return await anext(values, None)

        with asyncio.Runner() as runner:
            try:
                while (value := _in_our_words(lambda: runner.run(following()))) is not None:
                    yield {**value, "object": _bare(value["object"])}
            finally:
                runner.run(values.aclose())
                runner.run(kube.close())

    def change(self, body: Mapping[str, Any]) -> Any:
        """Make changes, as far as a cluster allows all or none: request and answer as in :mod:`exitway.api.changes`. Raises as :meth:`request`."""
        done, silent = self.run(self._change(body))
        results = [
            {"key": str(one.key), "type": one.key.type, "namespace": one.key.namespace, "name": one.key.name}
            | {"outcome": one.outcome, "resourceVersion": one.version}
            for one in done
        ]
        return {"results": results, "unacknowledged": silent}

    async def _change(self, body: Mapping[str, Any]) -> tuple[list[Done], list[str]]:
        wait, dry_run = body["wait"], body["dryRun"]
        done = await make(self._kube, Verb(body["verb"]), body["objects"], dry_run=dry_run, linger=wait)
        if dry_run:
            return done, []
        silent = list[str]()
        try:
            silent += await unacknowledged(self._kube, done) if wait else []
        finally:
            silent += await let_go(self._kube, done)
        return done, silent

    def report(self) -> Any:
        """How Exitway stands in the cluster (:mod:`exitway.cluster.report`). Raises as :meth:`request`."""
        return self.run(report(self._kube))

    def fleet(self, choice: Choice) -> Fleet:
        """Those who have flows."""
        return Fleet(self._kube, self._kubectl, choice, warn)

    def standing(self, wire: Mapping[str, Any]) -> list[str]:
        """Whether proxies have taken the rule, in sentences, as its status says."""
        conditions = {one["type"]: one for one in (wire.get("status") or {}).get("conditions") or ()}
        programmed = conditions.get("Programmed")
        if not programmed:
            return ["nothing in the cluster has taken note of it"]
        if conditions.get("Accepted", {}).get("status") != "True":
            return [f"not accepted: {conditions['Accepted']['message']}"]
        if programmed.get("observedGeneration") != wire["metadata"]["generation"]:
            return ["accepted; not yet in force as it is now"]
        if programmed["reason"] == "NoProxies":
            return ["accepted; no proxy is connected"]
        if programmed["reason"] == "Refused":
            return [f"a proxy refused the newest configuration, and keeps the former: {programmed['message']}"]
        return [f"accepted; {programmed['message']}"]

    def close(self) -> None:
        """End the connections."""
        self._runner.run(self._kube.close())
        self._runner.close()

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """What a part of it that speaks with the API server does. Raises as :meth:`request`."""
        return _in_our_words(lambda: self._runner.run(doing))


def _in_our_words(do: Callable[[], T]) -> T:
    try:
        return do()
    except api.Refusal as refusal:
        raise Refusal(refusal.status(hints_apart=True)) from None
    except TimeoutError:
        raise Unreachable("EXW1402", "the API server does not answer", "") from None
    except KubeError as error:
        raise _problems(error) from None


def _problems(error: KubeError) -> Problems:
    problem = unknown_kind(f": {error.message}") if error.code == 404 else whole(error)
    if error.code == 0:
        return Unreachable(problem.code, problem.message, problem.hint)
    return Problems([problem])


def _bare(value: Any) -> Any:
    """An object, or a list of them, as one machine's server gives it."""
    if not isinstance(value, dict):
        return value
    for item in value.get("items") or ():
        item.setdefault("apiVersion", value["apiVersion"])
        item.setdefault("kind", value["kind"].removesuffix("List"))
        _bare(item)
    value.get("metadata", {}).pop("managedFields", None)
    return value
