"""``/metrics``: what an engine counts, as Prometheus reads it.

https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/specs/om/open_metrics_spec/

There is no secret in it, but the names of namespaces and rules. ``docs/metrics.md`` says what each is for; ``deploy/grafana`` has a dashboard and
``deploy/prometheus`` alerts for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exitway import __version__
from exitway.names.call import Verdict
from exitway.resources.registry import Registry
from exitway.server.traffic import MOST_NAMESPACES, Bounded, Labels, Total, Traffic
from exitway.xds.proxies import Proxies

if TYPE_CHECKING:
    from exitway.server.engine import Engine
    from exitway.server.record import Recorder

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_LABELS = ("namespace", "rule", "verdict", "reason")


class Metrics(Collector):
    """What every process of ours tells of itself. Who has more to tell extends :meth:`collect`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """What a scrape with this ``Accept`` is answered, and the type of that."""
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:  # a version that is no number
            encode, content_type = choose_encoder("")
        return encode(self.registry), content_type

    def collect(self) -> Iterator[Metric]:
        """What is worked out when it is asked for."""
        yield InfoMetricFamily("exitway_build", "The version that runs.", {"version": __version__})

    def describe(self) -> Iterable[Metric]:
        """Nothing is looked at before there is something: whom we ask may not be ready to answer."""
        return ()


class RuleMetrics(Metrics):
    """Of who tells proxies what the rules say."""

    def __init__(self, discovery: Proxies, registry: Callable[[], Registry]) -> None:
        super().__init__()
        self._discovery, self._rules = discovery, registry
        self._namespaces = Bounded(MOST_NAMESPACES)
        propagation = Histogram(
            "exitway_propagation_seconds",
            "From a change of the rules to a proxy's acknowledgement.",
            buckets=SECONDS,
            registry=self.registry,
        )
        discovery.propagated = propagation.observe

    def collect(self) -> Iterator[Metric]:
        """The rules, and how far they are in force."""
        yield from super().collect()
        rules: dict[str, float] = {}
        registry = self._rules()
        for namespace in registry.namespaces:
            name = self._namespaces(namespace)
            rules[name] = rules.get(name, 0) + len(registry.resources_in(namespace))
        yield by("exitway_rules", "Rules, by namespace.", "namespace", rules)
        help_ = "Proxies that are connected, by whether they have what the rules say."
        yield by("exitway_proxies", help_, "state", self._discovery.standing_of_all())
        help_ = "Configurations that a proxy has refused (NACK)."
        yield CounterMetricFamily("exitway_proxy_refusals", help_, self._discovery.refusals)


class EngineMetrics(RuleMetrics):
    """Of the server of a machine, or the agent of a node. ``traffic``: what was written by the recorder."""

    def __init__(self, engine: Engine, recorder: Recorder) -> None:
        super().__init__(engine.discovery, lambda: engine.rules.registry)
        self.traffic = Traffic(recorder.find)
        recorder.wrote = self.traffic.wrote
        self._recorder = recorder
        self._engine = engine
        ProcessCollector("exitway_proxy", self._proxy, registry=self.registry)

    def collect(self) -> Iterator[Metric]:
        """The traffic, and how the engine is."""
        yield from super().collect()
        yield from _traffic(self.traffic)
        help_ = "Flows that were written to the history; repeats are counted onto them."
        yield CounterMetricFamily("exitway_flows_written", help_, self.traffic.written)
        help_ = "Flows that could not be written, and lines of the proxy's access log that could not be read."
        yield CounterMetricFamily("exitway_flows_lost", help_, self._recorder.lost)
        engine = self._engine
        audits = [one.member.audit for one in engine.workloads.running.values()]
        help_ = "Running workloads, by whether denials are carried out (enforce) or only recorded (audit)."
        modes = {"enforce": audits.count(False), "audit": audits.count(True)}
        yield by("exitway_workloads", help_, "mode", modes)
        help_ = "Envoys that ended by themselves."
        yield CounterMetricFamily("exitway_proxy_restarts", help_, engine.supervisor.restarts)
        help_ = "What does not work as it should; `exitway status` says what."
        yield GaugeMetricFamily("exitway_problems", help_, len(engine.problems))

    def _proxy(self) -> int:
        process = self._engine.supervisor.process
        return process.pid if process else -1


def by(name: str, help_: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """A gauge with one label."""
    family = GaugeMetricFamily(name, help_, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _traffic(traffic: Traffic) -> Iterator[Metric]:
    totals = list(traffic.totals())
    help_ = "HTTP requests that have ended."
    yield _counter("requests", help_, _LABELS, [(labels, one.requests) for labels, one in totals if one.requests])
    help_ = "Connections that are not HTTP and have ended, and what was refused of other protocols."
    connections = [(labels, one.connections) for labels, one in totals if one.connections]
    yield _counter("connections", help_, _LABELS, connections)
    denials = [
        ((namespace, rule, reason), one.requests + one.connections)
        for (namespace, rule, verdict, reason), one in totals
        if verdict == Verdict.DENY
    ]
    yield _counter("denials", "The denied ones among both.", ("namespace", "rule", "reason"), denials)
    carried = _by_verdict(totals).items()
    help_ = "Bytes from workloads, on the wire."
    yield _counter("sent_bytes", help_, _LABELS[:3], [(labels, one.sent) for labels, one in carried])
    help_ = "Bytes to workloads, on the wire."
    yield _counter("received_bytes", help_, _LABELS[:3], [(labels, one.received) for labels, one in carried])


def _counter(
    what: str, help_: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"exitway_{what}", help_, labels=labels)
    for words, value in values:
        family.add_metric(words, value)
    return family


def _by_verdict(totals: Sequence[tuple[Labels, Total]]) -> dict[tuple[str, ...], Total]:
    """The bytes, whatever the reason."""
    found: dict[tuple[str, ...], Total] = {}
    for labels, total in totals:
        one = found.setdefault(labels[:3], Total())
        one.sent += total.sent
        one.received += total.received
    return found
