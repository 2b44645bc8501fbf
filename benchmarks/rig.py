"""What the benchmarks share: services of their own, the sample's frames, a worker, and its figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from framewatch.embedded.home import Home
from framewatch.embedded.jars import jar_paths
from framewatch.embedded.kafka import EmbeddedKafka
from framewatch.embedded.store import EmbeddedStore
from framewatch.kafka.topics import broker_answers
from framewatch.ports import accepts, choose_port
from framewatch.settings import load_settings
from framewatch.vision.jpeg import encode_jpeg

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "videos" / "sample.mp4"
DATA = Path(os.environ.get("FRAMEWATCH_TEST_DATA", ROOT.parent / "shared" / "data"))


class Rig:
    """An embedded broker and store in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        home = Home(folder)
        home.prepare()
        kafka = EmbeddedKafka(home, jar_paths(load_settings().cache), choose_port())
        store = EmbeddedStore(home, choose_port())
        self._children = [store.prepare(), kafka.prepare()]
        self._children[1].ready = lambda: accepts(kafka.port) and broker_answers(kafka.address)
        self.uri = store.uri
        self._environment = {
            **os.environ,
            "FRAMEWATCH_HOME": str(folder),
            "KAFKA_BOOTSTRAP_SERVERS": kafka.address,
            "MONGODB_URI": store.uri,
        }

    def start(self) -> None:
        """Start both and wait until they answer."""
        for child in self._children:
            child.start()
        for child in self._children:
            child.wait_ready()

    def stop(self) -> None:
        """End both."""
        for child in reversed(self._children):
            child.stop()

    def command(self, module: str, *arguments: object, **streams: Any) -> subprocess.Popen[str]:
        """Start a module of ours (``producer``, ``consumer``) against these services."""
        argv = [sys.executable, "-m", f"framewatch.{module}", *map(str, arguments)]
        return subprocess.Popen(argv, env=self._environment, cwd=ROOT, text=True, **streams)

    def produce(self, *arguments: object) -> dict[str, Any]:
        """Run a producer to its end; its figures."""
        process = self.command("producer", *arguments, "--json", stdout=subprocess.PIPE)
        out, _ = process.communicate()
        return dict(json.loads(out))

    @contextmanager
    def worker(self, name: str, *options: object, settle: bool = True) -> Iterator[Worker]:
        """A consumer of topic ``name``, that writes to database ``name``; settled once it has its partitions."""
        port = choose_port()
        own = ("--topic", name, "--group", name, "--database", name, "--port", port, "--instance", name)
        process = self.command("consumer", "--quiet", *own, *options, stderr=subprocess.DEVNULL)
        worker = Worker(process.pid, port)
        try:
            if settle:
                worker.wait_up()
            yield worker
        finally:
            process.terminate()
            process.wait(40)


class Worker:
    """A consumer that runs, seen from outside."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    def health(self) -> dict[str, Any]:
        """What its health page says."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error))

    def wait_up(self) -> None:
        """Return when broker and store are up for it and it waits for frames."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if self.health()["status"] == "healthy":
                    time.sleep(2)  # the group gives it its partitions
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise TimeoutError("the consumer did not come up within 60 s")

    def wait_done(self, frames: int, timeout_s: float = 900) -> None:
        """Return when it is done with so many frames: stored, and free to be committed."""
        deadline = time.monotonic() + timeout_s
        while self.health()["counts"]["done"] < frames:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not {frames} frames within {timeout_s} s: {self.health()}")
            time.sleep(0.05)

    def _done(self) -> int:
        """Frames done; none while it is not up."""
        try:
            return int(self.health()["counts"]["done"])
        except OSError:
            return 0

    def frames_per_second(self, frames: int) -> float:
        """Work through frames that are on the topic already: the rate from the first tenth to the last."""
        started = frames // 10
        deadline = time.monotonic() + 60
        while (at_start := self._done()) < started and time.monotonic() < deadline:
            time.sleep(0.02)
        start_s = time.perf_counter()
        self.wait_done(frames)
        return (frames - at_start) / (time.perf_counter() - start_s)

    def memory_mb(self) -> float:
        """Resident memory, in megabytes."""
        return float(psutil.Process(self.pid).memory_info().rss / 1e6)


@contextmanager
def rig() -> Iterator[Rig]:
    """Services that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="framewatch-bench-") as folder:
        services = Rig(Path(folder))
        try:
            services.start()
            yield services
        finally:
            services.stop()


def sample_jpegs(quality: int = 90) -> list[bytes]:
    """The sample's frames as the producer encodes them."""
    capture = cv2.VideoCapture(str(SAMPLE))
    jpegs = []
    while (read := capture.read())[0]:
        jpegs.append(encode_jpeg(np.asarray(read[1], np.uint8), quality))
    capture.release()
    return jpegs
