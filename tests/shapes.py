"""A small set of pictures that a network learns in seconds, and ways to train on it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import REPOSITORY
from framewatch.cli import main
from framewatch.vision.models.bundle import Manifest
from framewatch.vision.models.inputs import InputSpec
from heavy import callbacks, recipes, train

SHAPES = ("round", "square")
TINY = InputSpec(height=32, width=32)


def draw(folder: Path, each: int, seed: int = 0) -> Path:
    """A folder for each class: bright discs or frames anywhere on dark ground."""
    random = np.random.default_rng(seed)
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True)
        for number in range(each):
            picture = random.integers(0, 60, (96, 96, 3), np.uint8)
            x, y, half = (int(random.integers(*between)) for between in ((30, 66), (30, 66), (18, 28)))
            colour = tuple(int(part) for part in random.integers(150, 256, 3))
            if shape == "round":
                cv2.circle(picture, (x, y), half, colour, -1)
            else:
                cv2.rectangle(picture, (x - half, y - half), (x + half, y + half), colour, 8)
            cv2.imwrite(str(folder / shape / f"{number}.png"), picture)
    return folder


class Heard:
    """What a training said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.epochs: list[callbacks.EpochReport] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def step(self, what: str, step: int, steps: int) -> None:
        assert 0 <= step <= steps, what

    def epoch(self, report: callbacks.EpochReport) -> None:
        self.epochs.append(report)


def plan_of(architecture: str, source: Path, out: Path, spec: InputSpec = TINY, **changes: object) -> train.Plan:
    recipe = replace(recipes.RECIPES[architecture], input=spec, **changes)  # type: ignore[arg-type]
    manifest = Manifest(name=out.name, architecture=architecture, input=spec, files={})
    return train.Plan(architecture, recipe, str(source), out, manifest)


# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start.
_IN_FRONT = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from framewatch.cli import main; main()"
)


class Trainer:
    """``framewatch train``, as a person starts it."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _IN_FRONT, "train", *map(str, arguments)],
            env={**os.environ, **environment},
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=500)
        return self.process.returncode, out, err


def run_main(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)
