"""What is measured on one part of the data, as one document. What has no value (nothing to count) is None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from sklearn import metrics

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Predictions:
    """The truth and the answers, in the same order.

    Attributes:
        labels: in index order.
        targets: (n,), index of each true label.
        shares: (n, classes), what the model gave each label; a row adds up to 1.
    """

    labels: tuple[str, ...]
    targets: Counts
    shares: Floats

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def answers(self) -> Counts:
        """(n,), index of the label with the largest share."""
        return np.asarray(self.shares.argmax(axis=1), np.int64)

    @property
    def confusion(self) -> Counts:
        """(classes, classes), how many: a row for each true label, a column for each predicted one."""
        every = range(len(self.labels))
        return np.asarray(metrics.confusion_matrix(self.targets, self.answers, labels=every), np.int64)


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(_Document):
    """Where a share lies with a probability of ``level``."""

    low: float
    high: float
    level: float = LEVEL
    method: str = "Wilson score"


class ClassFigures(_Document):
    """One label. ``accuracy`` is the part of its own samples that was labelled rightly: its recall."""

    label: str
    support: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None
    accuracy: float | None
    accuracy_interval: Interval | None


class ConfidenceBin(_Document):
    """Samples whose confidence is in (low, high]: how sure the model was of them, and how often right."""

    low: float
    high: float
    samples: int
    confidence: float | None
    accuracy: float | None


class OperatingPoint(_Document):
    """Two classes, decided by a threshold: positive where its share is at least that."""

    threshold: float
    chosen_on: str
    precision: float | None
    recall: float | None
    f1: float | None


class TwoClasses(_Document):
    """What there is to say of two classes, one of which is the one that is looked for.

    Attributes:
        positive: that class.
        as_served: the label with the larger share, as everybody gets it.
        best: the threshold with the highest F1 on this very part, and so a little flattered.
        fixed: a threshold that was chosen on another part, where there is one: the honest figure.
    """

    positive: str
    roc_auc: float | None
    average_precision: float | None
    as_served: OperatingPoint
    best: OperatingPoint | None
    fixed: OperatingPoint | None


class Figures(_Document):
    """Everything that is measured on one part of the data."""

    samples: int
    accuracy: float
    accuracy_interval: Interval
    loss: float
    macro_f1: float
    macro_f1_interval: Interval
    balanced_accuracy: float
    top_2_accuracy: float | None
    top_3_accuracy: float | None
    expected_calibration_error: float
    calibration: list[ConfidenceBin]
    labels: list[str]
    per_class: list[ClassFigures]
    confusion_matrix: list[list[int]]
    confusion_matrix_normalised: list[list[float | None]]
    two_classes: TwoClasses | None


class About(_Document):
    """What figures are of.

    Attributes:
        model: its name, with its content hash where it has one already.
        architecture: that was trained.
        data: base name of where the pictures came from.
        split: the part of the data.
        seed: by which data without parts were split.
        runtime: that gave the answers.
    """

    model: str
    architecture: str
    data: str
    split: str
    seed: int
    runtime: str


class Report(Figures, About):
    """Figures, and what they are of: what ``metrics.json`` holds."""
