"""A whole-frame model at 224x224 through Kafka, beside loops that have the frames at hand and do nothing else."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.rig import ROOT, Rig, sample_jpegs
from framewatch.vision.jpeg import decode_img, encode_jpeg
from framewatch.vision.models.bundle import OPENVINO_FILE
from framewatch.vision.models.inputs import InputSpec, Pixels
from framewatch.vision.models.openvino_runtime import import_openvino

SIDE = 224
SPEC = InputSpec(height=SIDE, width=SIDE)
_PREDICTED = 60  # frames for the slow loop: a few seconds
_ROUNDS_OF_SAMPLE = 6  # 2,520 frames each time
_LOOPS_OF_SAMPLE = 3  # for the quick loops: some seconds, since short bursts may run at a higher clock


class WholeFrame(NamedTuple):
    """Ratios to the loops, and megabytes of the worker."""

    to_openvino: float
    to_predict: float
    memory_mb: float


def wholeframe(rig: Rig, console: Console, rounds: int = 3) -> WholeFrame:
    """Print all, a row a round; return the medians of the ratios, and the most memory."""
    table = Table(
        "round", "model.predict", "OpenVINO loop", "with decoding", "Framewatch", "to the loop", "to predict",
        title=f"Whole frames of {SIDE}x{SIDE}, MobileNetV2, frames a second", caption="the OpenVINO loop has decoded "
        "frames in memory; Framewatch reads JPEGs from Kafka, classifies, and stores an event with a crop for each",
    )  # fmt: skip
    ratios: list[tuple[float, float]] = []
    most_mb = 0.0
    with tempfile.TemporaryDirectory(prefix="framewatch-bench-") as scratch:
        folder = Path(scratch)
        jpegs = square_jpegs()
        sent = _ROUNDS_OF_SAMPLE * len(jpegs)
        pictures = np.stack([SPEC.prepared(decode_img(jpeg)) for jpeg in jpegs])
        predicted = keras_frames_per_second(folder / "bundle", pictures[:_PREDICTED])
        frames = folder / "frames"
        frames.mkdir()
        for number, jpeg in enumerate(jpegs):
            (frames / f"{number:04}.jpg").write_bytes(jpeg)
        for k in range(rounds):
            topic = f"wholeframe{k}"
            for part in range(_ROUNDS_OF_SAMPLE):
                rig.produce(frames, "--fps", "max", "--topic", topic, "--run", f"r{part}", "--stream", f"s{part}")
            bare = openvino_frames_per_second(folder / "bundle", _LOOPS_OF_SAMPLE * list(pictures))
            decoding = openvino_frames_per_second(folder / "bundle", _LOOPS_OF_SAMPLE * jpegs)
            with rig.worker(topic, "--model", folder / "bundle", "--from-beginning", settle=False) as worker:
                ours = worker.frames_per_second(sent)
                most_mb = max(most_mb, worker.memory_mb())
            ratios.append((ours / bare, ours / predicted))
            figures = [predicted, bare, decoding, ours]
            table.add_row(str(k + 1), *(f"{f:.0f}" for f in figures), *(f"{r:.2f}" for r in ratios[-1]))
    console.print(table)
    medians = [statistics.median(column) for column in zip(*ratios, strict=True)]
    console.print(
        f"median: {medians[0]:.2f} of the OpenVINO loop (wanted: 0.8), {medians[1]:.1f} times model.predict "
        f"(wanted: 8); the worker took {most_mb:.0f} MB (wanted: under 600)\n",
        highlight=False,
    )
    return WholeFrame(medians[0], medians[1], most_mb)


def square_jpegs() -> list[bytes]:
    """The sample's frames, the middle of each as a square."""
    squares = []
    for jpeg in sample_jpegs():
        image = decode_img(jpeg)
        left = (image.shape[1] - image.shape[0]) // 2
        square = cv2.resize(image[:, left : left + image.shape[0]], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        squares.append(encode_jpeg(np.asarray(square, np.uint8)))
    return squares


def keras_frames_per_second(bundle: Path, pictures: Pixels) -> float:
    """Make the bundle, and time ``model.predict`` one frame at a time."""
    frames = bundle.with_suffix(".npy")
    np.save(frames, pictures)
    command = [sys.executable, "-m", "benchmarks.keras_loop", str(bundle), str(frames)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    return float(done.stdout.split()[-1])


def openvino_frames_per_second(bundle: Path, frames: Sequence[bytes] | Sequence[Pixels]) -> float:
    """OpenVINO as it comes, one frame at a time; of JPEGs, the decoding counts too."""
    compiled = import_openvino().Core().compile_model(bundle / OPENVINO_FILE, "CPU")

    def once(frame: bytes | Pixels) -> None:
        if isinstance(frame, bytes):
            frame = SPEC.prepared(decode_img(frame))
        compiled(frame[np.newaxis].astype(np.float32))

    for frame in frames[:20]:
        once(frame)
    started = time.perf_counter()
    for frame in frames:
        once(frame)
    return len(frames) / (time.perf_counter() - started)
