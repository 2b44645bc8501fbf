"""Frames classified side by side: one thread a lane, each with a classifier of its own.

OpenCV and the inference runtimes let go of Python's lock while they work, so one frame a core runs at once. That
beats one frame split over all cores: nothing has to wait for the slowest part.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import cv2

from consumer.examine import Outcome, Received, examine
from vision.types import Classifier

_Work = tuple[Received, "Future[Outcome]"]
_END: Final = None


class Lanes:
    """Turns records into outcomes, several at a time. What waits is bounded by whoever submits."""

    def __init__(self, make_classifier: Callable[[], Classifier], count: int) -> None:
        cv2.setNumThreads(1)
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, args=(make_classifier(),), name=f"lane-{k}", daemon=True)
            for k in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def count(self) -> int:
        """How many frames can be classified at once."""
        return len(self._threads)

    def submit(self, received: Received) -> Future[Outcome]:
        """The outcome of the record, when a lane has come to it."""
        future: Future[Outcome] = Future()
        self._work.put((received, future))
        return future

    def close(self, timeout_s: float = 5.0) -> None:
        """End all lanes after the work they have; all together within the time."""
        deadline = time.monotonic() + timeout_s
        for _ in self._threads:
            self._work.put(_END)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, classifier: Classifier) -> None:
        while (first := self._work.get()) is not _END:
            batch = [first]
            ended = False
            while len(batch) < classifier.batch_size and not ended:
                try:
                    more = self._work.get_nowait()
                except queue.Empty:
                    break
                if more is _END:
                    ended = True
                else:
                    batch.append(more)
            try:
                outcomes = examine([received for received, _ in batch], classifier)
            except BaseException as error:  # whoever waits for the outcome must hear of it
                for _, future in batch:
                    future.set_exception(error)
            else:
                for (_, future), outcome in zip(batch, outcomes, strict=True):
                    future.set_result(outcome)
            if ended:
                return
