"""How long Kafka keeps the frames."""

from __future__ import annotations

import logging
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

_log = logging.getLogger(__name__)

_ASK_S: Final = 3.0
_MS_PER_DAY: Final = 24 * 3600 * 1000


def frames_days(admin: AdminClient, topic: str) -> float | None:
    """Days for which the topic is set to keep a frame; None where no time is set or no broker answers."""
    asked = ConfigResource(ResourceType.TOPIC, topic)
    try:
        answer = admin.describe_configs([asked], request_timeout=_ASK_S)[asked].result(_ASK_S + 1)
        kept_ms = int(answer["retention.ms"].value)
    except (KafkaException, TimeoutError, KeyError, TypeError, ValueError) as error:
        _log.debug("how long topic %s keeps frames: %s", topic, error)
        return None
    return kept_ms / _MS_PER_DAY if kept_ms >= 0 else None
