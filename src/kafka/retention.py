"""How long Kafka keeps the frames."""

from __future__ import annotations

from typing import Final

from confluent_kafka.admin import AdminClient

from framewatch.kafka.topics import topic_setting

_MS_PER_DAY: Final = 24 * 3600 * 1000


def frames_days(admin: AdminClient, topic: str) -> float | None:
    """Days for which the topic is set to keep a frame; None where no time is set or no broker answers."""
    kept_ms = topic_setting(admin, topic, "retention.ms")
    return None if kept_ms is None or kept_ms < 0 else kept_ms / _MS_PER_DAY
