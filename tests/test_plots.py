"""Plots are small, whole, true to the figures, and drawn whatever the labels are."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from framewatch.errors import DataError
from framewatch.training.data.labelled import Part
from heavy import figures, history, metrics, plots, sheet
from known_model import CONFUSION, LABELS, SMOKING, known_part, predictions, predictions_of

pytestmark = pytest.mark.xdist_group("training")  # what they import, one worker imports


def png(path: Path) -> Image.Image:
    """The picture, whole and of a size that fits a page and a bundle."""
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert 300 <= picture.width <= 1600 and 200 <= picture.height <= 1600
    assert 2_000 < path.stat().st_size < 80_000
    return picture.convert("RGB")


def has_colour(picture: Image.Image, colour: str) -> bool:
    wanted = ImageColor.getrgb(colour)
    near = np.abs(np.asarray(picture, int) - wanted).max(axis=-1) <= 12
    return int(np.count_nonzero(near)) > 50


def measured(seed: int = 0, labels: tuple[str, ...] = LABELS) -> tuple[figures.Predictions, figures.Figures]:
    known = predictions_of(known_part(CONFUSION[: len(labels), : len(labels)], seed), labels)
    return known, metrics.measure(known, "test")


PLOTS = ["confusion_matrix", "confusion_matrix_normalised", "per_class_accuracy", "reliability"]


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_show_what_was_measured(plot: str, tmp_path: Path) -> None:
    one, other = measured()[1], metrics.measure(predictions([0, 1, 2, 2], np.eye(3)[[0, 1, 2, 1]]), "test")
    for name, found in (("one", one), ("again", one), ("other", other)):
        getattr(plots, plot)(found, "a model on test", tmp_path / f"{name}.png")
    assert png(tmp_path / "one.png") == png(tmp_path / "again.png")
    assert png(tmp_path / "one.png") != png(tmp_path / "other.png")


def test_the_curve_of_two_classes_is_drawn_and_that_of_three_is_not(tmp_path: Path) -> None:
    plots.precision_recall(*measured(), "x", tmp_path / "three.png")
    assert not (tmp_path / "three.png").exists()
    plots.precision_recall(*measured(labels=SMOKING), "x", tmp_path / "two.png")
    assert has_colour(png(tmp_path / "two.png"), plots.GREEN)


def test_any_label_can_be_drawn(tmp_path: Path) -> None:
    labels = ("$x_", "a\nb|c" * 20, "笑顔", "{}%")
    shares_of_all = np.full((4, 4), 0.25)
    odd = figures.Predictions(labels, np.arange(4), shares_of_all)
    found = metrics.measure(odd, "test")
    for plot in PLOTS:
        getattr(plots, plot)(found, "$odd^ {model}", tmp_path / "plot.png")
        png(tmp_path / "plot.png")
    metrics.classification_report(odd)


def test_very_many_labels_can_be_drawn(tmp_path: Path) -> None:
    many = tuple(f"label {i}" for i in range(200))
    found = metrics.measure(figures.Predictions(many, np.arange(200), np.eye(200)), "test")
    plots.confusion_matrix(found, "x", tmp_path / "matrix.png")
    plots.per_class_accuracy(found, "x", tmp_path / "bars.png")
    assert {png(path).size < (1700, 1700) for path in tmp_path.iterdir()} == {True}


@pytest.mark.parametrize("channels", [1, 3])
def test_the_sheet_tells_right_from_wrong_by_colour(channels: int, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    pictures = random.integers(0, 256, (30, 32, 32, channels), np.uint8)
    pictures[..., :-1] //= 8  # of three only blue: no red and no green of its own
    part = Part(pictures, np.zeros(30, np.int64))
    for name, answers in (("right", [0] * 30), ("wrong", [1] * 30), ("both", [0, 1] * 15)):
        path = tmp_path / f"{name}.png"
        sheet.predictions_sheet(part, predictions([0] * 30, np.eye(3)[answers]), "x", path)
        with Image.open(path) as picture:
            shown = picture.convert("RGB")
        assert path.stat().st_size < 400_000
        colours = has_colour(shown, plots.GREEN), has_colour(shown, plots.RED)
        assert colours == (name != "wrong", name != "right")


def test_the_sheet_shows_the_same_pictures_for_the_same_seed(tmp_path: Path) -> None:
    part = known_part()
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        sheet.predictions_sheet(part, predictions_of(part), "x", tmp_path / f"{name}.png", seed)
    one, again, other = (png(tmp_path / f"{name}.png") for name in ("one", "again", "other"))
    assert one == again and one != other


def test_the_sheet_of_one_sequence(tmp_path: Path) -> None:
    part = Part(np.zeros((1, 4, 32, 32, 3), np.uint8), np.zeros(1, np.int64))
    sheet.predictions_sheet(part, predictions([0], [[1, 0, 0]]), "x", tmp_path / "sheet.png")
    png(tmp_path / "sheet.png")


def write_history(path: Path, *rows: tuple[object, ...]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("epoch", "accuracy", "loss", "val_accuracy", "val_loss", "phase"), *rows])
    return path


def test_a_history_is_read_through_its_phases_and_without_what_a_killed_run_left(tmp_path: Path) -> None:
    path = write_history(
        tmp_path / "history.csv",
        (0, 0.3, 2.0, 0.4, 1.9, "warm-up"),
        (1, 0.4, 1.8, 0.5, 1.7, "warm-up"),
        (1, 0.4, 1.8, 0.55, 1.6, "warm-up"),  # killed in the second epoch, trained again
        (0, 0.5, 1.5, 0.6, 1.4, "fine-tune"),
        (1, 0.7, 1.0, 0.6, "nan", "fine-tune"),
    )
    epochs = history.read_history(path)
    assert [(e.number, e.phase, e.values["val_accuracy"]) for e in epochs] == [
        (1, "warm-up", 0.4), (2, "warm-up", 0.55), (3, "fine-tune", 0.6), (4, "fine-tune", 0.6),
    ]  # fmt: skip
    best = history.best_epoch(epochs)
    assert best is not None and best.number == 3
    history.training_history(epochs, "a model", tmp_path / "history.png")
    assert has_colour(png(tmp_path / "history.png"), plots.ORANGE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("a,b\n1,2\n", "is not the history of a training"),
        ("epoch,loss\n0,low\n", "is not the history of a training"),
    ],
)
def test_what_is_no_history_is_one_line(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "history.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        history.read_history(tmp_path / "history.csv")
