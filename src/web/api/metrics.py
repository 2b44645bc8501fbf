"""Metrics for Prometheus: counted where things happen, collected at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from framewatch.consumer.stats import Stats
from framewatch.live.hub import LiveHub
from framewatch.model.health import Health
from framewatch.web.api.docs import of_kind

TAG: Final = Tag(name="state", description="Health, metrics and configuration of this worker.")

_COUNTERS: Final = {
    "received": ("frames_received", "Records taken from the topic"),
    "classified": ("frames_classified", "Frames classified and shown"),
    "dead_letters": ("frames_dead_letters", "Records that cannot be classified, put on the dead-letter topic"),
    "dropped": ("frames_dropped", "Records that cannot be classified, and that the dead-letter topic does not take"),
    "stored": ("events_stored", "Events that were new to the store"),
    "duplicates": ("events_duplicate", "Events that the store had already"),
    "refused": ("events_refused", "Events that the store can never take"),
    "done": ("frames_done", "Records whose offset may be committed"),
}


class _WorkerCollector(Collector):
    """The worker's metrics at the moment of a scrape."""

    def __init__(self, hub: LiveHub, health: Callable[[], Health], about: dict[str, str]) -> None:
        self._hub = hub
        self._health = health
        self._about = about

    def collect(self) -> Iterator[Metric]:
        """All metrics but the histograms, which are registered by themselves."""
        health = self._health()
        for counter, (name, text) in _COUNTERS.items():
            yield CounterMetricFamily(f"framewatch_{name}", text, health.counts.get(counter, 0))
        yield GaugeMetricFamily(
            "framewatch_partitions", "Partitions that the group has given to this worker", health.partitions
        )
        if health.lag is not None:
            yield GaugeMetricFamily(
                "framewatch_lag_frames", "Frames in these partitions that are not shown yet", health.lag
            )
        yield GaugeMetricFamily("framewatch_viewers", "Live viewers", self._hub.viewers)
        sinks = "up" if health.problem is None else "down"
        components = {"broker": health.broker, "store": health.store, "sinks": sinks}
        up = GaugeMetricFamily("framewatch_up", "Whether a component answers or works", labels=["component"])
        for component, state in components.items():
            up.add_metric([component], float(state == "up"))
        yield up
        yield from self._of_streams()
        yield InfoMetricFamily("framewatch_build", "Version and classifier", self._about)

    def _of_streams(self) -> Iterator[Metric]:
        """At most as many of each as the hub has streams, whose number is bounded."""
        rate = GaugeMetricFamily("framewatch_stream_frames_per_second", "Frames shown a second", labels=["stream"])
        age = GaugeMetricFamily("framewatch_stream_age_seconds", "Age of the newest frame", labels=["stream"])
        for status in self._hub.streams():
            rate.add_metric([status.stream], status.frames_per_second)
            age.add_metric([status.stream], status.age_s)
        yield from (rate, age)


def blueprint(hub: LiveHub, health: Callable[[], Health], stats: Stats | None, about: dict[str, str]) -> APIBlueprint:
    """The section of the metrics.

    Args:
        hub: of the live pictures.
        health: gives the health as last checked.
        stats: has the histograms; without it there are none.
        about: labels of ``framewatch_build_info``.
    """
    registry = CollectorRegistry()  # one for each application: the library's default is one for the process
    registry.register(_WorkerCollector(hub, health, about))
    if stats is not None:
        for histogram in stats.histograms:
            registry.register(histogram)
    ProcessCollector(registry=registry)
    section = APIBlueprint("metrics", __name__, abp_tags=[TAG])

    @section.get("/metrics", summary="Metrics for Prometheus", responses={200: of_kind("text/plain")})
    def metrics() -> Response:
        """In the text format of Prometheus, or in OpenMetrics where the client prefers that."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type, headers={"Cache-Control": "no-store"})

    return section
