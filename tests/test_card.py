"""What the trainer leaves in a bundle beside the model: figures, plots and the card."""

from __future__ import annotations

from pathlib import Path

import pytest

from framewatch.training.data.labelled import LabelledData
from framewatch.vision.models.bundle import Bundle, load_bundle
from heavy import figures, outputs
from known_model import CONFUSION, LABELS, by_brightness, known_part, seal_known, story

pytestmark = pytest.mark.xdist_group("training")  # what they import, one worker imports

HISTORY = "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.5,1.0,0.6,0.9\n1,0.6,0.9,0.5,0.8\n"


def whole_data() -> LabelledData:
    parts = {"train": known_part(CONFUSION * 3, 1), "validation": known_part(seed=2), "test": known_part(seed=3)}
    return LabelledData(LABELS, parts, ["2 training pictures left out that also stand in validation"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle as the trainer leaves it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "history.csv").write_text(HISTORY)
    bundle = seal_known(folder / "brightness")
    return outputs.training_outputs(bundle, by_brightness, "openvino", whole_data(), story(), folder / "history.csv")


def test_a_bundle_gets_figures_plots_and_card_and_is_sealed_over_them(made: Bundle) -> None:
    assert load_bundle(made.folder) == made
    pictures = {"confusion_matrix", "confusion_matrix_normalised", "per_class_accuracy", "reliability",
                "predictions_sheet", "training_history"}  # fmt: skip
    assert {f"{name}.png" for name in pictures} == {name for name in made.manifest.files if name.endswith(".png")}
    assert sum(path.stat().st_size for path in made.folder.glob("*.png")) < 500_000
    assert set(made.manifest.files) >= {"metrics.json", "metrics_test.json", "card.md", "history.csv",
                                          "classification_report.txt", "classification_report_test.txt"}  # fmt: skip
    report = figures.Report.model_validate_json(made.content("metrics_test.json"))
    assert (report.split, report.model, report.data) == ("test", "brightness", "rooms.npz")
    assert report.confusion_matrix == CONFUSION.tolist()


def test_the_card_says_what_the_model_is_and_how_good(made: Bundle) -> None:
    card = made.content("card.md").decode()
    for words in (
        "# brightness",
        "1,234 parameters",
        "dark, middle, light",
        "16x16 pixels, grey",
        "| validation | 30 | 66.7 % (48.8 to 80.8) |",
        "| test | 30 | 66.7 % (48.8 to 80.8) |",
        "| middle | 8 | 0.714 | 0.625 | 0.667 |",
        "5 minutes on: CPU, precision `float32`, seed 7",
        "2 epochs; the weights are those of epoch 1",
        "optimizer adam, learning_rate 0.001",
        "| dark | 30 | 10 | 10 |",
        "2 training pictures left out",
        "Terms of the data: CC BY 4.0",
        "framewatch up --model models/brightness",
    ):
        assert words in card


def test_pictures_of_data_that_must_not_be_handed_on_stay_out_of_the_bundle(tmp_path: Path) -> None:
    data = LabelledData(LABELS, {"validation": known_part()})
    bundle = outputs.training_outputs(
        seal_known(tmp_path / "brightness"), by_brightness, "openvino", data, story(), sheet=False
    )
    assert "predictions_sheet.png" not in bundle.manifest.files
    assert "metrics_test.json" not in bundle.manifest.files
