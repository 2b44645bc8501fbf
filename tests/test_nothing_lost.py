"""Whatever dies while a video runs: the set of event ids is that of an undisturbed run.

These tests kill with SIGKILL, so they have services of their own.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from conftest import REPOSITORY, SAMPLE, OwnServices, Services, wait_for
from framewatch.embedded.home import Endpoints
from framewatch.embedded.process import Child
from framewatch.kafka.topics import ensure_topic
from framewatch.storage.mongo.client import connect
from shared import free_port, this_run

FRAMES = 300
FPS = 60  # 5 seconds: long enough to be killed in the middle, short enough to wait for
RUN = "run-1"

# A worker whose store kills the process after the store's answer and before anything is committed.
DIES_BEFORE_COMMIT = """
import os, signal, sys
from framewatch.wiring.worker import run_worker
from framewatch.settings import load_settings
from framewatch.embedded.home import endpoints
from framewatch.storage.mongo.client import connect
from framewatch.storage.mongo.events import EventStore
from framewatch.storage.mongo.store import MongoStore
import threading

class DyingStore(EventStore):
    given = 0
    def _insert(self, events):
        known = super()._insert(events)
        if AFTER == "insert": self.die(events)
        return known
    def add(self, events):
        stored = super().add(events)
        if AFTER == "add": self.die(events)
        return stored
    def die(self, events):
        # By events, not by batches: on a busy machine a few batches may be all there are.
        self.given += len(events)
        if self.given >= 60: os.kill(os.getpid(), signal.SIGKILL)

AFTER = sys.argv[1]
topic, name, port = sys.argv[2:]
settings = load_settings(topic=topic, group=name, database=name, port=port, instance="w")
where = endpoints(settings)
database = connect(where.mongodb)[settings.database]
store = MongoStore(database)
store.events = DyingStore(database)
run_worker(settings, where, store, threading.Event())
"""


class Process(subprocess.Popen[str]):
    """A command, whose log can be read while it runs."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("w") as stderr:
            super().__init__(
                arguments, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=stderr, text=True
            )

    def said(self) -> str:
        return self.log.read_text()


class Bench:
    """A group and a database of one test, a topic of its own unless it is named, and the processes on them."""

    def __init__(
        self, services: Services, name: str, topic: str | None = None, endpoints: Endpoints | None = None
    ) -> None:
        self.name = name
        self.topic = topic or name
        self.port = free_port()
        self.endpoints = endpoints or services.endpoints
        self.client = connect(self.endpoints.mongodb)
        self.database = self.client[name]
        self.processes: list[Process] = []
        self._logs = services.home.logs
        self._environment = {
            **services.environment(),
            "KAFKA_BOOTSTRAP_SERVERS": self.endpoints.kafka,
            "MONGODB_URI": self.endpoints.mongodb,
        }
        ensure_topic(self.endpoints.kafka, self.topic, 2, 1, {})

    def worker(self) -> Process:
        return self._start(
            "-m", "framewatch.consumer", "--quiet", "--topic", self.topic, "--group", self.name,
            "--database", self.name, "--port", self.port, "--instance", "w",
        )  # fmt: skip

    def dying_worker(self, after: str) -> Process:
        return self._start("-c", DIES_BEFORE_COMMIT, after, self.topic, self.name, self.port)

    def video(self, fps: float | str = FPS) -> Process:
        options = ("--fps", fps, "--topic", self.topic, "--stream", "s", "--run", RUN, "--json")
        return self._start("-m", "framewatch.producer", small_faces(), *options)

    def ids(self) -> set[str]:
        return {str(document["_id"]) for document in self.database.events.find({}, {"_id": 1})}

    def counted(self) -> int:
        """Events counted by the minute; those by the hour are as many."""
        cells = list(self.database.counts.find({}))
        minutes, hours = (sum(int(cell["n"]) for cell in cells if unit in cell) for unit in ("minute", "hour"))
        assert minutes == hours
        return minutes

    def wait_until_done(self, timeout_s: float = 120) -> None:
        """Return when all on the topic is committed, which comes after all else: nothing is written any more."""
        deadline = time.monotonic() + timeout_s
        while (left := self._not_committed()) != 0:
            if time.monotonic() > deadline:
                told = f"{left} frames not committed, {len(self.ids())} events stored"
                raise AssertionError("\n".join((told, str(health(self.port)), *self.end())))
            time.sleep(0.25)

    def has_exactly(self, ids: set[str]) -> None:
        """Wait until all is done; then these events are stored and counted, once each and no others."""
        self.wait_until_done()
        stored = self.ids()
        if stored != ids:
            told = f"{len(ids - stored)} missing, {len(stored - ids)} too many of {len(ids)}"
            raise AssertionError("\n".join((told, str(health(self.port)), *self.end())))
        assert self.counted() == len(ids)

    def wait_until_stored(self, n: int) -> None:
        wait_for(lambda: self.database.events.estimated_document_count() >= n, f"{n} events", 120)

    def end(self) -> list[str]:
        """Kill what still runs; what each has said."""
        for process in self.processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        return [process.said() for process in self.processes]

    def close(self) -> None:
        self.end()
        self.client.close()

    def _not_committed(self) -> int | None:
        """Frames on the topic whose offsets the group has not committed, or None while the broker cannot say."""
        # A new client each time: one that sees a broker go may never find it again, see kafka.broker_health.
        config = {"bootstrap.servers": self.endpoints.kafka, "group.id": self.name, "log_level": 2}
        with closing(Consumer(config)) as consumer:
            try:
                places = [TopicPartition(self.topic, partition) for partition in (0, 1)]
                ends = [consumer.get_watermark_offsets(place, timeout=5)[1] for place in places]
                committed = [max(0, place.offset) for place in consumer.committed(places, timeout=5)]
            except KafkaException:
                return None
        return sum(end - done for end, done in zip(ends, committed, strict=True))

    def _start(self, *arguments: object) -> Process:
        log = self._logs / f"{self.name}-{len(self.processes)}.log"
        self.processes.append(Process([sys.executable, *map(str, arguments)], self._environment, log))
        return self.processes[-1]


