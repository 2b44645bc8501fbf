"""At 30 frames a second: from capture to the picture's bytes at an HTTP client, beside the time detection takes."""

from __future__ import annotations

import statistics
import subprocess
import time
import urllib.request

from rich.console import Console

from benchmarks.rig import SAMPLE, Rig


def latency(rig: Rig, console: Console, frames: int = 600) -> float:
    """Print the median latency and the part that is not detection, in milliseconds; return that part."""
    with rig.worker("latency") as worker:
        options = ("--fps", 30, "--loop", "--topic", "latency")
        producer = rig.command("producer", SAMPLE, *options, stdout=subprocess.DEVNULL)
        try:
            delays = _delays(f"http://127.0.0.1:{worker.port}/video", frames)
            health = worker.health()
        finally:
            producer.terminate()
            producer.wait(20)
    delays_ms = [1000 * delay for delay in delays[60:]]  # the first two seconds are the start
    median, detect = statistics.median(delays_ms), float(health["detect_ms"])
    slowest = statistics.quantiles(delays_ms, n=20)[-1]
    console.print(
        f"Capture to client at 30 frames/s: median {median:.1f} ms, 95 % within {slowest:.1f} ms, of which detection "
        f"{detect:.1f} ms; without it {median - detect:.1f} ms (wanted: at most 25)\n",
        highlight=False,
    )
    return median - detect


def _delays(address: str, frames: int) -> list[float]:
    """Seconds from capture to the last byte of each new part."""
    delays: list[float] = []
    number = None
    with urllib.request.urlopen(address, timeout=30) as answer:
        while len(delays) < frames:
            headers: dict[str, str] = {}
            while (line := answer.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode().partition(":")
                headers[name] = value.strip()
            if "Content-Length" not in headers:
                continue
            answer.read(int(headers["Content-Length"]))
            if headers["X-Frame"] != number:  # not the last one again
                delays.append(time.time() - float(headers["X-Timestamp"]))
            number = headers["X-Frame"]
    return delays
