"""The classifiers by name or folder: what each sees, what it is called, and what is said when it cannot be had."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bundles import COLOURS, MOODS, Made, person
from conftest import REPOSITORY
from framewatch.errors import BadBundle, SettingError, install_hint
from framewatch.model.detection import Detection
from framewatch.settings import load_settings
from framewatch.vision.classifier import Classifier, Image
from framewatch.vision.detectors.faces import HaarFaces
from framewatch.vision.models.bundle import Bundle, seal_bundle
from framewatch.vision.models.runtime import Runtime, RuntimeName, load_runtime
from framewatch.vision.models.wholeframe import top_detection
from framewatch.vision.presets import PRESETS, Trained, Written, bundle_factory, once, preset_factory

NOWHERE = Path("/nowhere")


def plain(colour: str, width: int = 64, height: int = 48) -> Image:
    """A picture all of one colour, blue green red."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., COLOURS.index(colour)] = 200
    return picture


def people(n: int) -> Image:
    """A picture with the same face n times, side by side."""
    return np.hstack([person()[:256, 96:352]] * n)


def labels_of(found: Sequence[Sequence[Detection]]) -> list[str]:
    return [detection.label for detections in found for detection in detections]


def test_a_whole_frame_gets_one_label_with_its_scores(bundles: Made) -> None:
    factory = bundle_factory(bundles["colours"])
    classifier = factory.make()
    assert factory.labels == classifier.labels == COLOURS
    assert classifier.model == bundles.load("colours").model
    assert classifier.batch_size > 1
    assert not classifier.stateful
    found = classifier.classify([plain("red"), plain("blue", 7, 300), plain("green", 1920, 1080)])
    assert labels_of(found) == ["red", "blue", "green"]
    (detection,) = found[0]
    assert detection.box is None
    assert detection.scores[0] == ("red", detection.confidence)
    assert [score for _, score in detection.scores] == sorted((s for _, s in detection.scores), reverse=True)
    assert sum(score for _, score in detection.scores) == pytest.approx(1, abs=0.02)
    assert classifier.classify([]) == []


def test_both_runtimes_give_the_same_detections(bundles: Made) -> None:
    pictures = [people(1), plain("red")]
    quick, other = (bundle_factory(bundles["colours"], name).make() for name in ("openvino", "litert"))
    assert quick.model == other.model
    for ours, theirs in zip(quick.classify(pictures), other.classify(pictures), strict=True):
        assert ours[0].label == theirs[0].label
        assert ours[0].confidence == pytest.approx(theirs[0].confidence, abs=5e-3)


def test_all_scores_are_given_best_first() -> None:
    shares = np.array([0.05, 0.3, 0.1, 0.2, 0.3, 0.05], np.float32)
    detection = top_detection(["a", "b", "c", "d", "e", "f"], shares)
    assert [label for label, _ in detection.scores] == ["b", "e", "d", "c", "a", "f"]  # equal ones in index order


def same(one: Detection, other: Detection) -> bool:
    """The same but for what the size of a batch does to the last digits."""
    return one.label == other.label and dict(one.scores) == pytest.approx(dict(other.scores), abs=1e-5)


class Sequences:
    """A classifier of four frames, and what it says to sequences given as such."""

    def __init__(self, bundles: Made) -> None:
        self.classifier = bundle_factory(bundles["sequence"], "litert").make()
        self._single = bundle_factory(bundles["sequence"], "litert")

    def whole(self, pictures: Sequence[Image]) -> Detection:
        """The answer after these four, in a stream of their own."""
        fresh = self._single.make()
        return fresh.classify(pictures, ["fresh"] * len(pictures))[-1][0]


@pytest.fixture
def noise() -> list[Image]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, level, (16, 16, 3), np.uint8) for level in (20, 250, 120, 60, 200, 90, 30, 255)]


