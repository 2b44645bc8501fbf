"""Kafka clients and topics: how they are made, and the few admin calls needed.

Programs make clients and hand them to the parts that use them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from framewatch.errors import SettingError
from framewatch.kafka.broker_health import BrokerHealth
from framewatch.kafka.config import (
    Options,
    admin_config,
    consumer_config,
    dead_letter_producer_config,
    frame_reader_config,
    producer_config,
)
from framewatch.kafka.record import Record
from framewatch.kafka.resilient_producer import ResilientProducer

_log = logging.getLogger(__name__)


_SAY_AGAIN_S: Final = 60.0


def make_dead_letter_producer(bootstrap: str, options: Options) -> Producer:
    """A producer of dead letters, which are rare. It reports no statistics: unless it is polled they pile up."""
    return Producer(dead_letter_producer_config(bootstrap, options, _ErrorLog()))


def make_producer(bootstrap: str, options: Options) -> ResilientProducer:
    """A producer of frames; poll it all the time."""
    errors = _ErrorLog()
    return ResilientProducer(
        lambda health: Producer({**producer_config(bootstrap, options, errors), **health.options()})
    )


def make_consumer(
    bootstrap: str,
    group: str,
    instance: str | None,
    options: Options,
    broker_health: BrokerHealth | None = None,
    kind: type[Consumer] = Consumer,
) -> Consumer:
    """A consumer of the group; subscribe it to a topic. It reports on its brokers to the broker health, if any."""
    config = consumer_config(bootstrap, group, instance, options, _ErrorLog())
    return kind({**config, "on_commit": _CommitLog(), **(broker_health.options() if broker_health else {})})


def make_frame_reader(bootstrap: str, options: Options) -> Consumer:
    """A consumer outside any group, to be assigned single offsets of a topic."""
    return Consumer(frame_reader_config(bootstrap, options, _ErrorLog()))


def make_admin(bootstrap: str, options: Options) -> AdminClient:
    """A client for admin calls.

    Raises:
        SettingError: one of the options is none of librdkafka's, or has a value it does not take.
    """
    try:
        return AdminClient(admin_config(bootstrap, options))
    except KafkaException as error:
        raise SettingError(f"FRAMEWATCH_KAFKA_OPTIONS: {error.args[0].str()}") from None


def record_of(message: Message) -> Record:
    """What a message carries, free of the client library."""
    _, timestamp_ms = message.timestamp()
    return Record(_bytes(message.key()), _bytes(message.value()), _headers(message), timestamp_ms)


def _bytes(raw: str | bytes | None) -> bytes | None:
    return raw.encode() if isinstance(raw, str) else raw


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(name, _bytes(value)) for name, value in pairs]


class _ErrorLog:
    """What a client says of its connections. One that is away is said once in a while, not once a try."""

    def __init__(self) -> None:
        self._say_again_s = 0.0

    def __call__(self, error: KafkaError) -> None:
        if error.fatal():
            _log.error("Kafka client failed: %s", error.str())
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and time.monotonic() >= self._say_again_s:
            self._say_again_s = time.monotonic() + _SAY_AGAIN_S
            _log.warning("no Kafka broker can be reached: %s", error.str())
        else:
            _log.debug("Kafka: %s", error.str())


class _CommitLog:
    """Says that offsets cannot be committed, when that begins and when it is over."""

    def __init__(self) -> None:
        self._failing = False

    def __call__(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        if error is not None and error.code() == KafkaError._NO_OFFSET:
            return
        if error is not None and not self._failing:
            _log.warning("offsets cannot be committed now, their frames may come again: %s", error.str())
        elif error is None and self._failing:
            _log.info("offsets are committed again: %s", [p.partition for p in partitions])
        self._failing = error is not None
