"""Classifies single pictures of many web requests in batches, by one classifier on a thread of its own.

The thread takes the pictures that wait, up to the classifier's batch size, and never waits for more: a single one is
classified at once, many at a time share calls. That is one classifier thread more than the live frames have.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from framewatch.errors import FramewatchError
from framewatch.model.detection import Detection
from framewatch.vision.classifier import Classifier, Image

_log = logging.getLogger(__name__)

_END: Final = None


class PredictorBusy(FramewatchError):
    """Too many pictures wait, or the server ends: worth trying again."""


class PredictionFailed(FramewatchError):
    """The classifier cannot be made, or failed on this picture."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The detections of a picture, and the model that made them."""

    model: str
    detections: Sequence[Detection]


_Job = tuple[Image, "Future[Prediction]"]


class Predictor:
    """Owns one classifier, made when the first picture comes."""

    def __init__(
        self, make_classifier: Callable[[], Classifier], labels: Sequence[str], max_waiting: int = 16
    ) -> None:
        """Start the thread.

        Args:
            make_classifier: called on the thread, once it is needed.
            labels: of the classifiers it makes.
            max_waiting: pictures that may wait; one more is refused at once.
        """
        self.labels = tuple(labels)
        self._make_classifier = make_classifier
        self._free = threading.BoundedSemaphore(max_waiting)
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="predictor", daemon=True)
        self._thread.start()

    def predict(self, image: Image, timeout_s: float) -> Prediction:
        """The detections of the picture.

        Raises:
            PredictorBusy: too many pictures wait, this one waited too long, or the predictor is closed.
            PredictionFailed: the classifier cannot be made, or failed on this picture.
        """
        future: Future[Prediction] = Future()
        with self._lock:
            if self._closed:
                raise PredictorBusy("the server ends")
            if not self._free.acquire(blocking=False):
                raise PredictorBusy("too many pictures are waiting already")
            self._waiting.put((image, future))
        try:
            return future.result(timeout_s)
        except TimeoutError:
            if not future.cancel() and future.done():  # classified between the two lines
                return future.result(0)
            raise PredictorBusy(f"not classified within {timeout_s:g} s") from None

    def close(self, timeout_s: float = 5.0) -> None:
        """End the thread after its current batch; pictures that still wait fail with PredictorBusy."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(_END)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        classifier: Classifier | None = None
        while (job := self._waiting.get()) is not _END:
            self._free.release()
            if self._closed:
                if job[1].set_running_or_notify_cancel():
                    job[1].set_exception(PredictorBusy("the server ends"))
                continue
            if classifier is None:
                classifier = self._make(job)
                if classifier is None:
                    continue
            batch, ended = self._with_waiting(job, classifier.batch_size)
            batch = [(image, future) for image, future in batch if future.set_running_or_notify_cancel()]
            if batch:
                answers = _classify(classifier, [image for image, _ in batch])
                for (_, future), answer in zip(batch, answers, strict=True):
                    if isinstance(answer, Exception):
                        future.set_exception(answer)
                    else:
                        future.set_result(Prediction(classifier.model, answer))
            if ended:
                return

    def _make(self, job: _Job) -> Classifier | None:
        started = time.monotonic()
        try:
            classifier = self._make_classifier()
        except Exception as error:  # models, files and runtimes fail in their own ways; the next picture tries again
            _log.exception("the classifier for uploaded pictures cannot be made")
            if job[1].set_running_or_notify_cancel():
                job[1].set_exception(PredictionFailed(f"the classifier cannot be made: {error}"))
            return None
        _log.info(
            "classifier for uploaded pictures: %s, made in %.1f s", classifier.model, time.monotonic() - started
        )
        return classifier

    def _with_waiting(self, first: _Job, batch_size: int) -> tuple[list[_Job], bool]:
        """The job and those that wait, up to the batch size; whether the end was among them."""
        batch = [first]
        while len(batch) < batch_size:
            try:
                more = self._waiting.get_nowait()
            except queue.Empty:
                break
            if more is _END:
                return batch, True
            self._free.release()
            batch.append(more)
        return batch, False


def _classify(classifier: Classifier, images: Sequence[Image]) -> list[list[Detection] | PredictionFailed]:
    """A result for each picture; where a call fails each is tried alone, so that one does not fail the others."""
    try:
        found = classifier.classify(images)
        if len(found) != len(images):
            raise ValueError(f"{len(found)} results for {len(images)} pictures")
        return list(found)
    except Exception as error:  # a classifier may fail in any way on one picture
        if len(images) > 1:
            return [answer for image in images for answer in _classify(classifier, [image])]
        _log.exception("%s failed on an uploaded picture of shape %s", classifier.model, images[0].shape)
        return [PredictionFailed(f"the classifier failed on this picture: {type(error).__name__}")]
