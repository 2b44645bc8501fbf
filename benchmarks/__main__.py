"""python -m benchmarks [NAME …]: run the benchmarks and print their tables; exit 1 when a figure falls short."""

from __future__ import annotations

import logging
import subprocess
import sys

import click
from rich.console import Console

from benchmarks.accuracy import accuracy
from benchmarks.latency import latency
from benchmarks.memory import memory
from benchmarks.rig import ROOT, rig
from benchmarks.throughput import throughput
from benchmarks.wholeframe import wholeframe

SPEED = "speed"
NAMES = ("accuracy", "throughput", "wholeframe", "latency", "memory", SPEED)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--rounds", type=click.IntRange(1, 20), default=3, help="Rounds of throughput and wholeframe.")
@click.option("--frames", type=click.IntRange(420, 1_000_000), default=10_000, help="Frames of memory.")
def main(names: tuple[str, ...], rounds: int, frames: int) -> None:
    """Run all benchmarks, or those of the NAMES."""
    logging.basicConfig(level=logging.WARNING)
    chosen = names or NAMES
    console = Console(width=110)
    good: list[bool] = []
    if "accuracy" in chosen and (found := accuracy(console)) is not None:
        good.append(found[1] >= found[0])
    if SPEED in chosen:
        good.append(speed())
    with rig() as services:
        if "throughput" in chosen:
            good.append(throughput(services, console, rounds) >= 2.5)
        if "wholeframe" in chosen:
            figures = wholeframe(services, console, rounds)
            good.append(figures.to_openvino >= 0.8 and figures.to_predict >= 8 and figures.memory_mb < 600)
        if "latency" in chosen:
            good.append(latency(services, console) <= 25)
        if "memory" in chosen:
            early, late = memory(services, console, frames)
            good.append(late < 350 and late - early < 25)
    sys.exit(0 if all(good) else 1)


def speed() -> bool:
    """Run the tests that measure nothing but speed; whether all are fast enough."""
    command = [sys.executable, "-W", "error", "-m", "pytest", "-m", SPEED, "--timeout", "900"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    main()
