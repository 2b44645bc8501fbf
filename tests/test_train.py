"""framewatch train, from pictures to a bundle: it learns, can be killed at any moment, and says what is wrong."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pymongo.database import Database

from conftest import Command, wait_for
from framewatch.errors import DataError, SettingError
from framewatch.objects.base import Access
from framewatch.storage.mongo.documents import Document, from_document
from framewatch.training.data.labelled import load_data
from framewatch.training.fit.workspace import check_out, partial_folder
from framewatch.vision.models.bundle import Manifest, load_bundle, seal_bundle, write_labels
from framewatch.vision.models.inputs import InputSpec
from framewatch.vision.models.runtime import load_runtime
from heavy import batches, fit, keras, mobilenet, recipes, train, weights
from shapes import SHAPES, TINY, Heard, Trainer, draw, plan_of, run_main
from shared import free_port

ITS_TEST = "test_a_mobilenet_trained_on_a_folder_labels_frames_live"

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.xdist_group("training"),
]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("data") / "shapes", 60)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("data") / "few", 20)


@pytest.fixture(scope="module")
def trained(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Heard]:
    out, heard = tmp_path_factory.mktemp("models") / "shapes", Heard()
    # Steps enough for the means of its layers to settle, and smaller ones in the end: threads make each training
    # another one, and all are to learn it.
    plan = plan_of("cnn", shapes, out, epochs=6, learning_rate=3e-3, batch_size=4, schedule="cosine")
    train.train(plan, Access(), heard)
    return out, heard


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model]:
    """A MobileNetV2 without its top, and a file of its weights for a training to start from."""
    path = tmp_path_factory.mktemp("backbone") / "mobilenet.weights.h5"
    keras.utils.set_random_seed(5)
    made = recipes.RECIPES["mobilenet"].build(TINY, 2, True).get_layer(mobilenet.BACKBONE)
    made.save_weights(path)
    return path, made


@pytest.fixture(scope="module", autouse=True)
def beside(
    few: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Trainer | None, Path]]:
    """A training of a mobilenet and its folder: it takes long, so it goes on beside the tests that do not need it."""
    out = tmp_path_factory.mktemp("beside") / "models" / "shapes"
    if not any(item.name == ITS_TEST for item in request.session.items):
        yield None, out
        return
    start, _ = request.getfixturevalue("backbone")
    trainer = Trainer("mobilenet", "--weights", start, "--epochs", 1, "--size", 32, "--data", few, "--out", out)
    yield trainer, out
    trainer.process.kill()
    trainer.process.communicate()


def history(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_small_network_really_learns(trained: tuple[Path, Heard]) -> None:
    out, heard = trained
    figures = json.loads((out / "metrics.json").read_text())
    assert figures["accuracy"] > 0.9
    assert figures["split"] == "validation"
    rows = history(out / "history.csv")
    assert [int(row["epoch"]) for row in rows] == list(range(len(rows)))
    best = max(float(row["val_accuracy"]) for row in rows)
    assert figures["accuracy"] == pytest.approx(best, abs=0.06), "the best epoch is served; it was counted in 16 bits"
    assert [report.best for report in heard.epochs].count(True) >= 1


def test_a_bundle_holds_everything_and_its_runtime_tells_new_pictures_apart(
    trained: tuple[Path, Heard], tmp_path: Path
) -> None:
    bundle = load_bundle(trained[0])
    assert bundle.labels == SHAPES
    assert set(bundle.manifest.files) >= {
        "model.keras", "model.xml", "model.bin", "model.tflite", "label_map.json", "card.md", "metrics.json",
        "history.csv", "training_history.png", "confusion_matrix.png", "per_class_accuracy.png",
        "classification_report.txt", "augmented_samples.png",
    }  # fmt: skip
    assert not partial_folder(bundle.folder).exists()
    sheet = cv2.imread(str(bundle.folder / "augmented_samples.png"))
    assert sheet is not None
    assert min(sheet.shape[:2]) > 3 * 150
    new = draw(tmp_path / "new", 30, seed=7)
    spec, runtime = bundle.manifest.input, load_runtime(bundle)
    for index, shape in enumerate(SHAPES):
        pictures = [cv2.imread(str(path)) for path in (new / shape).iterdir()]
        samples = np.stack([spec.prepared(np.asarray(picture, np.uint8)) for picture in pictures])
        assert (runtime(samples).argmax(axis=1) == index).mean() > 0.8


def test_a_training_can_start_from_a_bundle(trained: tuple[Path, Heard], shapes: Path, tmp_path: Path) -> None:
    heard = Heard()
    plan = replace(plan_of("cnn", shapes, tmp_path / "on", epochs=1, learning_rate=1e-6), weights=str(trained[0]))
    data = load_data(str(shapes), TINY, tmp_path / "data")
    fit.fit(
        lambda: plan.recipe.build(TINY, 2, True),
        lambda model: weights.load_start(model, plan.weights, "cnn"),
        data, plan.recipe, recipes.phases_of(plan.recipe, True), tmp_path, 1, heard,
    )  # fmt: skip
    assert heard.epochs[0].row["val_accuracy"] > 0.85


@pytest.fixture
def trainers() -> Iterator[list[Trainer]]:
    running: list[Trainer] = []
    yield running
    for each in running:
        each.process.kill()
        each.process.communicate()


def backups(phase: Path) -> list[int]:
    """The epochs that there are whole backups of."""
    return sorted(int(path.name.removeprefix("backup-")) for path in phase.glob("backup-*"))


@pytest.mark.timeout(900)  # three trainings, of which each loads TensorFlow
def test_killed_and_started_again_a_training_goes_on(
    trainers: list[Trainer], few: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    phase = partial_folder(out) / "training"
    command = ("cnn", "--data", few, "--out", out, "--size", 32, "--epochs", 14, "--batch-size", 8, "--patience", 99)

    def begun(epochs: int, *more: object) -> Trainer:
        trainer = Trainer(*command, *more)
        trainers.append(trainer)

        def trained() -> bool:
            assert trainer.process.poll() is None, trainer.ended()
            return max(backups(phase), default=0) >= epochs

        wait_for(trained, f"a backup of {epochs} epochs", 250)
        return trainer

    killed = begun(2)
    killed.process.send_signal(signal.SIGKILL)
    killed.ended()
    stopped = begun(backups(phase)[-1] + 2)
    stopped.process.send_signal(signal.SIGINT)
    code, _, said = stopped.ended()
    assert (code, said.strip().splitlines()[-1]) == (
        130,
        "stopped: the same command goes on where it was; --fresh begins anew",
    )
    assert "going on after epoch" in said
    assert not out.exists()
    done = backups(phase)[-1]  # a line more may stand in the history: of an epoch that was not done, and comes again
    kept = [row["loss"] for row in history(phase / "history.csv")][:done]
    assert len(kept) == done >= 4

    assert run_main("train", *map(str, command), "--label-smoothing", "0.1") == 2
    assert "--label-smoothing: the training that was begun has 0.0, now it is 0.1" in capfd.readouterr().err

    assert run_main("train", *map(str, command)) == 0
    rows = history(out / "history.csv")
    assert [int(row["epoch"]) for row in rows] == list(range(14))
    assert [float(row["loss"]) for row in rows][:done] == [float(loss) for loss in kept]
    assert load_bundle(out).labels == SHAPES
    assert not partial_folder(out).exists()


def test_a_model_learns_from_the_share_of_each_vote(tmp_path: Path) -> None:
    pictures = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
    votes = [[7, 3, 0], [2, 8, 0], [5, 5, 0], [1, 1, 8]]
    np.savez(
        tmp_path / "votes.npz", x_train=pictures, y_train=[1] * 4, votes_train=votes, x_validation=pictures[:2] + 1,
        y_validation=[0, 1], votes_validation=votes[:2], votes_columns=["a", "b", "other"], labels=["a", "b"],
    )  # fmt: skip
    for _ in range(2):  # the second time they are read as they were prepared
        data = load_data(str(tmp_path / "votes.npz"), InputSpec(height=8, width=8), tmp_path / "work")
        ((_, truth),) = batches.plain_batches(data.parts["train"], 2, 8)
        np.testing.assert_allclose(truth, [[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]], rtol=1e-6)
        assert data.parts["train"].targets.tolist() == [0, 1, 0]


def test_a_loss_that_is_no_number_ends_it_without_a_bundle(few: Path, tmp_path: Path) -> None:
    plan = plan_of("cnn", few, tmp_path / "model", epochs=3, learning_rate=1e38)
    with pytest.raises(DataError, match=r"the loss is (nan|-?inf) in epoch \d.*lower --learning-rate"):
        train.train(plan, Access(), Heard())
    assert not plan.out.exists()
    assert not (partial_folder(plan.out) / "bundle").exists()


def test_a_frozen_backbone_stays_as_it_was_and_then_only_its_upper_layers_change(
    few: Path, backbone: tuple[Path, keras.Model], tmp_path: Path
) -> None:
    start, before = backbone
    recipe = replace(recipes.RECIPES["mobilenet"], input=TINY, epochs=2, batch_size=16)
    data = load_data(str(few), TINY, tmp_path / "data")
    phases = recipes.phases_of(recipe, pretrained=True)
    assert [phase.name for phase in phases] == ["warm-up", "fine-tuning"]
    over = fit.fit(
        lambda: recipe.build(TINY, 2, True),
        lambda model: weights.load_start(model, str(start), "mobilenet", recipe.stands_on),
        data, recipe, phases, tmp_path / "state", 1, Heard(),
    )  # fmt: skip
    assert fit.best_weights(over).is_file()
    model = recipe.build(TINY, 2, True)
    for (phase, state), last_same in zip(over, ("Conv_1", "block_12_project"), strict=True):
        model.load_weights(state.best_weights)
        after = model.get_layer(mobilenet.BACKBONE)
        changed = [
            layer.name
            for layer, old in zip(after.layers, before.layers, strict=True)
            if any(not np.array_equal(a, b) for a, b in zip(layer.get_weights(), old.get_weights(), strict=True))
        ]
        names = [layer.name for layer in after.layers]
        assert all(names.index(name) > names.index(last_same) for name in changed), phase.name
        assert bool(changed) == (phase.trained == "upper")
        assert not any("bn" in name.lower() for name in changed), "normalization stays as it came"


def test_the_step_of_a_training_is_traced_once(few: Path, tmp_path: Path) -> None:
    """Of a large network a trace takes most of the time until the first step."""
    traces: list[str] = []

    class Traced(keras.Model):  # type: ignore[misc]  # Keras has no types
        def train_step(self, data: object) -> object:
            traces.append("step")
            return super().train_step(data)

    def build() -> keras.Model:
        seen = keras.Input(TINY.shape)
        return Traced(seen, keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(seen)))

    recipe = replace(recipes.RECIPES["cnn"], input=TINY, epochs=2, batch_size=8)
    data = load_data(str(few), TINY, tmp_path / "data")
    fit.fit(build, lambda model: None, data, recipe, recipes.phases_of(recipe, False), tmp_path / "state", 1, Heard())
    assert traces == ["step"]


def test_wrong_weights_are_one_line(few: Path, trained: tuple[Path, Heard], tmp_path: Path,
                                    capfd: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    (tmp_path / "no.h5").write_bytes(b"no weights at all")
    other = tmp_path / "other"
    other.mkdir()
    keras.Sequential([keras.Input(TINY.shape), keras.layers.Flatten(), keras.layers.Dense(2)]).save(
        other / "model.keras"
    )
    write_labels(other, SHAPES)
    seal_bundle(other, Manifest(name="other", architecture="cnn", input=TINY, files={}))
    for architecture, start, why in (
        ("cnn", "imagenet", "cnn stands on no network of ImageNet"),
        ("cnn", tmp_path / "nowhere", "there is no such file or folder"),
        ("cnn", few, "not a bundle"),
        ("cnn", other, "its layers are of other sizes"),
        ("mobilenet", trained[0], "it holds a cnn, not a mobilenet"),
        (
            "mobilenet",
            few / "round" / "1.png",
            "expected the folder of a bundle of mobilenet, or a .h5 or .hdf5 file",
        ),
        ("mobilenet", tmp_path / "no.h5", "not the weights of MobileNetV2"),
    ):
        code = run_main("train", architecture, "--data", str(few), "--out", str(tmp_path / "out"), "--size", "32",
                        "--weights", str(start), "--fresh")  # fmt: skip
        said = capfd.readouterr().err.strip().splitlines()[-1]
        assert code == 2
        assert why in said
        assert said.startswith("framewatch: --weights")
        assert not partial_folder(tmp_path / "out").exists(), "it is said before the pictures are read"
    assert not (tmp_path / "out").exists()


def test_where_imagenet_cannot_be_had_one_line_says_what_to_do(few: Path, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    trainer = Trainer("mobilenet", "--data", few, "--out", tmp_path / "out", KERAS_HOME=str(tmp_path / "keras"),
                      https_proxy=nowhere, HTTPS_PROXY=nowhere)  # fmt: skip
    code, _, said = trainer.ended()
    assert code == 2, said
    assert "--weights imagenet: they cannot be downloaded here" in said.splitlines()[-1]
    assert "--weights none" in said.splitlines()[-1]
    assert not partial_folder(tmp_path / "out").exists(), "it blocks no other training"


def test_what_is_there_already_is_kept(
    few: Path, trained: tuple[Path, Heard], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (trained[0] / "bundle.json").read_bytes()
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "mine.txt").write_text("mine")
    (tmp_path / "other.partial").mkdir()
    (tmp_path / "other.partial" / "mine.txt").write_text("mine")
    for out, options, why in (
        (trained[0], [], "is there already: name another folder, or say --force to replace it"),
        (notes, ["--force"], "is there already and is no bundle"),
        (tmp_path / "other", ["--fresh"], "is there already and is not of a training"),
        (tmp_path / "x", ["--name", "no spaces"], "--name: got 'no spaces'"),
        (tmp_path / "x", ["--sequence", "4"], "--sequence: cnn looks at one frame at a time"),
        (tmp_path / "x", ["--epochs", "0"], "--epochs"),
        (tmp_path / "x", ["--learning-rate", "0"], "--learning-rate"),
        (tmp_path / "x", ["--data", str(tmp_path / "nothing")], "nothing"),
    ):
        assert run_main("train", "cnn", "--data", str(few), "--out", str(out), *options) in {1, 2}
        assert why in capfd.readouterr().err.strip().splitlines()[-1]
    assert (trained[0] / "bundle.json").read_bytes() == before
    assert (notes / "mine.txt").exists()
    assert (tmp_path / "other.partial" / "mine.txt").exists()


def test_a_start_that_fails_leaves_nothing_but_what_somebody_put_there(
    few: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one, models = draw(tmp_path / "one", 1), tmp_path / "models"
    for data, why in (
        (tmp_path / "nowhere", "no such folder"),
        ("http://camera/pictures", "expected s3://bucket/prefix/ or a folder"),
        (few.parent, "all pictures are of one class"),
        (one, "too few pictures"),
    ):
        assert run_main("train", "cnn", "--data", str(data), "--out", str(models / "smoking")) in {1, 2}
        assert why in capfd.readouterr().err.strip().splitlines()[-1]
        assert not models.exists()
    left = partial_folder(models / "smoking")
    left.mkdir(parents=True)
    (left / "lock").touch()
    (left / "notes.txt").write_text("mine")
    assert run_main("train", "cnn", "--data", str(one), "--out", str(models / "smoking")) == 1
    assert (left / "notes.txt").read_text() == "mine"
    (left / "notes.txt").unlink()
    assert run_main("train", "cnn", "--data", str(one), "--out", str(models / "smoking")) == 1
    assert list(models.iterdir()) == []


def test_a_positive_label_that_is_none_is_told_before_it_trains_and_other_settings_then_go_on(
    few: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    three = draw(tmp_path / "three", 20)
    draw(tmp_path / "more", 20, seed=3)
    (tmp_path / "more" / "square").rename(three / "upright")
    out = tmp_path / "out"
    left = partial_folder(out)
    read: dict[Path, int] = {}
    for data, options, why in (
        (three, ["--positive", "round"], "got 'round' as positive label: there are 3 labels, not two"),
        (few, ["--positive", "Smok"], "got 'Smok' as positive label: expected one of round, square"),
        (few, ["--positive", "oval", "--learning-rate", "0.002"], "got 'oval' as positive label: expected one of"),
    ):
        assert run_main("train", "cnn", "--data", str(data), "--out", str(out), "--size", "32", *options) == 1
        said = capfd.readouterr().err
        assert why in said.strip().splitlines()[-1]
        assert "loss" not in said
        assert not list(left.glob("*/backup-*"))
        prepared = {path: path.stat().st_mtime_ns for path in left.glob("data-*/parts.json")}
        assert prepared.items() >= read.items(), "pictures that were read are not read again"
        read = prepared
    assert len(read) == 2


def test_what_can_be_known_to_be_wrong_is_refused_before_the_pictures_are_read(
    few: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for out, options, why in (
        ("file", [], "file is there already and is no bundle"),
        ("file/x", [], "file is no folder: nothing can be put into it"),
        ("link", [], "link is there already and is no bundle"),
        ("a" * 300, ["--name", "x"], "File name too long"),
        ("/proc", [], "--out: /proc is where another file system begins"),
        ("x", ["--learning-rate", "nan"], "'nan' is no number"),
        ("x", ["--label-smoothing", "nan"], "'nan' is no number"),
        ("x", ["--subject", "face", "--margin", "nan"], "'nan' is no number"),
        ("x", ["--margin", "0.1"], "--margin: got 0.1: the whole frame is shown to it"),
        ("x", ["--subject", "face", "--sequence", "4"], "--subject: a model of faces is shown one picture at a time"),
    ):
        arguments = ["train", "mobilenet-lstm", "--weights", "none", "--data", str(few), "--out", str(tmp_path / out)]
        assert run_main(*arguments, *options) == 2
        assert why in capfd.readouterr().err.strip().splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]
    monkeypatch.setitem(sys.modules, "openvino", None)  # means: not installed
    assert run_main("train", "cnn", "--data", str(few), "--out", str(tmp_path / "x")) == 1
    assert "framewatch train needs openvino, which is not installed" in capfd.readouterr().err


def test_a_folder_that_cannot_be_written_is_no_place_for_a_bundle() -> None:
    root = os.getuid() == 0
    if root:
        os.setresuid(65534, -1, -1)  # who may not write everywhere
    try:
        with pytest.raises(SettingError, match="--out: /usr cannot be written: name a folder somewhere else"):
            check_out(Path("/usr/framewatch-models/x"), force=False)
    finally:
        if root:
            os.setresuid(0, -1, -1)


@pytest.mark.timeout(900)
def test_a_mobilenet_trained_on_a_folder_labels_frames_live(
    framewatch: Command,
    topic: str,
    database: Database[Document],
    few: Path,
    beside: tuple[Trainer | None, Path],
) -> None:
    """The way from a folder of pictures to labels on the live picture, as a person goes it."""
    trainer, out = beside
    assert trainer is not None
    code, said, errors = trainer.ended()
    assert code == 0, errors
    assert "is ready after" in said
    consumer = framewatch("consume", "--model", out, "--topic", topic, "--group", topic, "--database", database.name,
                          "--port", free_port())  # fmt: skip
    sent = framewatch("produce", few / "round", "--topic", topic, "--stream", "cam", "--fps", "max")
    assert sent.wait(60) == 0

    def stored() -> bool:
        assert consumer.poll() is None, consumer.communicate()[1]
        return database["events"].estimated_document_count() >= 20

    wait_for(stored, "an event of each picture", 200)
    events = [from_document(document) for document in database["events"].find()]
    assert {event.model for event in events} == {load_bundle(out).model}
    assert {event.label for event in events} <= set(SHAPES)
    assert {event.boundingbox for event in events} == {None}
