"""Kafka clients and topics: how they are made, and the few admin calls needed.

Clients are made by whoever starts a program and handed to the parts that use them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from errors import BrokerUnavailable, SettingError
from stream.config import Options, admin_config, consumer_config, frame_reader_config, producer_config
from stream.contact import Contact
from stream.message import MAX_RECORD_BYTES, Record
from stream.producer import LastingProducer

_log = logging.getLogger(__name__)

LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client's own gap

_SAY_AGAIN_S: Final = 60.0
_LEADERS_S: Final = 15.0
_LEADER_S: Final = 3.0
_LOOK_S: Final = 0.05


def make_rare_producer(bootstrap: str, options: Options) -> Producer:
    """A producer for what comes rarely. It tells no statistics: unless it is polled all the time they pile up."""
    return Producer(producer_config(bootstrap, options, _ErrorLog()))


def make_producer(bootstrap: str, options: Options) -> LastingProducer:
    """A producer of frames; poll it all the time."""
    errors = _ErrorLog()
    return LastingProducer(
        lambda contact: Producer({**producer_config(bootstrap, options, errors), **contact.options()})
    )


def make_consumer(
    bootstrap: str, group: str, instance: str | None, options: Options, contact: Contact | None = None
) -> Consumer:
    """A consumer of the group; subscribe it to a topic. It tells the contact, if any, of its brokers."""
    config = consumer_config(bootstrap, group, instance, options, _ErrorLog())
    return Consumer({**config, "on_commit": _CommitLog(), **(contact.options() if contact else {})})


def make_frame_reader(bootstrap: str, options: Options) -> Consumer:
    """A consumer outside any group, to be assigned single places of a topic."""
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


def broker_answers(bootstrap: str, timeout_s: float = 1.0, options: Options | None = None) -> bool:
    """Whether a broker answers within the time, and the cluster has let one in."""
    try:
        return bool(make_admin(bootstrap, options or {}).list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return False


def wait_for_broker(
    bootstrap: str, options: Options, timeout_s: float, stopped: Callable[[], bool] = lambda: False
) -> None:
    """Return when a broker answers.

    Raises:
        BrokerUnavailable: none did within the time, or ``stopped`` became true.
    """
    deadline = time.monotonic() + timeout_s
    told = False
    while not broker_answers(bootstrap, min(1.0, timeout_s), options):
        time.sleep(_LOOK_S)  # a broker that is not let in yet answers at once
        if stopped():
            raise BrokerUnavailable(f"stopped while waiting for Kafka at {bootstrap}")
        if time.monotonic() >= deadline:
            raise BrokerUnavailable(
                f"no Kafka answers at {bootstrap} after {timeout_s:g} s: start one with 'framewatch services' "
                "or 'framewatch up', or name another by KAFKA_BOOTSTRAP_SERVERS"
            )
        if not told:
            _log.warning("waiting for Kafka at %s", bootstrap)
            told = True


def ensure_topic(bootstrap: str, topic: str, partitions: int, replication: int, options: Options) -> None:
    """Make the topic unless it exists, and return when it can be used: when each partition's leader answers.

    Raises:
        BrokerUnavailable: the broker did not do it, or leaders of a new topic do not answer.
    """
    admin = make_admin(bootstrap, options)
    new = NewTopic(
        topic,
        num_partitions=partitions,
        replication_factor=replication,
        config={"max.message.bytes": str(MAX_RECORD_BYTES)},
    )
    try:
        exists = topic in admin.list_topics(timeout=10).topics
        if not exists:
            admin.create_topics([new], request_timeout=15)[topic].result(20)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise BrokerUnavailable(f"topic {topic!r} could not be made: {error.args[0].str()}") from None
    if silent := _without_leader(admin, topic, _LEADERS_S):
        said = f"topic {topic!r}: no leader answers for partitions {silent} after {_LEADERS_S:g} s"
        if not exists:
            raise BrokerUnavailable(f"{said}: see the broker's log")
        _log.warning("%s; going on with the others", said)  # a broker of several is away, and comes back


def _without_leader(admin: AdminClient, topic: str, timeout_s: float) -> list[int]:
    """Wait until the leader of each partition answers; partitions where it does not within the time.

    Leaders are asked for an offset: the metadata names them a moment before they know that they are.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        silent = [0]  # of a topic whose partitions nobody knows yet
        try:
            if known := sorted(admin.list_topics(topic, timeout=_LEADER_S).topics[topic].partitions):
                asked = {TopicPartition(topic, partition): LATEST for partition in known}
                answers = admin.list_offsets(asked, request_timeout=_LEADER_S)
                silent = [tp.partition for tp, answer in answers.items() if answer.exception(_LEADER_S + 1)]
        except (KafkaException, TimeoutError) as error:
            _log.debug("topic %s: %s", topic, error)
        if not silent or time.monotonic() >= deadline:
            return silent
        time.sleep(_LOOK_S)


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
