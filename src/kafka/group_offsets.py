"""The offsets that a consumer group has committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from framewatch.kafka.admin import ResilientAdmin

_log = logging.getLogger(__name__)

_ASK_S: Final = 5.0


def committed_offsets(admin: ResilientAdmin, group: str, topic: str) -> Callable[[int], int | None]:
    """Asks for the offset that the group has committed for a partition.

    Args:
        admin: the Kafka client.
        group: of the workers.
        topic: of the frames.
    """

    def committed(partition: int) -> int | None:
        asked = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition)])]
        try:
            answers = admin.client.list_consumer_group_offsets(asked, request_timeout=_ASK_S)
            answer = answers[group].result(_ASK_S + 1)
        except (KafkaException, TimeoutError) as error:
            _log.debug("offsets of group %s: %s", group, error)
            admin.report_timeout()
            return None
        found: Sequence[TopicPartition] = answer.topic_partitions or []
        return next((one.offset for one in found if one.error is None and one.offset >= 0), None)

    return committed
