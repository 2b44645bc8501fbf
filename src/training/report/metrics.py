"""How good predictions are: arrays in, figures out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn import metrics

from framewatch.errors import DataError
from framewatch.training.report.figures import (
    LEVEL,
    ClassFigures,
    ConfidenceBin,
    Counts,
    Figures,
    Floats,
    Interval,
    OperatingPoint,
    Predictions,
    TwoClasses,
)

CONFIDENCE_BINS: Final = 15
_RESAMPLES: Final = 2000
_MOST_CELLS: Final = 1 << 22  # of confusion matrices held at once while resampling
_SMALLEST_SHARE: Final = 1e-7  # as Keras: one sample that was given no share at all does not make the loss infinite


def measure(
    predictions: Predictions,
    part: str,
    positive: str | None = None,
    threshold: OperatingPoint | None = None,
) -> Figures:
    """All figures of the predictions.

    Macro-F1 is the mean over the labels that occur in the truth or in the answers, as scikit-learn has it.

    Args:
        predictions: at least one.
        part: name of the part of the data, to say where a threshold was chosen.
        positive: of two classes the one that is looked for; None: ``positive_label`` decides.
        threshold: of two classes, one that was chosen on another part.

    Raises:
        DataError: there is no sample, or no such label as ``positive``, or more than two.
    """
    check_positive(predictions.labels, positive)
    if not len(predictions):
        raise DataError(f"part {part} holds no sample: there is nothing to measure")
    confusion = predictions.confusion
    right = int(np.trace(confusion))
    confidences, correct = predictions.shares.max(axis=1), predictions.answers == predictions.targets
    bins = confidence_bins(confidences, correct)
    per_class = [_class_figures(label, confusion, index) for index, label in enumerate(predictions.labels)]
    recalls = [figures.recall for figures in per_class if figures.recall is not None]
    given = predictions.shares[np.arange(len(predictions)), predictions.targets]
    return Figures(
        samples=len(predictions),
        accuracy=right / len(predictions),
        accuracy_interval=wilson(right, len(predictions)),
        loss=float(-np.log(given.clip(_SMALLEST_SHARE, 1.0)).mean()),
        macro_f1=float(_macro_f1(confusion)),
        macro_f1_interval=_resampled_macro_f1(confusion),
        balanced_accuracy=float(np.mean(recalls)),
        top_2_accuracy=_top(predictions, 2),
        top_3_accuracy=_top(predictions, 3),
        expected_calibration_error=_calibration_error(bins),
        calibration=bins,
        labels=list(predictions.labels),
        per_class=per_class,
        confusion_matrix=confusion.tolist(),
        confusion_matrix_normalised=[_of_its_sum(row) for row in confusion.tolist()],
        two_classes=_two_classes(predictions, part, positive, threshold) if len(predictions.labels) == 2 else None,
    )


def classification_report(predictions: Predictions) -> str:
    """scikit-learn's report as text; ``nan`` where there is nothing to count."""
    text: str = metrics.classification_report(
        predictions.targets,
        predictions.answers,
        labels=range(len(predictions.labels)),
        target_names=[" ".join(label.split()) for label in predictions.labels],
        digits=4,
        zero_division=np.nan,
    )
    return text


def wilson(right: int, total: int) -> Interval:
    """Wilson's score interval of a share (E. B. Wilson, 1927); never outside 0 to 1, and good for few samples."""
    found = binomtest(right, total).proportion_ci(LEVEL, method="wilson")
    return Interval(low=float(found.low), high=float(found.high))


def confidence_bins(confidences: Floats, correct: NDArray[np.bool_]) -> list[ConfidenceBin]:
    """Samples by confidence, in bins of equal width (Guo et al., 2017, https://arxiv.org/abs/1706.04599)."""
    edges = np.linspace(0.0, 1.0, CONFIDENCE_BINS + 1)
    bins = np.digitize(confidences, edges[1:-1], right=True)
    samples = np.bincount(bins, minlength=CONFIDENCE_BINS)
    sure = np.bincount(bins, confidences, CONFIDENCE_BINS)
    right = np.bincount(bins, correct, CONFIDENCE_BINS)
    return [
        ConfidenceBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            samples=int(n),
            confidence=float(sure[i] / n) if n else None,
            accuracy=float(right[i] / n) if n else None,
        )
        for i, n in enumerate(samples)
    ]


def check_positive(labels: tuple[str, ...], wanted: str | None) -> None:
    """Know that there is such a label to look for, where one is wanted.

    Raises:
        DataError: it is none of the labels, or these are not two.
    """
    if wanted is None:
        return
    if len(labels) != 2:
        raise DataError(f"got {wanted!r} as positive label: there are {len(labels)} labels, not two")
    positive_label(labels, wanted)


