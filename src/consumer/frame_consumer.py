"""Records from Kafka, one after another, with a new client where the old one has failed for good.

A worker with a fixed instance name that was out of reach for longer than its session may be locked out: the group
takes its own return for somebody else's. The client then calls itself failed and gives nothing more, although
nothing is wrong. Or it has lost every broker's address, see ``kafka.broker_health``. So it is replaced, and
reading goes on after what was committed last.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection
from typing import Final

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, Message

from framewatch.consumer.offsets import Offsets
from framewatch.consumer.processing import ConsumedRecord
from framewatch.errors import BrokerUnavailable
from framewatch.kafka.broker_health import BrokerHealth
from framewatch.kafka.clients import record_of
from framewatch.model.frame import TopicPartition

_log = logging.getLogger(__name__)

_POLL_S: Final = 0.1
_PATIENCE_S: Final = 2.0
_PAUSED_S: Final = 0.5
_LEAVE_S: Final = 5.0
_LASTS_S: Final = 60.0  # a new client that fails sooner is not replaced: somebody else has its name


class FrameConsumer:
    """The consumer of a worker. For one thread; ``offsets`` may be told by any."""

    def __init__(
        self,
        make_consumer: Callable[[BrokerHealth], Consumer],
        topic: str,
        from_beginning: bool,
        on_revoked: Callable[[], None],
        on_lost: Callable[[], None] = lambda: None,
        on_assigned: Callable[[Collection[TopicPartition]], None] = lambda partitions: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the consumer; it joins its group at the first ``next``.

        Args:
            make_consumer: called now, and again when the client has failed; the client reports to the broker health.
            topic: to read.
            from_beginning: read the topic from its start whatever the group has committed.
            on_revoked: called before partitions are given back, to store what was consumed.
            on_lost: called when partitions are lost.
            on_assigned: called with all partitions of this worker at each assignment.
            clock: seconds that never jump.
        """
        self._make_consumer = make_consumer
        self._topic = topic
        self._on_revoked = on_revoked
        self._clock = clock
        self.offsets = Offsets(from_beginning, on_revoked, on_lost, on_assigned)
        self._subscribed = False
        self._failed_s = -math.inf
        self._topic_missing = False  # logged once, not at each poll
        self._begin()

    def next(self, has_capacity: Callable[[float], bool], ended: Callable[[], bool]) -> ConsumedRecord | None:
        """The next record, or None when none came for a moment, or no capacity became free before the end.

        Args:
            has_capacity: whether one more record may be taken in, waiting so many seconds for it.
            ended: whether to give up waiting.

        Raises:
            BrokerUnavailable: the client failed for good, and a new one would too.
        """
        if not self._subscribed:
            self._subscribed = True
            self.offsets.subscribe(self._consumer, self._topic)
        self.offsets.allow_commit()
        if not has_capacity(_PATIENCE_S) and not self._wait_paused(has_capacity, ended):
            return None
        message = self._consumer.poll(_POLL_S)
        if message is None:
            if self._broker_health.is_stuck:
                self._replace_client("it knows no broker any more")
            return None
        if (error := message.error()) is not None:
            self._check(error)
            return None
        self._topic_missing = False
        return _consumed(message)

    def leave(self) -> None:
        """Commit and leave the group. The client may wait for a broker that is away: longer than we can."""
        self.offsets.allow_commit()
        closing = self._closing()
        closing.join(_LEAVE_S)
        if closing.is_alive():
            _log.warning("no answer from Kafka: the last offsets may not be committed, their frames come again")

    def _wait_paused(self, has_capacity: Callable[[float], bool], ended: Callable[[], bool]) -> bool:
        """Keep polling with all paused until there is capacity, so that Kafka does not take the worker for dead."""
        self._consumer.pause(self._consumer.assignment())
        free = False
        while not (free or ended()):
            self.offsets.allow_commit()
            # Only callbacks are served; what a rebalance adds meanwhile is not paused and must not be lost.
            if (message := self._consumer.poll(0)) is not None:
                if (error := message.error()) is not None:
                    self._check(error)
                else:
                    back = _consumed(message)
                    self._consumer.seek(confluent_kafka.TopicPartition(back.topic, back.partition, back.offset))
                self._consumer.pause(self._consumer.assignment())
            free = has_capacity(_PAUSED_S)
        if assigned := self._consumer.assignment():
            self._consumer.resume(assigned)
        return free

    def _check(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == KafkaError._FATAL:
            if self._clock() - self._failed_s < _LASTS_S:
                raise BrokerUnavailable(
                    f"the Kafka client failed for good: {error.str()}; "
                    "does another worker of the group have the same --instance name?"
                )
            self._replace_client(error.str())
            self._failed_s = self._clock()
        elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            if not self._topic_missing:
                _log.info("topic %s is not there (yet): waiting for it", self._topic)
            self._topic_missing = True
        elif error.code() != KafkaError._PARTITION_EOF:
            _log.warning("Kafka: %s", error.str())

    def _replace_client(self, reason: str) -> None:
        _log.warning("the Kafka client failed and is replaced; some frames come again: %s", reason)
        self._on_revoked()
        if self._broker_health.is_stuck:  # nobody would answer
            self.offsets.detach()
            self._closing()
        else:
            self.leave()
        self._begin()

    def _closing(self) -> threading.Thread:
        closing = threading.Thread(target=self._consumer.close, name="leave", daemon=True)
        closing.start()
        return closing

    def _begin(self) -> None:
        self._broker_health = BrokerHealth()
        self._consumer = self._make_consumer(self._broker_health)
        self._subscribed = False


def _consumed(message: Message) -> ConsumedRecord:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None  # a message has all three
    return ConsumedRecord(topic, partition, offset, record_of(message))
