"""Every figure is the one that was worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from framewatch.errors import DataError
from heavy import figures, metrics, plots
from known_model import LABELS, SMOKING, predictions, softmax

pytestmark = pytest.mark.xdist_group("training")  # what they import, one worker imports


def test_every_figure_of_a_small_case_is_the_one_worked_out_by_hand() -> None:
    given = [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3001, 0.3999], [0.05, 0.05, 0.9]]
    found = metrics.measure(predictions([0, 1, 1, 1, 2], given), "validation")
    assert found.samples == 5
    assert found.confusion_matrix == [[1, 0, 0], [1, 1, 1], [0, 0, 1]]
    assert found.confusion_matrix_normalised == [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0, 1]]
    assert found.accuracy == 3 / 5
    assert found.loss == pytest.approx(-(math.log(0.7) + math.log(0.3) + math.log(0.8) + math.log(0.3001)
                                         + math.log(0.9)) / 5)  # fmt: skip
    dark, middle, light = found.per_class
    assert (dark.precision, dark.recall, dark.f1) == (1 / 2, 1, 2 / 3)
    assert (middle.precision, middle.recall, middle.f1) == (1, 1 / 3, 1 / 2)
    assert (light.precision, light.recall, light.f1) == (1 / 2, 1, 2 / 3)
    assert [row.support for row in found.per_class] == [1, 3, 1]
    assert [row.predicted for row in found.per_class] == [2, 1, 2]
    assert [row.accuracy for row in found.per_class] == [1, 1 / 3, 1]
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)
    assert found.balanced_accuracy == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert found.top_2_accuracy == 1.0
    assert found.top_3_accuracy is None
    # one sample in each of five bins: off by .3, .5, .2, .3999, .1
    assert found.expected_calibration_error == pytest.approx((0.3 + 0.5 + 0.2 + 0.3999 + 0.1) / 5)
    assert found.two_classes is None


def test_the_interval_is_wilsons() -> None:
    # Newcombe (1998), table I: 81 of 263, and 0 of 20
    assert (round(metrics.wilson(81, 263).low, 4), round(metrics.wilson(81, 263).high, 4)) == (0.2553, 0.3662)
    assert (round(metrics.wilson(0, 20).low, 4), round(metrics.wilson(0, 20).high, 4)) == (0.0, 0.1611)


def test_the_resampled_interval_is_that_of_drawing_samples_anew() -> None:
    random = np.random.default_rng(5)
    truth = random.integers(0, 3, 200)
    scores = random.normal(0, 1, (200, 3)) + 1.2 * np.eye(3)[truth]
    known = predictions(truth.tolist(), softmax(scores))
    slow = []
    for _ in range(300):
        drawn = random.integers(0, 200, 200)
        again = figures.Predictions(LABELS, known.targets[drawn], known.shares[drawn]).confusion
        slow.append(np.mean(2 * np.diag(again) / (again.sum(0) + again.sum(1))))
    interval = metrics.measure(known, "test").macro_f1_interval
    assert interval.low == pytest.approx(np.quantile(slow, 0.025), abs=0.02)
    assert interval.high == pytest.approx(np.quantile(slow, 0.975), abs=0.02)


def test_a_label_without_samples_has_no_figures_and_disturbs_no_other() -> None:
    found = metrics.measure(predictions([0, 0, 1], softmax([[5, 0, 0], [0, 5, 0], [0, 5, 0]])), "test")
    light = found.per_class[2]
    assert (light.support, light.precision, light.recall, light.f1, light.accuracy) == (0, None, None, None, None)
    assert light.accuracy_interval is None
    assert found.confusion_matrix_normalised[2] == [None, None, None]
    assert found.macro_f1 == pytest.approx(2 / 3)
    assert found.balanced_accuracy == 0.75
    assert "nan" in metrics.classification_report(predictions([0], [[1, 0, 0]]))


def test_a_label_that_is_only_said_counts_against_the_mean() -> None:
    found = metrics.measure(predictions([0, 0], softmax([[5, 0, 0], [0, 0, 5]])), "test")
    assert (found.per_class[2].precision, found.per_class[2].recall, found.per_class[2].f1) == (0, None, 0)
    assert found.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_one_sample_can_be_measured() -> None:
    found = metrics.measure(predictions([1], [[0.2, 0.5, 0.3]]), "test")
    assert (found.samples, found.accuracy, found.macro_f1) == (1, 1.0, 1.0)
    assert found.accuracy_interval.low == pytest.approx(0.2065, abs=1e-4)
    assert found.accuracy_interval.high == 1.0


def test_no_sample_is_said_in_one_line() -> None:
    with pytest.raises(DataError, match="part test holds no sample"):
        metrics.measure(predictions([], []), "test")


@pytest.mark.parametrize(("right", "accuracy"), [(True, 1.0), (False, 0.0)])
def test_perfect_and_worst_are_one_and_nothing(right: bool, accuracy: float) -> None:
    truth = [0, 1, 2] * 20
    given = np.eye(3)[truth if right else [(i + 1) % 3 for i in truth]]
    found = metrics.measure(predictions(truth, given), "test")
    assert (found.accuracy, found.macro_f1, found.balanced_accuracy) == (accuracy, accuracy, accuracy)
    assert found.expected_calibration_error == 1 - accuracy
    assert found.loss == pytest.approx(0.0 if right else -math.log(1e-7))


def test_each_confidence_is_in_its_bin() -> None:
    bins = metrics.confidence_bins(np.array([1 / 3, 0.34, 1.0, 0.97]), np.array([True, False, True, True]))
    assert [each.samples for each in bins] == [0, 0, 0, 0, 1, 1, *[0] * 8, 2]
    assert bins[-1].accuracy == 1.0
    assert bins[-1].confidence == pytest.approx(0.985)
    assert (bins[0].confidence, bins[0].accuracy) == (None, None)


def test_two_classes_have_curve_and_threshold_worked_out_by_hand() -> None:
    scores = [0.9, 0.6, 0.4, 0.35, 0.2]
    found = metrics.measure(
        predictions([1, 0, 1, 1, 0], [[1 - s, s] for s in scores], SMOKING), "validation"
    ).two_classes
    assert found is not None
    assert found.positive == "Smoking"
    assert (found.as_served.precision, found.as_served.recall, found.as_served.f1) == (1 / 2, 1 / 3, 2 / 5)
    assert found.best is not None
    assert (found.best.threshold, found.best.chosen_on) == (0.35, "validation")
    assert (found.best.precision, found.best.recall, found.best.f1) == (3 / 4, 1, 6 / 7)
    assert found.roc_auc == pytest.approx(4 / 6)  # of six pairs four are in order
    assert found.average_precision == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert found.fixed is None


def test_a_threshold_chosen_elsewhere_is_only_applied() -> None:
    chosen = metrics.measure(predictions([0, 1], [[0.8, 0.2], [0.7, 0.3]], SMOKING), "validation").two_classes
    assert chosen is not None
    found = metrics.measure(
        predictions([1, 1, 0], [[0.7, 0.3], [0.75, 0.25], [0.9, 0.1]], SMOKING), "test", None, chosen.best
    )
    assert found.two_classes is not None and found.two_classes.fixed is not None
    assert (found.two_classes.fixed.threshold, found.two_classes.fixed.chosen_on) == (0.3, "validation")
    assert (found.two_classes.fixed.precision, found.two_classes.fixed.recall) == (1, 1 / 2)


@pytest.mark.parametrize("label", [0, 1])
def test_two_classes_of_which_one_has_no_sample(label: int, tmp_path: Path) -> None:
    known = predictions([label], [[0.4, 0.6]], SMOKING)
    found = metrics.measure(known, "test")
    assert found.two_classes is not None
    assert found.two_classes.roc_auc is None
    assert (found.two_classes.average_precision is None) == (label == 0)
    plots.precision_recall(known, found, "x", tmp_path / "x.png")
    assert (tmp_path / "x.png").exists() == (label == 1)


@pytest.mark.parametrize(
    ("labels", "wanted", "positive"),
    [
        (("NotSmoking", "Smoking"), None, "Smoking"),
        (("smoking", "not_smoking"), None, "smoking"),
        (("no smoking", "smoking"), None, "smoking"),
        (("cat", "dog"), None, "dog"),
        (("NotSmoking", "Smoking"), "notsmoking", "NotSmoking"),
        (("a", "A"), "a", "a"),
    ],
)
def test_the_label_that_is_looked_for(labels: tuple[str, str], wanted: str | None, positive: str) -> None:
    assert labels[metrics.positive_label(labels, wanted)] == positive


def test_a_label_to_look_for_that_is_not_there() -> None:
    with pytest.raises(DataError, match="got 'Vaping' as positive label: expected one of NotSmoking, Smoking"):
        metrics.positive_label(SMOKING, "Vaping")