def positive_label(labels: tuple[str, ...], wanted: str | None = None) -> int:
    """Index of the one of two labels that is looked for.

    Without a wish: where one is the other with something before it, ``Smoking`` of ``NotSmoking`` and ``Smoking``,
    the shorter one; else the second.

    Raises:
        DataError: the label that is wanted is none of them.
    """
    if wanted is not None:
        same = [label for label in labels if label.casefold() == wanted.casefold()]
        if wanted not in labels and len(same) != 1:
            raise DataError(f"got {wanted!r} as positive label: expected one of {', '.join(labels)}")
        return labels.index(wanted if wanted in labels else same[0])
    first, second = ("".join(filter(str.isalnum, label)).casefold() for label in labels)
    return 0 if second.endswith(first) else 1


def _two_classes(
    predictions: Predictions, part: str, positive: str | None, threshold: OperatingPoint | None
) -> TwoClasses:
    index = positive_label(predictions.labels, positive)
    there, scores = predictions.targets == index, predictions.shares[:, index]
    both = 0 < int(there.sum()) < len(there)
    return TwoClasses(
        positive=predictions.labels[index],
        roc_auc=float(metrics.roc_auc_score(there, scores)) if both else None,
        average_precision=float(metrics.average_precision_score(there, scores)) if there.any() else None,
        as_served=_operating_point(there, predictions.answers == index, 0.5, "no part"),
        best=_best_threshold(there, scores, part) if there.any() else None,
        fixed=threshold
        and _operating_point(there, scores >= threshold.threshold, threshold.threshold, threshold.chosen_on),
    )


def _best_threshold(there: NDArray[np.bool_], scores: Floats, part: str) -> OperatingPoint:
    """The threshold with the highest F1; of equal ones the highest."""
    precision, recall, thresholds = metrics.precision_recall_curve(there, scores)
    precision, recall = precision[:-1], recall[:-1]  # the last point belongs to no threshold
    f1 = 2 * precision * recall / np.maximum(precision + recall, _SMALLEST_SHARE)
    best = len(f1) - 1 - int(f1[::-1].argmax())
    return _operating_point(there, scores >= thresholds[best], float(thresholds[best]), part)


def _operating_point(
    there: NDArray[np.bool_], said: NDArray[np.bool_], threshold: float, chosen_on: str
) -> OperatingPoint:
    right = int(np.count_nonzero(there & said))
    precision, recall, f1 = _rates(right, int(said.sum()), int(there.sum()))
    return OperatingPoint(threshold=threshold, chosen_on=chosen_on, precision=precision, recall=recall, f1=f1)


def _class_figures(label: str, confusion: Counts, index: int) -> ClassFigures:
    right, predicted, support = (
        int(n) for n in (confusion[index, index], confusion[:, index].sum(), confusion[index].sum())
    )
    precision, recall, f1 = _rates(right, predicted, support)
    return ClassFigures(
        label=label,
        support=support,
        predicted=predicted,
        precision=precision,
        recall=recall,
        f1=f1,
        accuracy=recall,
        accuracy_interval=wilson(right, support) if support else None,
    )


def _rates(right: int, predicted: int, support: int) -> tuple[float | None, float | None, float | None]:
    """Precision, recall and F1."""
    return (
        right / predicted if predicted else None,
        right / support if support else None,
        2 * right / (predicted + support) if predicted + support else None,
    )


def _macro_f1(confusion: NDArray[np.integer]) -> Floats:
    """Mean F1 over the labels that occur; (…, classes, classes) gives (…)."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    both = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    f1 = np.where(both > 0, 2 * right / np.maximum(both, 1), np.nan)
    return np.asarray(np.nanmean(f1, axis=-1), np.float64)


def _resampled_macro_f1(confusion: Counts) -> Interval:
    """Percentile bootstrap: to draw samples anew is to draw the cells of the confusion matrix anew."""
    total, shares = int(confusion.sum()), confusion.ravel() / confusion.sum()
    random, at_once = np.random.default_rng(0), max(1, _MOST_CELLS // confusion.size)
    drawn = [
        _macro_f1(random.multinomial(total, shares, min(at_once, _RESAMPLES - done)).reshape(-1, *confusion.shape))
        for done in range(0, _RESAMPLES, at_once)
    ]
    low, high = np.quantile(np.concatenate(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high), method=f"bootstrap, {_RESAMPLES} resamples, percentiles")


def _top(predictions: Predictions, k: int) -> float | None:
    """Share of samples whose label is among the best k; None where k labels are all."""
    every = range(len(predictions.labels))
    if k >= len(every):
        return None
    return float(metrics.top_k_accuracy_score(predictions.targets, predictions.shares, k=k, labels=every))


def _calibration_error(bins: list[ConfidenceBin]) -> float:
    """Mean distance between confidence and accuracy, bins weighted by their samples."""
    filled = [
        (each.samples, abs(each.confidence - each.accuracy))
        for each in bins
        if each.confidence is not None and each.accuracy is not None
    ]
    return float(sum(n * gap for n, gap in filled) / sum(n for n, _ in filled))


def _of_its_sum(row: list[int]) -> list[float | None]:
    return [n / sum(row) if sum(row) else None for n in row]
