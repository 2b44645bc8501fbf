"""Reads whole frames back from Kafka, one at a time, for as long as Kafka keeps them.

An event has the partition and offset of its frame. The topic may have been emptied, recreated or filled by something
else since, so the record found there is compared with the event.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from framewatch.errors import BadRecord, BrokerUnavailable, FrameGone
from framewatch.kafka.clients import record_of
from framewatch.kafka.record import from_record
from framewatch.model.event import Event
from framewatch.model.frame import Frame

_FETCH_S: Final = 3.0
_TURN_S: Final = 3.0  # that a caller waits for the client
_POLL_S: Final = 0.2
_SILENT_S: Final = (
    0.5  # after which the topic's metadata is asked for: of a missing partition the client says nothing
)
_METADATA_S: Final = 1.0
_MAX_CALLERS: Final = 8  # at a time: each may hold a frame, and a thread of the web server

_GONE: Final = {
    KafkaError._AUTO_OFFSET_RESET: "Kafka does not keep it any more",
    KafkaError.OFFSET_OUT_OF_RANGE: "Kafka does not keep it any more",
    KafkaError._PARTITION_EOF: "the topic ends before it: it was made anew",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "the topic is not there any more, or has fewer partitions",
    KafkaError._UNKNOWN_TOPIC: "the topic is not there any more",
    KafkaError._UNKNOWN_PARTITION: "the topic has fewer partitions now",
}


class FrameReader:
    """Reads frames back. Any thread may call; one client serves them in turn.

    A caller waits at most three seconds for its turn, and its fetch takes at most three seconds from then on. Only a
    fetch that got no answer in its own time replaces the client: one that waited in vain says nothing about it.
    """

    def __init__(self, make_reader: Callable[[], Consumer], topic: str) -> None:
        """Connect to nothing yet: the client is made by the first read.

        Args:
            make_reader: makes a client that takes part in no group: see kafka.clients.make_frame_reader.
            topic: of the frames.
        """
        self._make_reader = make_reader
        self._topic = topic
        self._turn = threading.Lock()
        self._callers = threading.BoundedSemaphore(_MAX_CALLERS)
        self._reader: Consumer | None = None
        self._closed = False

    def read(self, event: Event) -> bytes:
        """The JPEG file of the event's whole frame.

        Raises:
            FrameGone: Kafka has it no more, or has another record at its offset.
            BrokerUnavailable: Kafka did not give it within three seconds, or too many frames are being read.
        """
        if not self._callers.acquire(blocking=False):
            raise BrokerUnavailable(f"{_MAX_CALLERS} frames are being read from Kafka: try again")
        try:
            if not self._turn.acquire(timeout=_TURN_S):
                raise BrokerUnavailable(f"other frames were read from Kafka for {_TURN_S:g} s: try again")
            try:
                message = self._fetch(TopicPartition(self._topic, event.partition, event.offset))
            finally:
                self._turn.release()
        finally:
            self._callers.release()
        return _checked(message, event).jpeg

    def close(self) -> None:
        """Close the client; later reads raise BrokerUnavailable."""
        with self._turn:
            self._closed = True
            self._drop_client()

    def _drop_client(self) -> None:
        """Close the client; one that got no answer may never get one again, see ``kafka.broker_health``."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _fetch(self, wanted: TopicPartition) -> Message:
        """The record at this offset, or the next one where that alone is gone; for the thread whose turn it is.

        Raises:
            FrameGone: there is no such record.
            BrokerUnavailable: the client is closed, or did not give it in time and was replaced.
        """
        if self._closed:
            raise BrokerUnavailable("frames are not read back any more: the worker ends")
        if self._reader is None:
            self._reader = self._make_reader()
        try:
            return _poll(self._reader, wanted)
        except KafkaException as error:
            said = error.args[0]
            if (reason := _GONE.get(said.code())) is not None:
                raise FrameGone(f"{_where(wanted)}: {reason}") from None
        finally:
            self._reader.unassign()  # else it would go on reading what comes after
        self._drop_client()
        raise BrokerUnavailable(f"{_where(wanted)} cannot be read from Kafka now: {said.str()}")


def _poll(reader: Consumer, wanted: TopicPartition) -> Message:
    """The record at this offset, or the next one where that record alone is gone.

    Raises:
        KafkaException: there is no such record, or no answer within three seconds.
    """
    started_s = time.monotonic()
    last = KafkaError(KafkaError._TIMED_OUT, "no answer")
    metadata_asked = False
    reader.assign([wanted])
    while (left_s := started_s + _FETCH_S - time.monotonic()) > 0:
        message = reader.poll(min(_POLL_S, left_s))
        if message is None:
            if not metadata_asked and left_s < _FETCH_S - _SILENT_S:
                metadata_asked = True
                _check_partition(reader, wanted)
        elif message.partition() != wanted.partition:
            continue  # still from the read before
        elif (error := message.error()) is None:
            return message
        elif error.code() in _GONE:
            raise KafkaException(error)
        else:
            last = error
    raise KafkaException(last)


def _check_partition(reader: Consumer, wanted: TopicPartition) -> None:
    """Ask the broker whether there is such a partition.

    Raises:
        KafkaException: there is none, or no broker answers soon.
    """
    topic = reader.list_topics(wanted.topic, timeout=_METADATA_S).topics[wanted.topic]
    if topic.error is not None and topic.error.code() in _GONE:
        raise KafkaException(topic.error)
    if topic.partitions and wanted.partition not in topic.partitions:
        raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))


def _checked(message: Message, event: Event) -> Frame:
    """The frame of the record, if it is the event's.

    Raises:
        FrameGone: it is not.
    """
    where = _where(event)
    if message.offset() != event.offset:
        raise FrameGone(f"{where}: Kafka has deleted this record")
    try:
        frame = from_record(record_of(message))
    except BadRecord as error:
        raise FrameGone(f"{where}: the record there is no frame: {error}") from None
    if (frame.stream, frame.run, frame.number) != (event.stream, event.run, event.frame):
        raise FrameGone(
            f"{where}: frame {frame.number} of stream {frame.stream!r} is there now: the topic was made anew"
        )
    return frame


def _where(record: TopicPartition | Event) -> str:
    return f"offset {record.offset} of partition {record.partition}"
