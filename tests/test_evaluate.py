"""What is measured is what the served model gives to each picture: labels and answers stay together."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import REPOSITORY
from framewatch.cli import main
from framewatch.errors import BadBundle, DataError
from framewatch.training.data.labelled import LabelledData, Part, load_data
from heavy import evaluate, figures, outputs
from known_model import CONFUSION, LABELS, SMOKING, SPEC, by_brightness, known_part, of_two, seal_known, story
from labelled import encoded, put

pytestmark = pytest.mark.xdist_group("training")  # what they import, one worker imports


@pytest.mark.parametrize("seed", range(3))
def test_a_known_model_has_its_known_confusions_in_whatever_order_the_data_come(seed: int) -> None:
    data = LabelledData(LABELS, {"test": known_part(seed=seed)})
    assert evaluate.evaluate(by_brightness, LABELS, data, "test").figures.confusion_matrix == CONFUSION.tolist()


def test_labels_in_another_order_are_matched_by_name() -> None:
    part = known_part()
    order = ("Light", "DARK", "middle")
    places = np.array([order.index(name) for name in ("DARK", "middle", "Light")])
    data = LabelledData(order, {"test": Part(part.pictures, places[part.targets])})
    assert evaluate.evaluate(by_brightness, LABELS, data, "test").figures.confusion_matrix == CONFUSION.tolist()


@pytest.mark.parametrize("labels", [(), ("0", "1", "2")])
def test_data_whose_labels_are_mere_numbers_count_as_the_model_does(labels: tuple[str, ...]) -> None:
    data = LabelledData(labels, {"test": known_part()})
    assert evaluate.evaluate(by_brightness, LABELS, data, "test").figures.confusion_matrix == CONFUSION.tolist()


@pytest.mark.parametrize(
    ("of_data", "of_model", "message"),
    [
        (("dark", "purple"), LABELS, "label 'purple' of the data is none of the model's: dark, middle, light"),
        (("DARK", "x"), ("dark", "Dark", "x"), "label 'DARK' of the data could be several of the model's"),
        (("dark", "Dark"), LABELS, "two labels of the data are the model's 'dark'"),
        ((), ("dark", "light"), "have the indices 0 to 2: expected 0 to 1"),
    ],
)
def test_labels_that_cannot_be_matched(of_data: tuple[str, ...], of_model: tuple[str, ...], message: str) -> None:
    part = Part(np.zeros((3, *SPEC.shape), np.uint8), np.array([0, 1, 2 if not of_data else 1]))
    with pytest.raises(DataError, match=message):
        evaluate.model_targets(part, of_data, of_model)


def test_a_part_that_is_not_there_is_answered_with_those_that_are() -> None:
    data = LabelledData(LABELS, {"train": known_part(), "validation": known_part()})
    with pytest.raises(
        DataError, match="got --split 'test': the data have no such part; choose one of: train, validation"
    ):
        evaluate.evaluate(by_brightness, LABELS, data, "test")


def test_few_pictures_are_in_memory_at_a_time(tmp_path: Path) -> None:
    part = known_part(CONFUSION * 10)
    np.save(tmp_path / "x.npy", part.pictures)
    mapped = Part(np.load(tmp_path / "x.npy", mmap_mode="r"), part.targets)
    sizes = []

    def seen(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert not isinstance(pictures, np.memmap)
        sizes.append(len(pictures))
        return by_brightness(pictures)

    assert np.array_equal(evaluate.shares(seen, mapped, 3), evaluate.shares(by_brightness, part, 3, batch=7))
    assert set(sizes) == {64, len(part) % 64}


def relu(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(np.maximum(0, np.log(by_brightness(pictures)) + 3), np.float32)


def nothing(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    return by_brightness(pictures) * np.float32(np.nan)


def fewer(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    return by_brightness(pictures)[:, :2]


@pytest.mark.parametrize(("model", "message"), [(relu, "softmax"), (nothing, "softmax"), (fewer, "3 labels")])
def test_answers_that_are_no_shares_are_refused(model: evaluate.Answer, message: str) -> None:
    with pytest.raises(BadBundle, match=message):
        evaluate.shares(model, known_part(), 3)


def framewatch_evaluate(*arguments: object) -> subprocess.CompletedProcess[str]:
    """As people run it, where TensorFlow is not installed."""
    program = (
        "import sys; sys.modules.update(tensorflow=None, keras=None); "
        "from framewatch.cli import main; main(sys.argv[1:])"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, "evaluate", *map(str, arguments)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


def run(*arguments: object) -> int:
    """The exit code of the command, run here."""
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *map(str, arguments)])
    return int(ended.value.code or 0)


def save_npz(path: Path, **parts: Part) -> Path:
    """Grey pictures as FER2013 comes, (n, height, width); without train, data may go without names of labels."""
    arrays: dict[str, NDArray[Any]] = {"labels": np.array(LABELS)} if "train" in parts else {}
    for name, part in parts.items():
        arrays |= {f"x_{name}": part.pictures[..., 0], f"y_{name}": part.targets}
    np.savez(path, allow_pickle=False, **arrays)
    return path


def test_the_command_measures_what_is_served_without_tensorflow(tmp_path: Path) -> None:
    bundle = seal_known(tmp_path / "brightness")
    data = save_npz(tmp_path / "rooms.npz", test=known_part(CONFUSION * 5))
    out = tmp_path / "out"
    ended = framewatch_evaluate("--model", bundle.folder, "--data", data, "--split", "test", "--out", out, "--json")
    assert ended.returncode == 0
    assert not re.search("warning|error", ended.stderr, re.IGNORECASE)
    document = json.loads(ended.stdout)
    assert document["confusion_matrix"] == (CONFUSION * 5).tolist()
    assert document["accuracy"] == pytest.approx(2 / 3)
    assert document["labels"] == list(LABELS)
    assert (document["model"], document["split"], document["samples"]) == (bundle.model, "test", 150)
    assert (document["data"], document["runtime"]) == ("rooms.npz", "openvino")
    assert figures.Report.model_validate(document) == figures.Report.model_validate_json(
        (out / "metrics.json").read_bytes()
    )
    assert {path.name for path in out.iterdir()} == {
        "metrics.json", "classification_report.txt", "confusion_matrix.png", "confusion_matrix_normalised.png",
        "per_class_accuracy.png", "reliability.png", "predictions_sheet.png",
    }  # fmt: skip


def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = seal_known(tmp_path / "smokers", SMOKING)
    data = save_npz(tmp_path / "x.npz", test=known_part(CONFUSION[:2, :2]))
    assert run("--model", bundle.folder, "--data", data, "--split", "test", "--positive", "notsmoking") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for words in ("accuracy     85.71%, 95 % interval", "macro-F1", "NotSmoking is looked for: average precision",
                  "chosen on test): recall"):  # fmt: skip
        assert words in printed.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "got --split 'validation': the data have no such part; choose one of: other, test, or all"),
        (("--split", "test", "--positive", "light"), "got 'light' as positive label: there are 3 labels, not two"),
        (("--split", "test", "--runtime", "litert"), "litert needs model.tflite"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    options: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = save_npz(tmp_path / "x.npz", test=known_part(), other=known_part(seed=1))
    code = run("--model", seal_known(tmp_path / "brightness").folder, "--data", data, *options)
    printed = capsys.readouterr()
    assert code == 1
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1


def test_a_positive_label_that_is_none_is_told_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = seal_known(tmp_path / "smokers", SMOKING).folder
    assert run("--model", model, "--data", tmp_path / "nowhere", "--positive", "round") == 1
    assert "got 'round' as positive label: expected one of" in capsys.readouterr().err


def test_data_without_parts_are_split_as_they_were_for_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = save_npz(tmp_path / "x.npz", train=known_part(CONFUSION * 5))
    arguments = ("--data", data, "--json", "--work", tmp_path / "work")
    labelled = load_data(str(data), SPEC, tmp_path / "work", seed=5)
    bundle = outputs.training_outputs(
        seal_known(tmp_path / "brightness"), by_brightness, "openvino", labelled, story()
    )
    found = {}
    for name, options in (("as trained", ()), ("same", ("--seed", "5")), ("other", ("--seed", "6"))):
        assert run("--model", bundle.folder, *arguments, *options) == 0
        found[name] = json.loads(capsys.readouterr().out)
    assert found["as trained"] == found["same"]
    assert found["same"]["seed"] == 5
    assert found["same"]["confusion_matrix"] != found["other"]["confusion_matrix"]


def test_all_pictures_can_be_measured_though_they_are_of_one_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = seal_known(tmp_path / "brightness")
    for number, picture in enumerate(known_part(CONFUSION[:1]).pictures):
        put(tmp_path / "new" / "Dark" / f"{number}.png", encoded(picture[..., 0]))
    arguments = ("--model", bundle.folder, "--data", tmp_path / "new", "--json")
    assert run(*arguments, "--split", "all", "--out", tmp_path / "out") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["split"], found["samples"], found["confusion_matrix"][0]) == ("all", 10, CONFUSION[0].tolist())
    assert run(*arguments) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 2  # what training would have held back
    put(tmp_path / "new" / "purple" / "1.png", encoded(np.zeros((8, 8, 3), np.uint8)))
    assert run(*arguments, "--split", "all") == 1
    assert "label 'purple' of the data is none of the model's" in capsys.readouterr().err


def test_a_seed_that_training_would_refuse_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", tmp_path, "--data", tmp_path, "--seed", "-1") == 2
    assert "--seed" in capsys.readouterr().err


def test_the_threshold_that_validation_chose_is_applied_to_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"validation": known_part(CONFUSION[:2, :2], 1), "test": known_part(CONFUSION[:2, :2], 2)}
    data = save_npz(tmp_path / "x.npz", **parts)
    before = seal_known(tmp_path / "smokers", SMOKING)
    bundle = outputs.training_outputs(before, of_two, "openvino", LabelledData(SMOKING, parts), story())
    assert run("--model", bundle.folder, "--data", data, "--split", "test", "--json") == 0
    two = json.loads(capsys.readouterr().out)["two_classes"]
    assert two["fixed"]["chosen_on"] == "validation"
    trained = outputs.report_of(bundle)
    assert trained is not None and trained.two_classes is not None and trained.two_classes.best is not None
    assert two["fixed"]["threshold"] == trained.two_classes.best.threshold
    assert run("--model", bundle.folder, "--data", data, "--split", "test", "--json", "--positive", "NotSmoking") == 0
    assert json.loads(capsys.readouterr().out)["two_classes"]["fixed"] is None
    assert run("--model", bundle.folder, "--data", data, "--split", "val", "--json") == 0
    assert json.loads(capsys.readouterr().out)["two_classes"]["fixed"] is None  # it is no other part
    assert run("--model", bundle.folder, "--data", data, "--split", "test") == 0
    printed = capsys.readouterr().out
    assert "as served    the larger share wins: recall" in printed
    assert "(chosen on validation)" in printed
    assert "no part" not in printed + bundle.content("card.md").decode()
