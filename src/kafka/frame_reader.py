"""Whole frames read back from Kafka, one at a time, while Kafka keeps them.

An event says at which partition and offset its frame was. The topic may have been emptied, made anew or filled by
something else since, so what is found there is held against the event.
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

_WAIT_S: Final = 3.0
_POLL_S: Final = 0.2
_PATIENCE_S: Final = 0.5
_ANSWER_S: Final = 1.0
_AT_A_TIME: Final = 8  # that wait for their turn: each may hold a frame, and a thread of the web server

_GONE: Final = {
    KafkaError._AUTO_OFFSET_RESET: "Kafka does not keep it any more",
    KafkaError.OFFSET_OUT_OF_RANGE: "Kafka does not keep it any more",
    KafkaError._PARTITION_EOF: "the topic ends before it: it was made anew",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "the topic is not there any more, or has fewer partitions",
    KafkaError._UNKNOWN_TOPIC: "the topic is not there any more",
    KafkaError._UNKNOWN_PARTITION: "the topic has fewer partitions now",
}


class FrameReader:
    """Reads frames back. Any thread may ask; one client serves them in turn, each within three seconds."""

    def __init__(self, make_reader: Callable[[], Consumer], topic: str) -> None:
        """Remember how to get a client; it is made when a first frame is asked for.

        Args:
            make_reader: makes a client that takes part in no group: see kafka.clients.make_frame_reader.
            topic: of the frames.
        """
        self._make_reader = make_reader
        self._topic = topic
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_A_TIME)
        self._reader: Consumer | None = None
        self._closed = False

    def read(self, event: Event) -> bytes:
        """The JPEG file of the event's whole frame.

        Raises:
            FrameGone: Kafka has it no more, or another record in its place.
            BrokerUnavailable: Kafka did not give it within three seconds, or too many are asking.
        """
        deadline = time.monotonic() + _WAIT_S
        if not self._places.acquire(blocking=False):
            raise BrokerUnavailable(f"{_AT_A_TIME} frames are being read from Kafka: try again")
        try:
            if not self._turn.acquire(timeout=_WAIT_S):
                raise BrokerUnavailable(f"other frames were read from Kafka for {_WAIT_S:g} s: try again")
            try:
                message = self._fetch(TopicPartition(self._topic, event.partition, event.offset), deadline)
            finally:
                self._turn.release()
        finally:
            self._places.release()
        return _checked(message, event).jpeg

    def close(self) -> None:
        """End the client; nothing is read any more."""
        with self._turn:
            self._closed = True
            self._drop_reader()

    def _drop_reader(self) -> None:
        """End the client; one that got no answer may never get one again, see ``kafka.broker_health``."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _fetch(self, place: TopicPartition, deadline: float) -> Message:
        """The record at the place, or after it where that one alone is gone; for whoever has its turn."""
        if self._closed:
            raise BrokerUnavailable("frames are not read back any more: the worker ends")
        if self._reader is None:
            self._reader = self._make_reader()
        reader = self._reader
        last = "no answer"
        asked = False
        try:
            reader.assign([place])
            while (left_s := deadline - time.monotonic()) > 0:
                message = reader.poll(min(_POLL_S, left_s))
                if message is None:
                    if not asked and left_s < _WAIT_S - _PATIENCE_S:
                        asked = True
                        _check_there(reader, place)
                    continue
                if message.partition() != place.partition:
                    continue  # of the place before
                if (error := message.error()) is None:
                    return message
                if (reason := _GONE.get(error.code())) is not None:
                    raise FrameGone(f"{_at(place)}: {reason}")
                last = error.str()
        except KafkaException as error:
            last = error.args[0].str()
            if error.args[0].code() in _GONE:
                raise FrameGone(f"{_at(place)}: {_GONE[error.args[0].code()]}") from None
        finally:
            reader.unassign()  # else it would go on reading what comes after
        self._drop_reader()
        raise BrokerUnavailable(f"{_at(place)} cannot be read from Kafka now: {last}")


def _check_there(reader: Consumer, place: TopicPartition) -> None:
    """Ask whether there is such a place, of which the client would say nothing for long.

    Raises:
        FrameGone: there is none.
        KafkaException: no broker says so soon.
    """
    known = reader.list_topics(place.topic, timeout=_ANSWER_S).topics[place.topic]
    if known.error is not None and known.error.code() in _GONE:
        raise FrameGone(f"{_at(place)}: {_GONE[known.error.code()]}")
    if known.partitions and place.partition not in known.partitions:
        raise FrameGone(f"{_at(place)}: {_GONE[KafkaError._UNKNOWN_PARTITION]}")


def _checked(message: Message, event: Event) -> Frame:
    """The frame of the record, if it is the event's."""
    where = _at(event)
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


def _at(place: TopicPartition | Event) -> str:
    return f"offset {place.offset} of partition {place.partition}"
