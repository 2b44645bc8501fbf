"""ResultSink of named pictures as JSON objects, from a bucket through Kafka into a bucket: each once, none lost."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
from confluent_kafka import TopicPartition
from pymongo.database import Database

from conftest import Command, wait_for
from framewatch.consumer.processing import ClassifiedFrame, ConsumedRecord
from framewatch.consumer.sinks.results import ResultSink, is_as_new, result_of
from framewatch.embedded.home import Endpoints
from framewatch.errors import ObjectsUnavailable
from framewatch.kafka.clients import make_frame_reader
from framewatch.kafka.record import Record
from framewatch.model.event import Event
from framewatch.model.frame import Frame
from framewatch.objects.base import Access
from framewatch.objects.open import open_objects
from framewatch.ports import accepts
from framewatch.storage.mongo.documents import Document
from framewatch.vision.jpeg import encode_jpeg
from s3 import SECRET, Gate, ObjectStore
from shared import free_port
from test_consume import picture, sample_frames

US = 1_770_000_000_123_456
MODEL = "faces-1"


def named(name: str | None, number: int = 0, run: str = "r", time_us: int = US, stream: str = "s") -> Frame:
    return Frame(stream, run, number, time_us, 8, 8, b"jpeg", name)


def event(of: Frame, label: str, confidence: float, index: int, model: str = MODEL) -> Event:
    return Event(
        of.stream, of.run, of.number, of.time_us, index, label, confidence, model, 0, 0,
        boundingbox=(1, 2, 3, 4), scores=((label, confidence),),
    )  # fmt: skip


def seen(of: Frame, *labels: tuple[str, float], model: str = MODEL) -> ClassifiedFrame:
    events = [event(of, label, confidence, k, model) for k, (label, confidence) in enumerate(labels)]
    return ClassifiedFrame(ConsumedRecord("t", 0, of.number, Record(None, None, [], 0)), of, (), events, model, 0.0)


# --- what a result is


def test_a_result_names_file_activity_confidence_and_time_and_all_that_was_seen() -> None:
    assert result_of(seen(named("1.jpg", 7), ("sitting", 0.5), ("texting", 0.75))) == {
        "filename": "1.jpg",
        "activity": "texting",
        "confidence": 0.75,
        "timestamp": "2026-02-02T02:40:00.123456+00:00",
        "time_us": US,
        "stream": "s",
        "run": "r",
        "frame": 7,
        "model": MODEL,
        "detections": [
            {
                "label": label,
                "confidence": confidence,
                "boundingbox": [1, 2, 3, 4],
                "scores": [{"label": label, "score": confidence}],
            }
            for label, confidence in (("sitting", 0.5), ("texting", 0.75))
        ],
    }


def test_a_picture_in_which_nothing_was_seen_has_no_activity() -> None:
    result = result_of(seen(named("1.jpg")))
    assert (result["activity"], result["confidence"], result["detections"]) == (None, None, [])


@pytest.mark.parametrize(
    ("again", "model", "as_new"),
    [
        (named("1.jpg", 7), MODEL, True),  # delivered twice
        (named("1.jpg", 7), "faces-2", False),  # looked at by another model
        (named("1.jpg", 8, time_us=US + 1), MODEL, False),  # the next time round
        (named("1.jpg", 0, "r2", US + 1), MODEL, False),  # a newer run
        (named("1.jpg", 0, "r0", US - 1), MODEL, True),  # an older one that comes again
        (named("1.jpg", 7, stream="other"), MODEL, False),  # another stream at the same time
    ],
)
def test_a_result_is_replaced_by_a_later_picture_only(again: Frame, model: str, as_new: bool) -> None:
    standing = json.dumps(result_of(seen(named("1.jpg", 7), ("face", 1)))).encode()
    assert is_as_new(standing, again, model) == as_new


@pytest.mark.parametrize(
    "standing", [b"", b"{", b"[]", b"null", b"{}", b'{"time_us": "x"}', b"\xff", b'{"time_us": 1e999}']
)
def test_what_is_no_result_of_ours_is_replaced(standing: bytes) -> None:
    assert not is_as_new(standing, named("1.jpg"), MODEL)


# --- written once


@pytest.fixture
def output(s3: ObjectStore) -> Iterator[tuple[ResultSink, str]]:
    """Results in a bucket that keeps every version."""
    bucket = s3.bucket()
    s3.keep_versions(bucket)
    results = ResultSink(open_objects(f"s3://{bucket}/output/", s3.access))
    results.setup()
    yield results, bucket


def test_only_pictures_with_a_name_have_results_and_a_batch_again_changes_nothing(
    output: tuple[ResultSink, str], s3: ObjectStore
) -> None:
    results, bucket = output
    batch = [seen(named(f"{k}.jpg" if k % 2 else None, k), ("face", 0.5)) for k in range(20)]
    results.add(batch)
    stamps = s3.stamps(bucket)
    assert len(stamps) == 10
    results.add(batch)
    assert s3.stamps(bucket) == stamps


def test_of_a_name_in_one_batch_the_latest_counts_and_no_earlier_one_comes_back(
    output: tuple[ResultSink, str], s3: ObjectStore
) -> None:
    results, bucket = output
    batch = [seen(named("1.jpg", k, time_us=US + k), (f"label {k}", 0.5)) for k in (0, 2, 1)]
    results.add(batch)
    assert json.loads(s3.get(bucket, "output/1.jpg.json"))["activity"] == "label 2"
    results.add(batch[:1])
    assert len(s3.stamps(bucket)) == 1


def test_a_folder_takes_results_too_and_one_cut_off_is_made_whole(tmp_path: Path) -> None:
    results = ResultSink(open_objects(str(tmp_path / "out"), Access()))
    results.setup()
    (tmp_path / "out" / "1.jpg.json").write_text('{"time_us"')
    results.add([seen(named("1.jpg"), ("face", 0.5))])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1.jpg.json"]
    assert json.loads((tmp_path / "out" / "1.jpg.json").read_text())["filename"] == "1.jpg"


def test_a_store_that_is_away_is_said_and_what_was_not_written_can_come_again(gate: Gate) -> None:
    bucket = gate.store.bucket()
    results = ResultSink(open_objects(f"s3://{bucket}/output/", gate.store.access))
    batch = [seen(named(f"{k}.jpg", k)) for k in range(30)]
    gate.shut()
    with pytest.raises(ObjectsUnavailable):
        results.add(batch)
    gate.open()
    results.add(batch)
    assert len(gate.store.stamps(bucket)) == 30


# --- from bucket to bucket


@cache
def with_a_face_and_without() -> tuple[bytes, bytes]:
    return encode_jpeg(sample_frames(110)[-1]), encode_jpeg(picture())


class Lake:
    """A bucket with twelve pictures, nine of them with a face, and commands that work on it."""

    def __init__(
        self, framewatch: Command, topic: str, database: Database[Document], s3: ObjectStore, gate: Gate
    ) -> None:
        self.database = database
        self.store = s3
        self._way = gate.store
        self.framewatch = framewatch
        self._topic = topic
        self.port = 0  # of the worker started last
        face, none = with_a_face_and_without()
        self.faces = [number for number in range(1, 13) if number % 4]
        self.bucket = s3.bucket({f"test/{n}.jpg": face if n in self.faces else none for n in range(1, 13)})
        s3.keep_versions(self.bucket)

    def produce(self, *options: object) -> tuple[int, str]:
        """Exit code, and all that was said."""
        process = self.start("produce", f"s3://{self.bucket}/test/", *options)
        out, err = process.communicate(timeout=200)
        return process.returncode, out + err

    def consume(self, *options: object, group: str = "") -> subprocess.Popen[str]:
        self.port = port = free_port()
        where = ("--database", self.database.name, "--port", port, "--output", f"s3://{self.bucket}/output/")
        whose = ("--quiet", "--group", group or self._topic, "--instance", "w", "--topic", self._topic)
        worker = self.framewatch("consume", *whose, *where, *options, **self._way.environment)
        wait_for(lambda: accepts(port) or worker.poll() is not None, "the web server", 200)
        return worker

    def received(self) -> int:
        """Pictures that the worker has taken from Kafka."""
        answer = requests.get(f"http://127.0.0.1:{self.port}/health", timeout=60)
        return int(answer.json()["counts"]["received"])

    def start(self, command: str, *options: object) -> subprocess.Popen[str]:
        return self.framewatch(command, *options, "--topic", self._topic, **self.store.environment)

    def results(self) -> dict[str, dict[str, Any]]:
        keys = self.store.keys(self.bucket, "output/")
        return {key.removeprefix("output/"): json.loads(self.store.get(self.bucket, key)) for key in keys}

    def versions(self) -> dict[str, tuple[str, str]]:
        return self.store.stamps(self.bucket, "output/")

    def events(self) -> list[Document]:
        return list(self.database.events.find({}, {"crop": 0}))

    def wait_for_results(self, n: int) -> None:
        wait_for(lambda: len(self.store.keys(self.bucket, "output/")) >= n, f"{n} results", 200)

    def wait_for_events(self, n: int) -> None:
        wait_for(lambda: self.database.events.estimated_document_count() >= n, f"{n} events", 200)


@pytest.fixture
def lake(framewatch: Command, topic: str, database: Database[Document], s3: ObjectStore, gate: Gate) -> Lake:
    """Consumers go through the gate."""
    return Lake(framewatch, topic, database, s3, gate)


def ended(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=200)
    return process.returncode, out + err


def heard(process: subprocess.Popen[str], words: str) -> str:
    """What it says up to the line with these words, once it says them."""
    assert process.stderr is not None
    said = ""
    while line := process.stderr.readline():
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended without {words!r}: {said}")


def test_pictures_of_a_bucket_give_events_and_one_result_each_however_often_they_are_read(lake: Lake) -> None:
    worker = lake.consume()
    code, said = lake.produce("--run", "first")
    assert (code, "12 delivered" in said) == (0, True), said
    lake.wait_for_results(12)
    results, once = lake.results(), lake.versions()
    assert sorted(results) == sorted(f"{number}.jpg.json" for number in range(1, 13))
    events = {event["frame"]: event for event in lake.events()}
    for number in range(1, 13):
        result = results[f"{number}.jpg.json"]
        assert (result["filename"], result["run"], result["frame"]) == (f"{number}.jpg", "first", number - 1)
        assert datetime.fromisoformat(result["timestamp"]).timestamp() == pytest.approx(result["time_us"] / 1e6)
        if number not in lake.faces:
            assert (result["activity"], result["confidence"], result["detections"]) == (None, None, [])
            continue
        stored = events[number - 1]
        assert (result["activity"], result["confidence"]) == ("face", stored["confidence"])
        assert result["detections"][0]["boundingbox"] == stored["boundingbox"]
        assert (result["time_us"], result["model"]) == (stored["time_us"], stored["model"])
    code, log = ended(worker, signal.SIGTERM)
    assert (code, SECRET in said + log) == (0, False)

    again = lake.consume("--from-beginning", group="another")
    lake.produce("--run", "second")
    wait_for(lambda: len(lake.versions()) >= 24, "the results of the newer run", 200)
    ended(again, signal.SIGTERM)
    assert {result["run"] for result in lake.results().values()} == {"second"}
    assert len(lake.versions()) == 24, "each once in each run"
    assert once.items() <= lake.versions().items(), "what was written stays as it was"


def test_a_worker_killed_while_the_store_is_away_has_lost_nothing_when_both_are_back(lake: Lake, gate: Gate) -> None:
    worker = lake.consume()
    lake.produce("--run", "first")
    lake.wait_for_results(12)
    gate.shut()
    lake.produce("--run", "second")
    lake.wait_for_events(len(lake.faces) + 1)
    ended(worker, signal.SIGKILL)
    worker = lake.consume()
    assert {result["run"] for result in lake.results().values()} == {"first"}
    gate.open()
    wait_for(lambda: len(lake.versions()) >= 24, "the results of the second run", 200)
    assert {result["run"] for result in lake.results().values()} == {"second"}
    ended(worker, signal.SIGTERM)
    assert len(lake.versions()) == 24, "each once in each run"
    assert len(lake.events()) == 2 * len(lake.faces)


def test_a_worker_told_to_end_while_the_store_is_away_ends_and_what_it_had_comes_again(
    lake: Lake, gate: Gate
) -> None:
    gate.shut()
    worker = lake.consume()
    lake.produce()
    before = heard(worker, "retrying")
    wait_for(lambda: lake.received() >= 12, "all pictures in its hands")
    code, log = ended(worker, signal.SIGTERM)
    assert code == 0, before + log
    assert lake.results() == {}
    gate.open()
    worker = lake.consume()
    lake.wait_for_results(12)
    code, log = ended(worker, signal.SIGINT)
    assert (code, SECRET in log) == (0, False)


def test_a_bucket_that_is_not_there_ends_the_worker_with_one_line(lake: Lake) -> None:
    lake.bucket = "no-such-lake"
    out, err = lake.consume().communicate(timeout=200)
    assert "framewatch: s3://no-such-lake/output/: there is no bucket 'no-such-lake': make it first" in err
    assert "Traceback" not in out + err


def test_what_is_no_place_for_results_is_known_before_anything_starts(lake: Lake) -> None:
    process = lake.framewatch("up", "--output", f"s3://k:{SECRET}@lake/out", **lake.store.environment)
    out, err = process.communicate(timeout=200)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("framewatch: --output: expected s3://bucket/prefix/")
    assert SECRET not in err


def test_broken_pictures_of_a_bucket_end_the_producer_with_one(lake: Lake) -> None:
    lake.store.put(lake.bucket, {"test/3.jpg": b"no picture"})
    code, said = lake.produce("--fps", "max")
    assert code == 1
    assert f"s3://{lake.bucket}/test/3.jpg: not a picture that can be read" in said
    assert "1 of 12 pictures could not be read whole" in said
    assert "11 delivered" in said


def test_a_producer_of_a_bucket_in_a_loop_ends_at_ctrl_c_though_the_store_is_silent(
    lake: Lake, s3: ObjectStore, endpoints: Endpoints, topic: str
) -> None:
    producer = lake.start("produce", f"s3://{lake.bucket}/test/", "--loop", "--fps", "20", "--json")
    with closing(make_frame_reader(endpoints.kafka, {})) as reader:
        places = [TopicPartition(topic, partition) for partition in (0, 1)]

        def delivered() -> int:
            return sum(int(reader.get_watermark_offsets(place, 20, cached=False)[1]) for place in places)

        wait_for(lambda: delivered() > 12, "the second time round", 200)
    with s3.frozen():
        started = time.monotonic()
        code, said = ended(producer, signal.SIGINT)
        assert code == 0, said
        assert time.monotonic() - started < 30
