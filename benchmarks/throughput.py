"""Flat out on the sample, watched: frames done and events stored a second, beside the plain loop, in turn."""

from __future__ import annotations

import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from benchmarks.plain import Result, plain_loop
from benchmarks.rig import SAMPLE, Rig, sample_jpegs
from framewatch.storage.mongo.client import connect


def throughput(rig: Rig, console: Console, rounds: int = 3) -> float:
    """Print both, a row a round; return the median of the rounds' ratios of frames a second."""
    jpegs = sample_jpegs()
    table = Table(
        "round", "plain frames/s", "plain events/s", "Framewatch frames/s", "Framewatch events/s", "ratio frames",
        "ratio events", title="Flat out on videos/sample.mp4 (producer, Kafka, worker and store on the same cores)",
    )  # fmt: skip
    ratios = []
    with connect(rig.uri) as client, rig.worker("throughput") as worker:
        events = client["throughput"]["events"]
        for k in range(rounds):
            plain = plain_loop(jpegs, client["plain"]["events"])
            before, stored = worker.health()["counts"]["done"], events.estimated_document_count()
            with watched(worker.port):
                started = time.perf_counter()
                rig.produce(SAMPLE, "--fps", "max", "--topic", "throughput", "--run", f"r{k}")
                worker.wait_done(before + len(jpegs))
                seconds = time.perf_counter() - started
            ours = Result(len(jpegs), events.estimated_document_count() - stored, seconds)
            ratios.append(_row(table, str(k + 1), plain, ours))
    console.print(table)
    ratio = statistics.median(ratios)
    console.print(f"median: {ratio:.2f} times the plain loop's frames a second (wanted: 2.5)\n", highlight=False)
    return ratio


@contextmanager
def watched(port: int) -> Iterator[None]:
    """One viewer of the live picture meanwhile: only for viewers is it drawn and encoded."""
    left = threading.Event()

    def watch() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/video", timeout=30) as answer:
            while not left.is_set() and answer.read1(1 << 20):
                pass

    viewer = threading.Thread(target=watch, daemon=True)
    viewer.start()
    try:
        yield
    finally:
        left.set()
        viewer.join(10)


def _row(table: Table, name: str, plain: Result, ours: Result) -> float:
    frames = [r.frames / r.seconds for r in (plain, ours)]
    events = [r.events / r.seconds for r in (plain, ours)]
    ratio = frames[1] / frames[0]
    figures = [frames[0], events[0], frames[1], events[1]]
    table.add_row(name, *(f"{f:.1f}" for f in figures), f"{ratio:.2f}", f"{events[1] / events[0]:.2f}")
    return ratio