def test_a_model_of_sequences_sees_the_last_frames_of_each_stream(bundles: Made, noise: list[Image]) -> None:
    sequences = Sequences(bundles)
    assert sequences.classifier.stateful
    after = sequences.whole(noise[4:])
    # One by one, in batches, and with another stream's frames in between: the same four frames, the same answer.
    for sizes in ([1] * 8, [3, 5], [8]):
        classifier = bundle_factory(bundles["sequence"], "litert").make()
        at = 0
        for size in sizes:
            mixed = [picture for frame in noise[at : at + size] for picture in (frame, noise[0])]
            found = classifier.classify(mixed, ["a", "b"] * size)
            at += size
        assert same(found[-2][0], after)


def test_the_first_frame_of_a_stream_stands_for_those_before_it(bundles: Made, noise: list[Image]) -> None:
    sequences = Sequences(bundles)
    first, second = noise[:2]
    alone = sequences.classifier.classify([first, second])
    assert same(alone[0][0], sequences.whole([first] * 4))
    assert same(alone[1][0], sequences.whole([second] * 4)), "pictures without a stream know nothing of each other"
    begun = sequences.classifier.classify([first, second], ["a", "a"])
    assert same(begun[0][0], sequences.whole([first] * 4))
    assert same(begun[1][0], sequences.whole([first, first, first, second]))


def test_pictures_that_are_no_video_stand_alone_among_those_that_are(bundles: Made, noise: list[Image]) -> None:
    sequences = Sequences(bundles)
    first, picture, second = noise[4:7]
    found = sequences.classifier.classify([first, picture, second], ["a", None, "a"])
    assert same(found[1][0], sequences.whole([picture] * 4))
    assert same(found[2][0], sequences.whole([first, first, first, second]))


def test_streams_are_remembered_up_to_a_bound(bundles: Made, noise: list[Image]) -> None:
    sequences = Sequences(bundles)
    sequences.classifier.classify([noise[0]], ["old"])
    for k in range(300):
        sequences.classifier.classify([noise[k % 8]], [f"stream {k}"])
    again = sequences.classifier.classify([noise[1], noise[2]], ["stream 299", "old"])
    assert same(again[0][0], sequences.whole([noise[299 % 8]] * 3 + [noise[1]]))
    assert same(again[1][0], sequences.whole([noise[2]] * 4)), "forgotten, so it begins anew"


def test_every_face_gets_a_label_of_its_own_in_its_box(bundles: Made) -> None:
    classifier = bundle_factory(bundles["moods"]).make()
    assert classifier.labels == MOODS
    pictures = [people(1), plain("red", 320, 240), people(3)]
    found = classifier.classify(pictures)
    expected = HaarFaces().classify(pictures)
    assert [len(faces) for faces in found] == [1, 0, 3]
    for ours, theirs in zip(found, expected, strict=True):
        assert [face.box for face in ours] == [face.box for face in theirs]
    for face in found[0] + found[2]:
        assert face.label in MOODS
        assert face.scores[0] == (face.label, face.confidence)
        assert len(face.scores) == len(MOODS)


def test_what_a_model_of_faces_is_shown_is_the_face_with_its_margin(bundles: Made, tmp_path: Path) -> None:
    bundle = bundles.load("moods")
    assert bundle.manifest.margin == 0.1
    picture = people(1)
    (face,) = bundle_factory(bundles["moods"], "litert").make().classify([picture])[0]
    assert face.box is not None
    x, y, side, _ = face.box
    wider = round(side * 0.1)
    shown = picture[max(0, y - wider) : y + side + wider, max(0, x - wider) : x + side + wider]
    by_hand = bundle_factory(frame_bundle(bundles, tmp_path), "litert").make().classify([shown])[0][0]
    assert by_hand.scores == face.scores


def frame_bundle(bundles: Made, tmp_path: Path) -> Path:
    """The model of faces, sealed as one of whole frames."""
    folder = Path(shutil.copytree(bundles["moods"], tmp_path / "frame"))
    seal_bundle(folder, bundles.load("moods").manifest.model_copy(update={"subject": "frame"}))
    return folder


