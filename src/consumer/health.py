"""Whether the parts a worker needs are up, and how far behind it is; looked at once a second."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException
from confluent_kafka.admin import OffsetSpec

from framewatch.consumer.stats import Stats
from framewatch.kafka.admin import ResilientAdmin
from framewatch.kafka.topics import EARLIEST, LATEST
from framewatch.model.frame import TopicPartition
from framewatch.model.health import Health

_log = logging.getLogger(__name__)

_EVERY_S: Final = 1.0
# The client's errors that come of an answer, such as that a topic was deleted; the broker's own codes are over 0.
_ANSWERS: Final = (KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)
_ANSWER_S: Final = 1.5
_FRESH_S: Final = 3.5


class HealthMonitor:
    """Asks broker and store once a second, so that whoever asks for the health gets it at once."""

    def __init__(
        self,
        admin: ResilientAdmin,
        store_problem: Callable[[], str | None],
        positions: Callable[[], dict[TopicPartition, int]],
        stats: Stats,
        viewers: Callable[[], int],
        problem: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._admin = admin
        self._ask_store = store_problem
        self._store_problem: str | None = None
        self._positions = positions
        self._stats = stats
        self._viewers = viewers
        self._problem = problem
        self._broker_seen_s = -math.inf
        self._store_seen_s = -math.inf
        self._lags: dict[TopicPartition, int] | None = None
        self._leaders_known = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def health(self) -> Health:
        """The health as last seen."""
        # By the last answer: a question that nobody answers may itself take long.
        since_s = time.monotonic() - _FRESH_S
        broker, store = self._broker_seen_s > since_s, self._store_seen_s > since_s
        problem = self._problem() or (None if store else self._store_problem)
        return Health(
            status="healthy" if broker and store and problem is None else "unhealthy",
            broker="up" if broker else "down",
            store="up" if store else "down",
            partitions=len(self._positions()),
            lag=sum(lags.values()) if broker and (lags := self._lags) is not None else None,
            frames_per_second=round(self._stats.frames_per_second(), 1),
            **self._stats.medians_ms(),
            viewers=self._viewers(),
            counts=self._stats.counts(),
            problem=problem,
        )

    def lags(self) -> dict[TopicPartition, int]:
        """Frames that are not shown yet, of each partition this worker has; none while the broker cannot be asked."""
        return self._lags or {}

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(2 * _ANSWER_S + 1)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._lags = self._measure_lags()
                self._broker_seen_s = time.monotonic()
            except KafkaException as error:
                self._lags = None
                if error.args[0].code() in _ANSWERS or error.args[0].code() > 0:
                    self._broker_seen_s = time.monotonic()
                else:
                    self._admin.report_timeout()
            except TimeoutError as error:
                _log.debug("no answer from Kafka: %s", error)
                self._admin.report_timeout()
            self._store_problem = self._ask_store()
            if self._store_problem is None:
                self._store_seen_s = time.monotonic()
            self._stop.wait(_EVERY_S)

    def _measure_lags(self) -> dict[TopicPartition, int]:
        """Records between what is shown and the end of each partition this worker has.

        Raises:
            KafkaException: no broker answered.
            TimeoutError: nor did the client itself in time.
        """
        positions = self._positions()
        if not (positions and self._leaders_known):
            # The client keeps the leaders it knew before a broker was away, and would be refused by them for ever.
            self._admin.client.list_topics(timeout=_ANSWER_S)
        if not positions:
            return {}
        self._leaders_known = False
        ends = self._offsets(positions, LATEST)
        unread = [partition for partition, position in positions.items() if position == OFFSET_BEGINNING]
        starts = self._offsets(unread, EARLIEST) if unread else {}
        self._leaders_known = True
        return {
            partition: max(0, end - starts.get(partition, positions[partition])) for partition, end in ends.items()
        }

    def _offsets(self, partitions: Iterable[TopicPartition], which: OffsetSpec) -> dict[TopicPartition, int]:
        asked = {confluent_kafka.TopicPartition(topic, partition): which for topic, partition in partitions}
        futures = self._admin.client.list_offsets(asked, request_timeout=_ANSWER_S)
        found = {
            TopicPartition(tp.topic, tp.partition): future.result(_ANSWER_S + 1).offset
            for tp, future in futures.items()
        }
        if any(offset < 0 for offset in found.values()):  # what the client gives when a broker does not answer
            raise TimeoutError("no offsets")
        return found
