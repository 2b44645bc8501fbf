"""Sends uploaded files to the topic by a producer process each: the only place that spawns one for the web.

A file that anybody may have made is decoded outside the server, bounded in time, frames, pixels and memory, and at a
lower priority than the live streams.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import psutil

from framewatch.model.times import written
from framewatch.model.upload import Upload
from framewatch.settings import Settings
from framewatch.uploads.jobs import Send, Sent

_log = logging.getLogger(__name__)

_WAIT_S: Final = 600.0  # for a Kafka that is not there
_CHECK_S: Final = 0.1
_LINE_BYTES: Final = 64 * 1024
_MEMORY_BYTES: Final = 4 * 1024**3
_NICE: Final = 10


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one upload may take.

    Attributes:
        seconds: until all of it is sent, at the pace of the workers.
        stalled_s: seconds without one more frame sent.
        stop_s: seconds that it has to end once it was told to.
        frames: after which the rest is left out.
        pixels: of a picture.
        max_lag: frames of it that the workers may have yet to classify; the live streams beside it wait for those.
    """

    seconds: float = 6 * 3600.0
    stalled_s: float = 1800.0
    stop_s: float = 12.0
    frames: int = 200_000
    pixels: int = 8192 * 4320
    max_lag: int = 128


def producer_process(settings: Settings, bounds: Bounds | None = None) -> Send:
    """Send files by ``python -m framewatch.producer``.

    Args:
        settings: of the worker; the process has the same.
        bounds: of each file.
    """
    bounds = bounds or Bounds()

    def send(
        file: Path, upload: Upload, run: str, on_progress: Callable[[Sent], None], stopped: Callable[[], bool]
    ) -> Sent:
        command, environment = _command(file, upload, run, bounds), settings.child_environment()
        return _Producer(command, environment, on_progress).wait(stopped, bounds, file)

    return send


def _command(file: Path, upload: Upload, run: str, bounds: Bounds) -> list[str]:
    options = {
        "stream": upload.stream,
        "run": run,
        "fps": "max",
        "wait": _WAIT_S,
        "end-at": written(upload.time_us),
        "max-lag": bounds.max_lag,
        "max-frames": bounds.frames,
        "max-pixels": bounds.pixels,
    }
    named = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    # -P: run our producer, not a file of that name that lies in the current folder.
    return [sys.executable, "-P", "-m", "framewatch.producer", str(file), *named, "--progress"]


class _Producer:
    """A running producer process, and the last line of its progress."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], on_progress: Callable[[Sent], None]
    ) -> None:
        self._on_progress = on_progress
        self._sent = Sent()
        self._last: dict[str, Any] = {}
        self._log_line = ""
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that all of it can be ended; Ctrl-C is for us
        )
        with suppress(psutil.Error, AttributeError, OSError, ValueError):  # not all of it on every system
            process = psutil.Process(self._process.pid)
            process.nice(_NICE)
            process.rlimit(psutil.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True, name="sending")
        self._reader.start()

    def wait(self, stopped: Callable[[], bool], bounds: Bounds, file: Path) -> Sent:
        """Wait for its end; what is on the topic then, and why no more."""
        began_s = moved_s = time.monotonic()
        kill_s: float | None = None
        late, delivered = False, 0
        while self._process.poll() is None:
            now_s = time.monotonic()
            if self._sent.delivered != delivered:
                moved_s, delivered = now_s, self._sent.delivered
            if kill_s is None:
                late = now_s - began_s > bounds.seconds or now_s - moved_s > bounds.stalled_s
                if late or stopped():
                    self._signal(signal.SIGTERM)
                    kill_s = now_s + bounds.stop_s
            elif now_s > kill_s:
                self._signal(signal.SIGKILL)
                break
            time.sleep(_CHECK_S)
        code = self._process.wait()
        self._signal(signal.SIGKILL)  # whatever it has started
        self._reader.join(5)
        return replace(self._sent, error=self._error(code, late, file))

    def _error(self, code: int, late: bool, file: Path) -> str:
        if late:
            return "it took too long to read and classify: the rest was left out"
        if code == 0:
            return ""
        if code < 0:
            _log.warning("the producer of %s was killed by signal %d: %s", file.name, -code, self._log_line)
            return "reading it failed: the file is damaged, or needs more memory than it may have"
        said = str(self._last.get("error") or "")
        if "Kafka" in said:
            _log.warning("%s: %s", file.name, said)
            return "Kafka did not take it: upload it again"
        if not said and (failed := self._last.get("failed")):
            return f"{failed} of its frames could not be delivered"
        if not said:
            _log.warning("the producer of %s ended with code %d: %s", file.name, code, self._log_line)
            return "it could not be read"
        for name in (str(file), file.name):
            said = said.removeprefix(f"{name}: ")
        return said

    def _read(self, output: IO[bytes]) -> None:
        with suppress(OSError, ValueError), output:
            while line := output.readline(_LINE_BYTES):
                if line.startswith(b"{"):
                    self._note(line)
                elif text := line.decode(errors="replace").strip():
                    self._log_line = text[:300]

    def _note(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            self._sent = Sent(
                said.get("total", self._sent.total),
                int(said["delivered"]),
                said["partition"],
                said["first_offset"],
                said["last_offset"],
            )
        except (ValueError, KeyError, TypeError):
            return
        self._last = said
        self._on_progress(self._sent)

    def _signal(self, number: int) -> None:
        with suppress(OSError):
            os.killpg(self._process.pid, number)
