"""Topics: made when they are missing, and waited for until they can be used."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from framewatch.errors import BrokerUnavailable, TopicRefused
from framewatch.kafka.clients import make_admin
from framewatch.kafka.config import Options
from framewatch.kafka.record import MAX_RECORD_BYTES

_log = logging.getLogger(__name__)


EARLIEST, LATEST = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client's own gap

_LEADERS_S: Final = 15.0
_LEADER_S: Final = 3.0
_LOOK_S: Final = 0.05
_DEFAULT_LIMIT_BYTES: Final = 1_048_588  # of a record: Kafka's max.message.bytes where nobody set another
_REFUSALS: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_CONFIG,
    }
)


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
    logged = False
    while not broker_answers(bootstrap, min(1.0, timeout_s), options):
        time.sleep(_LOOK_S)  # a broker that is not let in yet answers at once
        if stopped():
            raise BrokerUnavailable(f"stopped while waiting for Kafka at {bootstrap}")
        if time.monotonic() >= deadline:
            raise BrokerUnavailable(
                f"no Kafka answers at {bootstrap} after {timeout_s:g} s: start one with 'framewatch services' "
                "or 'framewatch up', or name another by KAFKA_BOOTSTRAP_SERVERS"
            )
        if not logged:
            _log.warning("waiting for Kafka at %s", bootstrap)
            logged = True


def ensure_topic(
    bootstrap: str,
    topic: str,
    partitions: int,
    replication: int,
    options: Options,
    max_record_bytes: int | None = MAX_RECORD_BYTES,
) -> None:
    """Make the topic unless it exists, and return when it can be used: when each partition's leader answers.

    Args:
        bootstrap: addresses of brokers.
        topic: its name.
        partitions: of a new topic.
        replication: of a new topic.
        options: of the client.
        max_record_bytes: of a new topic; None leaves it to the broker.

    Raises:
        BrokerUnavailable: the broker did not do it, or leaders of a new topic do not answer.
        TopicRefused: the broker will not do it, however often it is asked.
    """
    admin = make_admin(bootstrap, options)
    config = {} if max_record_bytes is None else {"max.message.bytes": str(max_record_bytes)}
    new = NewTopic(topic, num_partitions=partitions, replication_factor=replication, config=config)
    try:
        exists = topic in admin.list_topics(timeout=10).topics
        if not exists:
            admin.create_topics([new], request_timeout=15)[topic].result(20)
    except KafkaException as error:
        code, said = error.args[0].code(), f"topic {topic!r} could not be made: {error.args[0].str()}"
        if code in _REFUSALS:
            raise TopicRefused(said) from None
        if code != KafkaError.TOPIC_ALREADY_EXISTS:
            raise BrokerUnavailable(said) from None
    if silent := _without_leader(admin, topic, _LEADERS_S):
        said = f"topic {topic!r}: no leader answers for partitions {silent} after {_LEADERS_S:g} s"
        if not exists:
            raise BrokerUnavailable(f"{said}: see the broker's log")
        _log.warning("%s; going on with the others", said)  # a broker of several is away, and comes back


def ensure_dead_letter_topic(bootstrap: str, topic: str, replication: int, options: Options) -> int:
    """Make the topic of dead letters unless it exists, with the broker's own limit of a record.

    Returns:
        Bytes of the largest record that it takes, or Kafka's default where the broker does not tell.

    Raises:
        BrokerUnavailable: the broker did not answer.
        TopicRefused: the topic may not be made.
    """
    ensure_topic(bootstrap, topic, 1, replication, options, max_record_bytes=None)
    limit_bytes = topic_setting(make_admin(bootstrap, options), topic, "max.message.bytes")
    return _DEFAULT_LIMIT_BYTES if limit_bytes is None else limit_bytes


def topic_setting(admin: AdminClient, topic: str, name: str) -> int | None:
    """A setting of the topic that is a whole number; None where no broker tells it."""
    asked = ConfigResource(ResourceType.TOPIC, topic)
    try:
        answer = admin.describe_configs([asked], request_timeout=_LEADER_S)[asked].result(_LEADER_S + 1)
        return int(answer[name].value)
    except (KafkaException, TimeoutError, KeyError, TypeError, ValueError) as error:
        _log.debug("%s of topic %s: %s", name, topic, error)
        return None


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