def test_the_name_of_a_model_of_faces_tells_the_face_detector_too(
    bundles: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bundle_factory(bundles["moods"]).make().model
    assert before.startswith("moods@")
    assert before != bundles.load("moods").model
    monkeypatch.setattr("framewatch.vision.models.face_labels.faces_model", lambda: "faces@2-other")
    assert bundle_factory(bundles["moods"]).make().model != before


def test_a_model_of_faces_takes_one_picture(bundles: Made, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundles["sequence"], tmp_path / "faces"))
    seal_bundle(folder, bundles.load("sequence").manifest.model_copy(update={"subject": "face"}))
    with pytest.raises(BadBundle, match="a model of faces takes one picture, this one 4"):
        bundle_factory(folder)


def test_a_model_is_loaded_once_for_all_lanes(bundles: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Bundle] = []

    def load(bundle: Bundle, runtime: RuntimeName, threads: int) -> Runtime:
        loads.append(bundle)
        return load_runtime(bundle, runtime, threads)

    monkeypatch.setattr("framewatch.vision.presets.load_runtime", load)
    factory = bundle_factory(bundles["colours"])
    assert loads == [], "to check is not to load"
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: factory.make(), range(4)))
    assert len(loads) == 1
    assert len({id(classifier) for classifier in made}) == 4


def test_once_makes_one_thing_for_all_threads() -> None:
    together = threading.Barrier(8)
    shared = once(object)

    def ask(_: int) -> int:
        together.wait(100)
        return id(shared())

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


@pytest.mark.parametrize("name", [name for name, entry in PRESETS.items() if isinstance(entry, Trained)])
def test_a_preset_without_a_trained_model_says_how_to_get_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError) as error:
        preset_factory(name, tmp_path)
    said = str(error.value)
    assert said.startswith(f"got '{name}', which has no trained model yet: make one by `framewatch train ")
    assert said.endswith(f" --data DIR --out {tmp_path / name}`")


def test_a_preset_is_served_from_the_folder_of_models(bundles: Made, tmp_path: Path) -> None:
    shutil.copytree(bundles["colours"], tmp_path / "smoking")
    classifier = preset_factory("smoking", tmp_path).make()
    assert labels_of(classifier.classify([plain("red")])) == ["red"]
    (tmp_path / "smoking" / "model.xml").write_text("<net/>")
    with pytest.raises(BadBundle, match=r"model\.xml is damaged"):
        preset_factory("smoking", tmp_path)


def test_the_folder_of_models_is_that_of_the_checkout() -> None:
    assert load_settings().models == REPOSITORY / "models"


@pytest.mark.parametrize("package", ["mtcnn", "tensorflow"])
def test_a_preset_whose_packages_are_missing_says_how_to_get_them(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingError) as error:
        preset_factory("faces-mtcnn", NOWHERE)
    assert str(error.value) == (f"'faces-mtcnn' needs {package}, not installed here: {install_hint('mtcnn')}")


def test_to_choose_a_preset_imports_no_tensorflow() -> None:
    check = (
        "import sys; from pathlib import Path; from framewatch.vision.presets import preset_factory;"
        "assert preset_factory('faces-mtcnn', Path()).labels == ('face',);"
        "assert not {'tensorflow', 'mtcnn', 'openvino'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False, timeout=200).returncode == 0


@pytest.mark.parametrize("name", [name for name, entry in PRESETS.items() if isinstance(entry, Written)])
def test_written_presets_lead_to_their_class(name: str) -> None:
    assert preset_factory(name, NOWHERE).labels == ("face",)


def test_every_preset_is_in_the_docs() -> None:
    page = (REPOSITORY / "docs" / "models.md").read_text()
    assert [name for name in PRESETS if f"| `{name}` |" not in page] == []


def test_faces_are_a_classifier_like_any_other() -> None:
    classifier: Classifier = preset_factory("faces", NOWHERE).make()
    (face,) = classifier.classify([people(1)])[0]
    assert face.label == "face"
    assert face.box is not None
