"""What a replica of the control plane and the resolver tell Prometheus, beside what every part does (``server/metrics.py``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from exitway.names.call import Reason
from exitway.resources.registry import Registry
from exitway.server.metrics import Metrics, RuleMetrics
from exitway.xds.proxies import Proxies


class ReplicaMetrics(RuleMetrics):
    """``pods``: how many are captured, by placement and mode (``enforce``, ``audit``); ``expiry``: of our certificate, in seconds since 1970."""

    def __init__(
        self,
        discovery: Proxies,
        registry: Callable[[], Registry],
        pods: Callable[[], Mapping[tuple[str, str], int]],
        expiry: Callable[[], float],
    ) -> None:
        super().__init__(discovery, registry)
        self._pods, self._expiry = pods, expiry

    def collect(self) -> Iterator[Metric]:
        """The pods, and the certificate."""
        yield from super().collect()
        help_ = (
            "Captured pods, by placement, and by whether denials are carried out (enforce) or only recorded (audit)."
        )
        pods = GaugeMetricFamily("exitway_pods", help_, labels=["placement", "mode"])
        for labels, count in self._pods().items():
            pods.add_metric(labels, count)
        yield pods
        help_ = "Until when the certificate is good that proxies and webhooks see; 0: there is none yet."
        yield GaugeMetricFamily("exitway_certificate_expiry_timestamp_seconds", help_, self._expiry())


class ResolverMetrics(Metrics):
    """``asked``: how often pods and proxies did; ``refusals``: how often a proxy was not told where a name leads, by reason."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[tuple[str, str]] = Counter()
        self.refusals: Counter[Reason] = Counter()

    def collect(self) -> Iterator[Metric]:
        """The questions."""
        yield from super().collect()
        help_ = "Questions of pods and of their proxies; those beyond the share of one pod are not answered."
        queries = CounterMetricFamily("exitway_dns_queries", help_, labels=["from", "result"])
        for asked, count in sorted(self.asked.items()):
            queries.add_metric(asked, count)
        help_ = "Names that a proxy was not told the addresses of, by reason."
        refusals = CounterMetricFamily("exitway_dns_refusals", help_, labels=["reason"])
        for reason, count in sorted(self.refusals.items()):
            refusals.add_metric([reason], count)
        yield from (queries, refusals)
