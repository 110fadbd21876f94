"""What Prometheus may ask of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bertwright.serving.queue import Read

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_TOKENS = (16, 64, 256, 512, 1024, 2048, 4096, 8192, 16384)


class Measures:
    """A registry of its own, so that two servers in one process do not meet."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "bertwright_requests_total", "Requests that were answered", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "bertwright_request_seconds",
            "Seconds from request to answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._batch = Histogram(
            "bertwright_batch_tokens", "Tokens that were read together", ["model"], buckets=_TOKENS, registry=registry
        )
        self._tokens = Counter("bertwright_tokens_total", "Tokens that were read", ["model"], registry=registry)
        self._padding = Counter(
            "bertwright_padding_total", "Places that were read and held no token", ["model"], registry=registry
        )
        self._busy = Counter(
            "bertwright_reading_seconds_total", "Seconds that batches took", ["model"], registry=registry
        )
        self._waiting = Gauge("bertwright_waiting_tokens", "Tokens that wait to be read", ["model"], registry=registry)

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request that is done."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def read(self, model: str, read: Read) -> None:
        """A batch that a model has read."""
        self._batch.labels(model).observe(read.tokens)
        self._tokens.labels(model).inc(read.tokens)
        self._padding.labels(model).inc(read.padded - read.tokens)
        self._busy.labels(model).inc(read.seconds)

    def text(self, waiting: Iterable[tuple[str, Callable[[], int]]]) -> bytes:
        """All of it, as Prometheus reads it; waiting: of each model the tokens that wait."""
        for model, tokens in waiting:
            self._waiting.labels(model).set(tokens())
        return generate_latest(self._registry)
