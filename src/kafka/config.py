"""Settings of the Kafka clients, as they were measured to fit frames."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError

from framewatch.kafka.record import MAX_RECORD_BYTES

Options = Mapping[str, str]
ErrorCallback = Callable[[KafkaError], None]


def producer_config(bootstrap: str, options: Options, on_error: ErrorCallback) -> dict[str, Any]:
    """Client settings of the producer of frames.

    Idempotent, so that a retry neither doubles nor reorders; two frames of 50 kB need no batching beyond what
    waits anyway, and JPEG does not compress. A frame is given up on only after five minutes without a broker.
    """
    return {
        **_common(bootstrap, on_error),
        "enable.idempotence": True,
        "linger.ms": 2,
        "compression.type": "none",
        "message.max.bytes": MAX_RECORD_BYTES,
        "queue.buffering.max.kbytes": 48 * 1024,
        "queue.buffering.max.messages": 10_000,
        "delivery.timeout.ms": 300_000,
        "partitioner": "murmur2_random",  # the same stream to the same partition as Java clients choose
        **options,
    }


def dead_letter_producer_config(bootstrap: str, options: Options, on_error: ErrorCallback) -> dict[str, Any]:
    """Client settings of the producer of dead letters.

    One record a batch: the topic's limit is of a batch, and may be small. The sender waits for the answer, so a
    record is given up on while it still waits, and a topic that is not there is an error soon.
    """
    return {
        **producer_config(bootstrap, options, on_error),
        "enable.idempotence": False,
        "batch.num.messages": 1,
        "delivery.timeout.ms": 20_000,
        "topic.metadata.propagation.max.ms": 3_000,
        "allow.auto.create.topics": False,
    }


def consumer_config(
    bootstrap: str, group: str, instance: str | None, options: Options, on_error: ErrorCallback
) -> dict[str, Any]:
    """Client settings of a worker.

    Only offsets that the worker has marked as done, after the store's answer, are committed: by the client itself,
    five times a second, at a rebalance and at the end. The fetch queue is small and asked again after 20 ms,
    else seconds of stale video pile up in it. With a fixed instance name a restarted worker has its streams
    back at once instead of after the session timeout.
    """
    config = {
        **_common(bootstrap, on_error),
        "group.id": group,
        "enable.auto.offset.store": False,
        "enable.auto.commit": True,
        "auto.commit.interval.ms": 200,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 1_000,
        "max.poll.interval.ms": 300_000,
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": 20,
        "queued.max.messages.kbytes": 8 * 1024,
        "max.partition.fetch.bytes": 2 * 1024 * 1024,
        "fetch.max.bytes": MAX_RECORD_BYTES,
        "receive.message.max.bytes": MAX_RECORD_BYTES + 1024 * 1024,
        "topic.metadata.refresh.interval.ms": 2_000,
        "allow.auto.create.topics": False,
        "partition.assignment.strategy": "range",
        **options,
    }
    return config | ({"group.instance.id": instance} if instance else {})


def frame_reader_config(bootstrap: str, options: Options, on_error: ErrorCallback) -> dict[str, Any]:
    """Client settings of the reader of single records by their offsets.

    It is assigned its partition, joins no group and commits nothing: its group needs a name that stands for nothing.
    Few bytes are asked for at a time: a broker gives the whole of a first record all the same. An offset that is not
    there is an error and not another offset.
    """
    return {
        **_common(bootstrap, on_error),
        "group.id": f"framewatch-frames-{secrets.token_hex(8)}",
        **options,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "allow.auto.create.topics": False,
        "max.partition.fetch.bytes": 64 * 1024,
        "fetch.max.bytes": MAX_RECORD_BYTES,
        "receive.message.max.bytes": MAX_RECORD_BYTES + 1024 * 1024,
        "queued.min.messages": 1,
        "queued.max.messages.kbytes": 64,
        "fetch.queue.backoff.ms": 1,
        "fetch.wait.max.ms": 10,
        "topic.metadata.refresh.interval.ms": 10_000,
    }


def admin_config(bootstrap: str, options: Options) -> dict[str, Any]:
    """Client settings for admin calls."""
    return {**_common(bootstrap, lambda error: None), **options}


def _common(bootstrap: str, on_error: ErrorCallback) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "client.id": "framewatch",
        "error_cb": on_error,
        "log_level": 2,  # librdkafka writes to stderr; what matters comes through error_cb
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1_000,
    }
