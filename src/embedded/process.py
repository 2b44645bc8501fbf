"""A child process with a log, a record of its id, and an end that is bounded in time."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from framewatch.errors import ServiceError

_log = logging.getLogger(__name__)

_MAX_LOG_BYTES: Final = 16 * 1024 * 1024


@dataclass
class Child:
    """A process that is started, waited for until it answers, and ended.

    Attributes:
        name: for messages, the log ``NAME.log`` and the record ``NAME.json``.
        argv: command line.
        logs: folder of the log.
        pids: folder of the record.
        ready: whether it answers; asked until it does.
        ready_s: how long that may take.
        stop_s: how long its end may take after it was asked to.
        env: its environment; None for that of this process.
        stop_signal: asks it to end.
        leftovers: files that a killed one leaves behind and that would keep the next from starting.
    """

    name: str
    argv: Sequence[str]
    logs: Path
    pids: Path
    ready: Callable[[], bool] = lambda: True
    ready_s: float = 60.0
    stop_s: float = 10.0
    env: Mapping[str, str] | None = None
    stop_signal: int = signal.SIGTERM
    leftovers: Sequence[Path] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """File of what it writes to standard output and error."""
        return self.logs / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """Its process id, once started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, after ending one that a killed run left behind.

        Raises:
            ServiceError: it cannot be started.
        """
        end_left_behind(self._record)
        if self._process is not None:
            self._process.wait()  # it is dead: let the system forget it
        for path in self.leftovers:
            path.unlink(missing_ok=True)
        if self.log.exists() and self.log.stat().st_size > _MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        try:
            with self.log.open("ab") as log:
                # In a session of its own: Ctrl-C goes to us, and we end the children in the right order.
                self._process = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self.env,
                    start_new_session=True,
                )
        except OSError as error:
            raise ServiceError(f"{self.name} cannot be started: {error}") from None
        remember(self._record, self._process.pid)

    def wait_ready(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Return when it answers.

        Raises:
            ServiceError: it ended, or does not answer in time; with the last line of its log.
        """
        deadline = time.monotonic() + self.ready_s
        while not self.ready():
            if (code := self.poll()) is not None:
                raise ServiceError(self.ended(code))
            if stopped():
                raise ServiceError(f"{self.name} was stopped while it started")
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.name} does not answer after {self.ready_s:.0f} s; its log: {self.log}")
            time.sleep(0.05)

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self._process.poll() if self._process else None

    def ended(self, code: int) -> str:
        """One line about its end: how, the last thing it said, and where it said more."""
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        last = _last_line(self.log)
        return f"{self.name} {how}{f': {last}' if last else ''} (log: {self.log})"

    def stop(self) -> None:
        """Ask it to end, wait, and kill it when it does not."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self.stop_signal)
            try:
                process.wait(self.stop_s)
            except subprocess.TimeoutExpired:
                _log.warning("%s does not end within %.0f s: killed", self.name, self.stop_s)
                process.kill()
                process.wait(5)
        self._record.unlink(missing_ok=True)

    @property
    def _record(self) -> Path:
        return self.pids / f"{self.name}.json"


def remember(record: Path, pid: int) -> None:
    """Write down a process so that it can be told from a later one with the same id."""
    try:
        created = psutil.Process(pid).create_time()
    except psutil.Error:  # it is gone already
        return
    record.write_text(json.dumps({"pid": pid, "created": created}))


def end_left_behind(record: Path) -> bool:
    """End the process of the record if it still runs; whether it did."""
    process = _recorded(record)
    if process is None:
        record.unlink(missing_ok=True)
        return False
    _log.warning("ending %s (process %d), left behind by a run that was killed", record.stem, process.pid)
    try:
        process.terminate()
        process.wait(10)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(5)
    except psutil.NoSuchProcess:
        pass
    record.unlink(missing_ok=True)
    return True


def is_running(record: Path) -> bool:
    """Whether the process of the record runs."""
    return _recorded(record) is not None


def _recorded(record: Path) -> psutil.Process | None:
    try:
        noted = json.loads(record.read_text())
        process = psutil.Process(int(noted["pid"]))
        same = abs(process.create_time() - float(noted["created"])) < 1.0
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        return ""
    # Java ends with a stack: what matters stands in the last line that is not part of it.
    telling = [line for line in lines if line and not line.startswith(("at ", "..."))]
    return telling[-1][:300] if telling else ""
