"""A producer, made of real clients and run until its source ends or it is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from framewatch.embedded.home import endpoints
from framewatch.errors import SourceError
from framewatch.kafka.admin import ResilientAdmin
from framewatch.kafka.clients import make_admin, make_producer
from framewatch.kafka.group_offsets import committed_offsets
from framewatch.kafka.resilient_producer import ResilientProducer
from framewatch.kafka.topics import ensure_topic, wait_for_broker
from framewatch.producer.backpressure import Backpressure
from framewatch.producer.produce import Plan, produce
from framewatch.producer.publisher import Summary
from framewatch.producer.recorded_time import placed
from framewatch.producer.sources.base import Source
from framewatch.producer.sources.open import open_source
from framewatch.settings import Settings

Progress: TypeAlias = Callable[[Source, Plan], AbstractContextManager[Callable[[Summary], None]]]
"""What tells of a source's way: entered once the source is open, and called after each frame."""


@dataclass(frozen=True, slots=True)
class Job:
    """A source to send.

    Attributes:
        source: as typed.
        plan: how to send it.
        wait_s: seconds to wait for a Kafka or object store that does not answer.
        start_us: capture time of a recording's first picture, microseconds since 1970 UTC.
        end_us: or of its end.
        max_pixels: of a picture of a single file.
        max_lag: frames of a recording that the group's workers may have yet to classify; None for any number.
    """

    source: str
    plan: Plan
    wait_s: float = 60.0
    start_us: int | None = None
    end_us: int | None = None
    max_pixels: int | None = None
    max_lag: int | None = None


def run_producer(job: Job, settings: Settings, stop: threading.Event, progress: Progress) -> Summary:
    """Open the source, make the clients, and send its frames until it ends or ``stop``.

    Raises:
        SourceError: the source cannot be opened, or it was stopped before it was.
        BrokerUnavailable: no Kafka in time.
        SettingError: a setting cannot be used.
    """
    client: ResilientProducer | None = None  # made once the source is open

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise SourceError("stopped")
        if client is not None:
            client.poll(0)  # else its events would pile up for as long as a camera is away

    plan, options = job.plan, settings.kafka_options
    source = open_source(job.source, pause, settings.object_access(), job.wait_s, job.max_pixels, plan.max_side)
    plan = placed(plan, source, job.start_us, job.end_us)
    kafka = endpoints(settings).kafka
    wait_for_broker(kafka, options, job.wait_s, stop.is_set)
    ensure_topic(kafka, plan.topic, settings.partitions, settings.replication, options)
    client = make_producer(kafka, options)
    hold = _never
    if job.max_lag is not None and not source.live:
        admin = ResilientAdmin(partial(make_admin, kafka, options))
        hold = Backpressure(job.max_lag, committed_offsets(admin, settings.group, plan.topic)).is_too_far
    with progress(source, plan) as on_frame:
        return produce(source, plan, client, stop.is_set, on_frame, stop.wait, hold)


def _never(summary: Summary) -> bool:  # noqa: ARG001
    return False
