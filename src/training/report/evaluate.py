"""A model measured on one part of the data: as it is served, picture by picture in the order of the labels."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from framewatch.errors import BadBundle, DataError
from framewatch.training.data.labelled import ALL, LabelledData, Part, part_name
from framewatch.training.report import plots
from framewatch.training.report.figures import Counts, Figures, OperatingPoint, Predictions, Report
from framewatch.training.report.metrics import classification_report, measure
from framewatch.training.report.sheet import predictions_sheet

Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Pictures, (n, *input shape), to the share of each label, (n, classes)."""

METRICS: Final = "metrics.json"
REPORT: Final = "classification_report.txt"
BATCH: Final = 64
_ADDS_UP: Final = 0.02  # how far from 1 the shares of one picture may be together: bfloat16 has three digits


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured, and what it was measured on.

    Attributes:
        name: of the part.
        part: its pictures.
        predictions: of each of them, in their order; the targets are indices of the model's labels.
        figures: of all of them.
    """

    name: str
    part: Part
    predictions: Predictions
    figures: Figures


def evaluate(
    answer: Answer,
    labels: tuple[str, ...],
    data: LabelledData,
    name: str,
    positive: str | None = None,
    threshold: OperatingPoint | None = None,
    threads: int = 1,
) -> Evaluation:
    """Show every picture of the part to the model once and compare its answers with the labels.

    Args:
        answer: the model.
        labels: of the model, in the order of its outputs.
        data: whose labels may be in another order, or mere numbers: those are indices of the model's.
        name: of the part.
        positive: of two classes the one that is looked for; None: see ``metrics.positive_label``.
        threshold: of two classes, one that was chosen on another part.
        threads: that ask the model at a time.

    Raises:
        DataError: no such part, a label that the model does not know, nothing in it.
        BadBundle: the model gives what are no shares.
    """
    name, part = chosen_part(data, name)
    targets = model_targets(part, data.labels, labels)
    predictions = Predictions(labels, targets, shares(answer, part, len(labels), threads))
    return Evaluation(name, part, predictions, measure(predictions, name, positive, threshold))


def chosen_part(data: LabelledData, wanted: str) -> tuple[str, Part]:
    """Name and content of the part of that name, or of the usual one that it means, such as ``val``.

    Raises:
        DataError: there is none; says which there are.
    """
    name = wanted if wanted in data.parts else part_name(wanted) or wanted
    if name not in data.parts:
        there = ", ".join(sorted(data.parts)) or "none"
        raise DataError(f"got --split {wanted!r}: the data have no such part; choose one of: {there}, or {ALL}")
    return name, data.parts[name]


def model_targets(part: Part, of_data: tuple[str, ...], of_model: tuple[str, ...]) -> Counts:
    """(n,), for each picture the index of its label among the model's: matched by name.

    Raises:
        DataError: a label that the model does not know, or two that could be the same one.
    """
    if of_data == tuple(map(str, range(len(of_data)))) and not set(of_data) & set(of_model):
        of_data = of_model  # data without names: numbers are indices
    if len(part) and not 0 <= part.targets.min() <= part.targets.max() < len(of_data):
        found = f"{part.targets.min()} to {part.targets.max()}"
        raise DataError(f"labels of the data have the indices {found}: expected 0 to {len(of_data) - 1}")
    indexes = np.array([_index_of(label, of_model) for label in of_data], np.int64)
    twice = [of_model[index] for index, n in Counter(indexes.tolist()).items() if n > 1]
    if twice:
        raise DataError(f"two labels of the data are the model's {twice[0]!r}: got {', '.join(of_data)}")
    return np.asarray(indexes[part.targets], np.int64)


def shares(answer: Answer, part: Part, classes: int, threads: int = 1, batch: int = BATCH) -> NDArray[np.float64]:
    """(n, classes), the answer to each picture in the order of the pictures.

    Args:
        answer: the model.
        part: whose pictures may lie on disk: a batch for each thread is in memory at a time.
        classes: how many shares it has to give.
        threads: that ask it at a time.
        batch: pictures in one question.

    Raises:
        BadBundle: answers of another shape, or which are no shares.
    """
    found = np.empty((len(part), classes))

    def ask(start: int) -> None:
        pictures = np.array(part.pictures[start : start + batch])
        try:
            got = answer(pictures)
        except ValueError as error:  # what a runtime raises for answers that are no numbers
            raise BadBundle(str(error)) from None
        if got.shape != (len(pictures), classes):
            raise BadBundle(f"the model gives {got.shape} for {len(pictures)} pictures and {classes} labels")
        found[start : start + len(got)] = got

    with ThreadPoolExecutor(threads, thread_name_prefix="evaluate") as pool:
        try:
            deque(pool.map(ask, range(0, len(part), batch)), maxlen=0)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    sums = found.sum(axis=1)
    if not (np.isfinite(found).all() and (found >= -_ADDS_UP).all() and (abs(sums - 1) <= _ADDS_UP).all()):
        raise BadBundle("the model gives what are no shares, 0 to 1 and 1 together: does it end in a softmax?")
    return np.asarray(found.clip(0) / found.clip(0).sum(axis=1, keepdims=True), np.float64)


def write_outputs(evaluation: Evaluation, report: Report, folder: Path, sheet: bool = True, seed: int = 0) -> None:
    """Figures, report and plots as files of the folder.

    Args:
        evaluation: what was measured.
        report: the same figures with where they come from.
        folder: made when it is not there.
        sheet: whether ten of the pictures are written too: not where the data must not be handed on.
        seed: chooses those.

    Raises:
        DataError: the folder cannot be written.
    """
    figures, title = evaluation.figures, f"{report.model} on {evaluation.name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / METRICS).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (folder / REPORT).write_text(classification_report(evaluation.predictions), encoding="utf-8")
        plots.confusion_matrix(figures, title, folder / "confusion_matrix.png")
        plots.confusion_matrix_normalised(figures, title, folder / "confusion_matrix_normalised.png")
        plots.per_class_accuracy(figures, title, folder / "per_class_accuracy.png")
        plots.reliability(figures, title, folder / "reliability.png")
        plots.precision_recall(evaluation.predictions, figures, title, folder / "precision_recall.png")
        if sheet:
            path = folder / "predictions_sheet.png"
            predictions_sheet(evaluation.part, evaluation.predictions, title, path, seed)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror}") from None


def _index_of(label: str, labels: tuple[str, ...]) -> int:
    """Index of the label: the same, or the only one that differs in nothing but large and small letters."""
    if label in labels:
        return labels.index(label)
    same = [i for i, other in enumerate(labels) if other.casefold() == label.casefold()]
    if len(same) == 1:
        return same[0]
    why = "could be several of" if same else "is none of"
    raise DataError(f"label {label!r} of the data {why} the model's: {', '.join(labels)}")
