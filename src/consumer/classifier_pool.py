"""Frames classified side by side: one thread a lane, each with a classifier of its own.

OpenCV and the inference runtimes let go of Python's lock while they work, so one frame a core runs at once. That
beats one frame split over all cores: nothing has to wait for the slowest part.

A lane takes what is there, up to a batch, and never waits for more: where frames come slowly each goes alone, and
where they come faster than a lane works, batches fill by themselves.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import cv2

from framewatch.consumer.processing import ConsumedRecord, Outcome, process
from framewatch.vision.classifier import Classifier

_Work = tuple[ConsumedRecord, "Future[Outcome]"]
_Queue = queue.SimpleQueue[_Work | None]
_END: Final = None
_MIN_WAITING: Final = 4  # records a lane
_MAX_STREAMS: Final = 4096


class ClassifierPool:
    """Turns records into outcomes, several at a time. What waits is bounded by whoever submits."""

    def __init__(self, make_classifier: Callable[[], Classifier], count: int) -> None:
        """Start the lanes.

        Args:
            make_classifier: called once for each lane. Where the classifiers remember, each stream has its lane.
            count: of lanes.
        """
        cv2.setNumThreads(1)
        classifiers = [make_classifier() for _ in range(count)]
        self._batch_size = max(classifier.batch_size for classifier in classifiers)
        stateful = any(classifier.stateful for classifier in classifiers)
        self._queues: list[_Queue] = [queue.SimpleQueue() for _ in range(count if stateful else 1)]
        self._sharing = 1 if stateful else count  # lanes at one queue
        self._streams: OrderedDict[bytes | None, int] = OrderedDict()  # queue of each, the latest used last
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(classifier, self._queues[k % len(self._queues)]),
                name=f"classifier-{k}",
                daemon=True,
            )
            for k, classifier in enumerate(classifiers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def capacity(self) -> int:
        """How many records it takes to keep all lanes busy: for each a batch in work, and the next one."""
        return len(self._threads) * max(_MIN_WAITING, 2 * self._batch_size)

    def submit(self, consumed: ConsumedRecord) -> Future[Outcome]:
        """The outcome of the record, when a lane has come to it. For one thread."""
        future: Future[Outcome] = Future()
        self._queue_of(consumed.record.key).put((consumed, future))
        return future

    def close(self, timeout_s: float = 5.0) -> None:
        """End all lanes after the work they have; all together within the time."""
        deadline = time.monotonic() + timeout_s
        for work in self._queues:
            for _ in range(self._sharing):
                work.put(_END)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _queue_of(self, key: bytes | None) -> _Queue:
        """The one queue there is, or the one of the stream: at its first frame that with the fewest streams."""
        if len(self._queues) == 1:
            return self._queues[0]
        if (index := self._streams.get(key)) is None:
            taken = list(self._streams.values())
            index = self._streams[key] = min(range(len(self._queues)), key=taken.count)
            if len(self._streams) > _MAX_STREAMS:
                self._streams.popitem(last=False)
        else:
            self._streams.move_to_end(key)
        return self._queues[index]

    def _run(self, classifier: Classifier, work: _Queue) -> None:
        ended = False
        while not ended and (first := work.get()) is not _END:
            batch = [first]
            # No more than this lane's share of what waits: the others are to have work too.
            share = min(classifier.batch_size, -(-(work.qsize() + 1) // self._sharing))
            while len(batch) < share and not ended:
                try:
                    more = work.get_nowait()
                except queue.Empty:
                    break
                if more is _END:
                    ended = True
                else:
                    batch.append(more)
            _work(batch, classifier)


def _work(batch: list[_Work], classifier: Classifier) -> None:
    try:
        outcomes = process([consumed for consumed, _ in batch], classifier)
    except BaseException as error:  # whoever waits for the outcome must hear of it
        for _, future in batch:
            future.set_exception(error)
    else:
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            future.set_result(outcome)
