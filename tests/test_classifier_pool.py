"""From records to outcomes: batches that fill by themselves, streams that keep their lane, and one bad picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from conftest import wait_for
from framewatch.consumer.classifier_pool import ClassifierPool
from framewatch.consumer.in_flight import InFlightLimiter
from framewatch.consumer.processing import CROP_SIDE, ClassifiedFrame, ConsumedRecord, DeadLetter, Outcome, process
from framewatch.kafka.record import Record, to_record
from framewatch.model.detection import Box, Detection
from framewatch.model.frame import Frame
from framewatch.vision.classifier import Image
from framewatch.vision.jpeg import decode_img, encode_jpeg

Call = tuple[tuple[str | None, ...], tuple[int, ...]]


@dataclass
class Recorder:
    """Says how bright each picture is, while its gate is open; fails at black ones."""

    batch_size: int = 8
    stateful: bool = False
    box: Box | None = None
    calls: list[Call] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    model: str = "recorder@1"
    labels: tuple[str, ...] = ("light", "dark")

    def __post_init__(self) -> None:
        self.gate.set()

    def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:
        shades = tuple(round(float(image.mean())) for image in images)
        self.calls.append((tuple(streams), shades))
        assert self.gate.wait(60)
        if min(shades) < 5:
            raise RuntimeError("a black picture")
        return [[Detection("light" if shade > 127 else "dark", shade / 255, self.box)] for shade in shades]


def grey(shade: int, width: int = 64, height: int = 48) -> Image:
    return np.full((height, width, 3), shade, np.uint8)


def received(
    number: int, stream: str = "cam", image: Image | None = None, jpeg: bytes | None = None
) -> ConsumedRecord:
    image = grey(100 + number % 100) if image is None else image
    frame = Frame(stream, "r", number, 10**15 + number, image.shape[1], image.shape[0], jpeg or encode_jpeg(image))
    return ConsumedRecord("frames", 0, number, to_record(frame))


def numbers(outcomes: Sequence[Outcome]) -> list[int]:
    return [outcome.consumed.offset for outcome in outcomes]


# Batches.


@contextmanager
def lanes(*classifiers: Recorder) -> Iterator[ClassifierPool]:
    waiting = iter(classifiers)
    made = ClassifierPool(lambda: next(waiting), len(classifiers))
    try:
        yield made
    finally:
        for classifier in classifiers:
            classifier.gate.set()
        made.close()


def outcomes_of(futures: Sequence[Future[Outcome]]) -> list[Outcome]:
    return [future.result(60) for future in futures]


def test_a_frame_alone_goes_alone_and_at_once() -> None:
    classifier = Recorder()
    with lanes(classifier) as some:
        taken = []
        for number in range(5):
            started = time.monotonic()
            some.submit(received(number)).result(60)
            taken.append(time.monotonic() - started)
        # A wait for others would hold up each of them; a busy machine holds up one or another.
        assert min(taken) < 0.1
    assert [len(shades) for _, shades in classifier.calls] == [1] * 5


def test_what_waits_while_a_lane_works_is_its_next_batch() -> None:
    classifier = Recorder()
    classifier.gate.clear()
    with lanes(classifier) as some:
        futures = [some.submit(received(0))]
        wait_for(lambda: len(classifier.calls) == 1, "the first call")
        futures += [some.submit(received(number)) for number in range(1, 20)]
        classifier.gate.set()
        found = outcomes_of(futures)
    assert [len(shades) for _, shades in classifier.calls] == [1, 8, 8, 3]
    assert numbers(found) == list(range(20))
    assert all(
        isinstance(outcome, ClassifiedFrame) and outcome.frame.number == outcome.consumed.offset for outcome in found
    )


def test_lanes_share_what_waits_instead_of_one_taking_it_all() -> None:
    both = [Recorder(), Recorder()]
    for classifier in both:
        classifier.gate.clear()
    with lanes(*both) as some:
        futures = [some.submit(received(number)) for number in range(2)]
        wait_for(lambda: all(classifier.calls for classifier in both), "both at work")
        futures += [some.submit(received(number)) for number in range(2, 10)]
        for classifier in both:
            classifier.gate.set()
        outcomes_of(futures)
    assert max(len(shades) for classifier in both for _, shades in classifier.calls) <= 4


def test_room_is_a_batch_in_work_and_one_waiting_for_each_lane() -> None:
    with lanes(Recorder(8), Recorder(8)) as some:
        assert some.capacity == 32
    with lanes(Recorder(1), Recorder(1)) as some:
        assert some.capacity == 8


def test_where_classifiers_remember_each_stream_has_one_lane_and_its_order() -> None:
    both = [Recorder(4, stateful=True), Recorder(4, stateful=True)]
    streams = ("a", "b", "c", "d")
    with lanes(*both) as some:
        futures = [some.submit(received(n, stream)) for n in range(40) for stream in streams]
        outcomes_of(futures)
    seen_by = []
    for classifier in both:
        pairs = [pair for names, shades in classifier.calls for pair in zip(names, shades, strict=True)]
        seen_by.append({name for name, _ in pairs})
        for stream in seen_by[-1]:
            assert [shade for name, shade in pairs if name == stream] == [100 + n for n in range(40)]
    assert len(seen_by[0]) == len(seen_by[1]) == 2
    assert seen_by[0] | seen_by[1] == {f"{stream}/r" for stream in streams}


def test_a_new_run_of_a_stream_goes_on_with_nothing_and_a_picture_of_its_own_with_nobody() -> None:
    frame = Frame("cam", "r", 0, 10**15, 64, 48, encode_jpeg(grey(100)))
    frames = [frame, replace(frame, run="other"), replace(frame, name="1.png"), replace(frame, stream="door")]
    classifier = Recorder(stateful=True)
    process([ConsumedRecord("frames", 0, n, to_record(each)) for n, each in enumerate(frames)], classifier)
    assert classifier.calls[0][0] == ("cam/r", "cam/other", None, "door/r")


def test_records_without_a_key_go_their_way_too() -> None:
    with lanes(Recorder(stateful=True), Recorder(stateful=True)) as some:
        record = ConsumedRecord("frames", 0, 3, Record(None, b"x", (), 0))
        outcome = some.submit(record).result(60)
    assert isinstance(outcome, DeadLetter) and outcome.reason == "key"


def test_closing_finishes_what_waits() -> None:
    classifiers = [Recorder(2), Recorder(2)]
    with lanes(*classifiers) as some:
        futures = [some.submit(received(number)) for number in range(20)]
        some.close()
        assert numbers([future.result(0) for future in futures]) == list(range(20))


# Outcomes.


def test_only_the_picture_that_a_classifier_cannot_cope_with_is_rejected() -> None:
    classifier = Recorder()
    shades = [200, 0, 150, 90]
    found = process([received(k, image=grey(shade)) for k, shade in enumerate(shades)], classifier)
    assert numbers(found) == [0, 1, 2, 3]
    assert [type(outcome) for outcome in found] == [ClassifiedFrame, DeadLetter, ClassifiedFrame, ClassifiedFrame]
    bad = found[1]
    assert isinstance(bad, DeadLetter)
    assert (bad.reason, bad.detail) == ("classifier", "RuntimeError: a black picture")
    assert [len(call[1]) for call in classifier.calls] == [4, 1, 1, 1, 1]


def test_records_that_are_no_frames_take_nothing_from_the_others_of_their_batch() -> None:
    cut = encode_jpeg(grey(9))[:-40]
    batch = [
        received(0),
        received(1, jpeg=cut),
        received(2),
        ConsumedRecord("frames", 0, 3, Record(b"a", b"", (), 0)),
    ]
    classifier = Recorder()
    found = process(batch, classifier)
    assert numbers(found) == [0, 1, 2, 3]
    assert [o.reason if isinstance(o, DeadLetter) else "seen" for o in found] == [
        "seen",
        "truncated",
        "seen",
        "empty",
    ]
    assert classifier.calls == [(("cam/r", "cam/r"), (100, 102))]


def test_a_batch_with_nothing_to_look_at_asks_no_classifier() -> None:
    classifier = Recorder()
    (found,) = process([received(1, jpeg=b"no picture")], classifier)
    assert isinstance(found, DeadLetter)
    assert classifier.calls == []


def test_large_pictures_are_decoded_a_few_at_a_time() -> None:
    classifier = Recorder()
    found = process([received(number) for number in range(8)], classifier, max_decoded=3 * 64 * 48 * 3)
    assert numbers(found) == list(range(8))
    assert [len(shades) for _, shades in classifier.calls] == [3, 3, 2]


def test_a_number_of_answers_other_than_of_pictures_is_a_failure() -> None:
    class Short(Recorder):
        def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:
            return super().classify(images, streams)[1:]

    (found,) = process([received(1)], Short())
    assert isinstance(found, DeadLetter) and "0 answers for 1 pictures" in found.detail


def crop_of(image: Image, box: Box | None = None, jpeg: bytes | None = None) -> tuple[bytes, bytes]:
    """The crop of the event, and the frame's file."""
    (found,) = process([received(0, image=image, jpeg=jpeg)], Recorder(box=box))
    assert isinstance(found, ClassifiedFrame)
    return found.events[0].crop, found.frame.jpeg


