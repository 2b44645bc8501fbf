"""A whole worker with a stream that runs, and a browser at its page."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import requests

from conftest import REPOSITORY, SAMPLE, Services, wait_for
from framewatch.kafka.topics import ensure_topic
from framewatch.ports import accepts
from shared import free_port
from test_browser import Browser

RULES = """
rules:
  - name: anybody at all
    label: {label}
"""


@dataclass
class Stack:
    """A worker on a topic and a database of its own, which may be ended and started again, and its stream."""

    services: Services
    folder: Path
    options: tuple[object, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    name: str = field(default_factory=lambda: f"page-{secrets.token_hex(4)}")
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    worker: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, target: str, **parameters: object) -> Any:
        answer = requests.get(
            f"{self.address}{target}", params={k: str(v) for k, v in parameters.items()}, timeout=20
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def events(self, **filters: object) -> list[dict[str, Any]]:
        """All that are stored, newest first."""
        found, cursor = [], None
        while True:
            answer = self.ask("/events", limit=200, **filters, **({"cursor": cursor} if cursor else {}))
            found += answer["events"]
            cursor = answer["next_cursor"]
            if cursor is None:
                return found

    def run(self, *arguments: object) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", "from framewatch.cli import main; main()", *map(str, arguments)],
                env={**self.services.environment(), **self.environment},
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def consume(self) -> subprocess.Popen[bytes]:
        names = ("--topic", self.name, "--group", self.name, "--database", self.name.replace("-", "_"))
        self.worker = worker = self.run("consume", *names, "--port", self.port, "--quiet", *self.options)
        wait_for(lambda: accepts(self.port) or worker.poll() is not None, "the web server")
        assert worker.poll() is None, (self.folder / "log").read_text()
        return worker

    def produce(self, *more: object, source: Path = SAMPLE) -> subprocess.Popen[bytes]:
        return self.run("produce", source, "--topic", self.name, *more)

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def excerpt(path: Path) -> Path:
    """Every third picture of six seconds of the sample, most of them with a face, as a video."""
    source = cv2.VideoCapture(str(SAMPLE))
    size = (int(source.get(cv2.CAP_PROP_FRAME_WIDTH)), int(source.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    written = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, size)
    for number in range(210):
        assert source.grab()
        if number >= 30 and number % 3 == 0:
            written.write(source.retrieve()[1])
    written.release()
    source.release()
    return path


@contextmanager
def running(services: Services, folder: Path, *options: object) -> Iterator[Stack]:
    """A worker that reads faces' emotions in a sample that runs for ever."""
    stack = Stack(services, folder, options)
    ensure_topic(services.endpoints.kafka, stack.name, 2, 1, {})
    try:
        stack.consume()
        # Slow, for it runs all along; a short one, so that what it shows comes again soon all the same.
        stack.produce("--loop", "--fps", 3, source=excerpt(folder / SAMPLE.name))
        wait_for(lambda: stack.ask("/events")["events"] != [], "the first events", 90)
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


# What a person does with a file: it is let fall on the page.
DROP = """
    const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], arguments[1], { type: arguments[2] }));
    for (const kind of ['dragenter', 'dragover', 'drop'])
        document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
"""


def rows(browser: Browser, view: str = "live") -> list[dict[str, str]]:
    """The lines of the log of a view, newest first: their ids and what they say."""
    script = """
        return [...document.querySelectorAll(`[data-view=${arguments[0]}] .log li[data-id]`)].map((row) => ({
            id: row.dataset.id, label: row.querySelector('.chip').textContent,
            stream: row.querySelector('.stream').textContent, confidence: row.querySelector('meter').value }))"""
    return list(browser.run(script, view))


def newest(browser: Browser, view: str = "live") -> str:
    """The id of the log's first line, "" while it has none."""
    return next((row["id"] for row in rows(browser, view)), "")


def wait_newer(browser: Browser, known: str, view: str = "live", timeout_s: float = 90) -> None:
    """Return when the log begins with another line than the known one."""
    wait_for(lambda: newest(browser, view) not in ("", known), "a newer event", timeout_s)


def go(browser: Browser, hash_: str) -> None:
    """To another view, or to the same one with other filters; it has been opened when this returns."""
    # The page's own listener was there before this one, so it is called before.
    script = """
        const [hash, done] = arguments;
        const before = location.href;
        location.hash = hash;
        if (location.href === before) done();
        else addEventListener('hashchange', () => done(), { once: true });"""
    browser.driver.execute_async_script(script, hash_)
