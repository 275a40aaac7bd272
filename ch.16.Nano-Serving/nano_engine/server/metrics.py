"""What Prometheus reads at /metrics: the engine's counts, and how long clients waited.

Labels have few values, all of them ours: a client cannot make a new time series by what it sends.
"""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..answers import Delta

PATHS = ("/v1/completions", "/v1/chat/completions", "/v1/models", "/health", "/metrics", "/")
STEP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
WAIT_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ANSWER_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

GAUGES = {
    "num_running_requests": ("nano_requests_running", "Requests that have pages and take part in steps"),
    "num_waiting_requests": ("nano_requests_waiting", "Requests that wait for pages"),
    "num_open_requests": ("nano_requests_open", "Requests accepted and not yet ended"),
    "num_total_pages": ("nano_kv_cache_pages", "Pages of the KV cache"),
    "num_free_pages": ("nano_kv_cache_free_pages", "Pages that nothing holds"),
    "num_cached_pages": ("nano_prefix_cache_pages", "Pages that the prefix cache holds"),
}
COUNTERS = {
    "num_steps": ("nano_steps", "Steps of the model"),
    "total_tokens_generated": ("nano_generation_tokens", "Tokens written"),
    "total_prompt_tokens": ("nano_prefix_cache_queries", "Tokens of prompts looked up in the prefix cache"),
    "total_cached_prompt_tokens": ("nano_prefix_cache_hits", "Tokens of prompts found in the prefix cache"),
    "num_evicted_pages": ("nano_prefix_cache_evicted_pages", "Pages the prefix cache gave up"),
    "num_preemptions": ("nano_preemptions", "Requests that gave their pages back to go on later"),
}


class Metrics:
    def __init__(self, stats: Callable[[], dict]):
        self.registry = CollectorRegistry()
        self.registry.register(_EngineCollector(stats))
        histogram = {"registry": self.registry}
        self._first_token = Histogram(
            "nano_time_to_first_token_seconds",
            "From a request's arrival to its first token",
            buckets=WAIT_BUCKETS_S,
            **histogram,
        )
        self._inter_token = Histogram(
            "nano_inter_token_latency_seconds",
            "Between two tokens of a request",
            buckets=STEP_BUCKETS_S,
            **histogram,
        )
        self._answer = Histogram(
            "nano_request_latency_seconds",
            "From a request's arrival to its last token",
            buckets=ANSWER_BUCKETS_S,
            **histogram,
        )
        self._http = Counter(
            "nano_http_responses", "Responses begun", ["path", "status"], registry=self.registry
        )

    def response(self, path: str, status: int) -> None:
        self._http.labels(path if path in PATHS else "other", str(status)).inc()

    def first_token(self, seconds: float) -> None:
        self._first_token.observe(seconds)

    def later_tokens(self, seconds: float, num_tokens: int) -> None:
        """num_tokens came together, this long after the one before."""
        for _ in range(num_tokens):
            self._inter_token.observe(seconds / num_tokens)

    def answer(self, seconds: float) -> None:
        self._answer.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class Stopwatch:
    """Observes the deltas of one request as they come."""

    def __init__(self, metrics: Metrics, arrival_s: float):
        self._metrics = metrics
        self._arrival_s = arrival_s
        self._latest_s: float | None = None

    def observe(self, delta: Delta) -> None:
        if delta.tokens:
            if self._latest_s is None:
                self._metrics.first_token(delta.time_s - self._arrival_s)
            else:
                self._metrics.later_tokens(delta.time_s - self._latest_s, len(delta.tokens))
            self._latest_s = delta.time_s
        if delta.finish_reason in ("stop", "length"):
            self._metrics.answer(delta.time_s - self._arrival_s)


class _EngineCollector(Collector):
    def __init__(self, stats: Callable[[], dict]):
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        for key, (name, meaning) in GAUGES.items():
            yield GaugeMetricFamily(name, meaning, value=stats[key])
        for key, (name, meaning) in COUNTERS.items():
            yield CounterMetricFamily(name, meaning, value=stats[key])
        used = 1 - stats["num_free_pages"] / stats["num_total_pages"]
        yield GaugeMetricFamily(
            "nano_kv_cache_usage_ratio",
            "Part of the pages that is held, by requests or the prefix cache",
            value=used,
        )
        ended = CounterMetricFamily("nano_requests_ended", "Requests by how they ended", labels=["how"])
        for how in ("served", "aborted", "failed"):
            ended.add_metric([how], stats[f"total_requests_{how}"])
        yield ended