def test_the_crop_of_a_whole_small_frame_is_its_own_file() -> None:
    for side in (224, CROP_SIDE):
        crop, jpeg = crop_of(grey(120, side, side // 2))
        assert crop is jpeg


def test_the_crop_of_a_whole_large_frame_is_scaled_down() -> None:
    crop, _ = crop_of(grey(120, CROP_SIDE + 2, 100))
    assert decode_img(crop).shape == (99, CROP_SIDE, 3)


def test_a_box_is_cut_out_of_a_small_frame_too() -> None:
    crop, _ = crop_of(grey(120), Box(10, 10, 20, 30))
    assert decode_img(crop).shape == (30, 20, 3)


def test_a_file_that_is_more_than_a_picture_is_no_crop() -> None:
    image = grey(120)
    plain = encode_jpeg(image)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]
    comment = b"\xff\xfe\xff\xff" + b" " * 65_533
    for jpeg in (turned, plain[:2] + comment * 3 + plain[2:]):
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) is not None
        crop, _ = crop_of(image, jpeg=jpeg)
        assert len(crop) < 2 * len(plain)
        assert b"Exif" not in crop


# InFlightLimiter.


def test_what_is_in_flight_is_bounded_in_number_and_in_bytes() -> None:
    in_flight = InFlightLimiter(max_waiting=3, max_bytes=1000)
    for _ in range(3):
        assert in_flight.wait_for_capacity(0)
        in_flight.consumed(10)
    assert not in_flight.wait_for_capacity(0.01)
    in_flight.shown()
    assert in_flight.wait_for_capacity(0)
    in_flight.consumed(5000)  # larger than all there is: taken in, but nothing beside it
    in_flight.shown()
    assert not in_flight.wait_for_capacity(0.01)
    in_flight.done(3)
    assert not in_flight.wait_for_capacity(0.01)
    in_flight.done(1)
    assert in_flight.wait_for_capacity(0)
