"""What a Prometheus server reads: numbers of requests, times, and how much is open.

No label names a tenant or a caller: there may be thousands, and who may read metrics need not know them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from sediment_mcp.errors import BadArgument
from sediment_mcp.server.http.exchange import Exchange

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "sediment_http_requests",
            "HTTP requests by method of the protocol, tool, status and outcome.",
            ("method", "tool", "status", "outcome"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "sediment_call_seconds",
            "Time from a call's first byte to its answer's last one.",
            ("method", "tool"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._refusals = Counter(
            "sediment_refused_requests",
            "Requests that a limit or the server's end has refused.",
            ("reason",),
            registry=self.registry,
        )

    def watch(self, name: str, summary: str, read: Callable[[], float]) -> None:
        """Add a number that is read when the metrics are asked for."""
        Gauge(name, summary, registry=self.registry).set_function(read)

    def count(self, exchange: Exchange, http_method: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(exchange.method, exchange.tool, str(status), exchange.outcome).inc()
        if exchange.refusal:
            self._refusals.labels(exchange.refusal).inc()
        if http_method == "POST" and exchange.method:
            self._seconds.labels(exchange.method, exchange.tool).observe(seconds)

    def serve(self, address: tuple[str, int]) -> tuple[WSGIServer, threading.Thread]:
        """Answer a Prometheus server at an address of its own, in a thread.

        Raises:
            BadArgument: the address cannot be used.
        """
        host, port = address
        try:
            return start_http_server(port, host, registry=self.registry)
        except OSError as error:
            raise BadArgument(
                f"--metrics {host}:{port} cannot be used ({error.strerror}): choose another port."
            ) from None