@pytest.fixture
def bench(own: OwnServices) -> Iterator[Bench]:
    with closing(Bench(own, f"b{secrets.token_hex(4)}")) as bench:
        yield bench


@pytest.fixture
def undisturbed(services: Services) -> set[str]:
    return undisturbed_ids(services)


def undisturbed_ids(services: Services) -> set[str]:
    """Event ids of a run in which nothing happens; they depend neither on its pace nor on the broker."""

    def run(folder: Path) -> None:
        with closing(Bench(services, "undisturbed")) as bench:
            bench.worker()
            assert delivered(bench.video("max")) == FRAMES
            bench.wait_until_done()
            ids = bench.ids()
            assert len(ids) > 200
            assert bench.counted() == len(ids)
            (folder / "ids.json").write_text(json.dumps(sorted(ids)))
            bench.end()
            bench.client.drop_database(bench.name)  # others use that store too

    return set(json.loads((this_run().once("undisturbed", run) / "ids.json").read_text()))


def small_faces() -> Path:
    """The part of the sample that has faces, in small: what dies here is not to spend its time on large pictures."""

    def make(folder: Path) -> None:
        whole = cv2.VideoCapture(str(SAMPLE))
        small = cv2.VideoWriter(str(folder / "faces.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 30, (240, 135))
        assert small.isOpened()
        for _ in range(50):
            whole.grab()
        for _ in range(FRAMES):
            there, image = whole.read()
            assert there
            small.write(cv2.resize(image, (240, 135), interpolation=cv2.INTER_AREA))
        small.release()
        whole.release()

    return this_run().once("small-faces", make) / "faces.avi"


def delivered(video: Process) -> int:
    out, _ = video.communicate(timeout=150)
    assert video.returncode == 0, video.said()
    return int(json.loads(out)["delivered"])


def test_a_worker_killed_between_the_stores_answer_and_the_commit_loses_and_doubles_nothing(
    own: OwnServices, bench: Bench, undisturbed: set[str]
) -> None:
    # Two groups side by side on one topic: each has a worker that dies at another step.
    with closing(Bench(own, f"{bench.name}_add", bench.topic)) as other:
        dying = [(bench, bench.dying_worker("insert")), (other, other.dying_worker("add"))]
        video = bench.video()
        for each, worker in dying:
            assert worker.wait(120) == -signal.SIGKILL, worker.said()
            assert 0 < len(each.ids()) < len(undisturbed)
            each.worker()
        assert delivered(video) == FRAMES
        for each, _ in dying:
            each.has_exactly(undisturbed)


def test_a_worker_killed_anywhere_loses_and_doubles_nothing(bench: Bench, undisturbed: set[str]) -> None:
    video = bench.video()
    for stored in (20, 70, 130):
        worker = bench.worker()
        bench.wait_until_stored(stored)
        worker.kill()
        worker.wait()
    bench.worker()
    assert delivered(video) == FRAMES
    bench.has_exactly(undisturbed)


def test_a_killed_store_is_waited_for(own: OwnServices, bench: Bench, undisturbed: set[str]) -> None:
    bench.worker()
    video = bench.video()
    bench.wait_until_stored(50)
    kill(own.store.pid)
    time.sleep(1)
    own.store.start()
    assert delivered(video) == FRAMES
    bench.has_exactly(undisturbed)


def test_a_killed_broker_is_waited_for(own: OwnServices, bench: Bench, undisturbed: set[str]) -> None:
    worker = bench.worker()
    video = bench.video()
    bench.wait_until_stored(50)
    kill(own.kafka.pid)
    time.sleep(1)
    own.kafka.start()
    assert delivered(video) == FRAMES
    bench.has_exactly(undisturbed)
    assert worker.poll() is None


def test_thirty_seconds_away_stall_and_resume(own: OwnServices, services: Services, undisturbed: set[str]) -> None:
    # Store and broker at the same time, and yet each alone: beside it stands a server that nobody stops.
    without_store = Endpoints(services.endpoints.kafka, own.endpoints.mongodb)
    without_broker = Endpoints(own.endpoints.kafka, services.endpoints.mongodb)
    with ExitStack() as ending:
        benches = [
            ending.enter_context(closing(Bench(own, name, endpoints=endpoints)))
            for name, endpoints in (("without_store", without_store), ("without_broker", without_broker))
        ]
        workers, videos = [bench.worker() for bench in benches], [bench.video() for bench in benches]
        for bench in benches:
            bench.wait_until_stored(50)
        with stopped(own.store), stopped(own.kafka):
            until = time.monotonic() + 30
            for bench in benches:
                wait_for(lambda port=bench.port: health(port)[0] == 503, "the stall", 15)  # type: ignore[misc]
            time.sleep(max(0.0, until - time.monotonic()))
            assert [health(bench.port)[0] for bench in benches] == [503, 503]
            assert [worker.poll() for worker in workers] == [None, None]
            assert [streams(bench.port) for bench in benches] == [["s"], ["s"]]  # the last picture stays
        for video, bench in zip(videos, benches, strict=True):
            assert delivered(video) == FRAMES
            bench.has_exactly(undisturbed)
            wait_for(lambda port=bench.port: is_well(port), "good health", 60)  # type: ignore[misc]
        benches[1].end()
        benches[1].client.drop_database(benches[1].name)  # others use that store too


def test_a_worker_that_is_asked_to_end_finishes_what_it_has(bench: Bench, undisturbed: set[str]) -> None:
    video = bench.video()
    worker = bench.worker()
    bench.wait_until_stored(50)
    worker.terminate()
    assert worker.wait(60) == 0, worker.said()
    # Nothing of what it received comes again: the next one finds no event stored already.
    bench.worker()
    assert delivered(video) == FRAMES
    bench.has_exactly(undisturbed)
    assert "not stored" not in worker.said() and "come again" not in worker.said()
    assert health(bench.port)[1]["counts"]["duplicates"] == 0


@contextmanager
def stopped(child: Child) -> Iterator[None]:
    """It is there and answers nothing."""
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(child.pid, signal.SIGCONT)


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def health(port: int) -> tuple[int, Any]:
    """Status code and content of a worker's health page; 0 and None where it does not answer (yet)."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, None


def streams(port: int) -> list[str]:
    """Names of the streams that a worker shows."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/streams", timeout=20) as answer:
        return [str(status["stream"]) for status in json.load(answer)["streams"]]


def is_well(port: int) -> bool:
    """Whether a worker is healthy, has both partitions and has shown all that is on them."""
    code, said = health(port)
    return code == 200 and (said["lag"], said["partitions"]) == (0, 2)
