"""Every architecture: what it is made of, and that what is served of it answers as Keras does."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from framewatch.cli.train import ARCHITECTURES
from framewatch.vision.models.bundle import KERAS_FILE, LITERT_FILE, OPENVINO_WEIGHTS, Bundle, Manifest
from framewatch.vision.models.inputs import InputSpec
from framewatch.vision.models.runtime import load_runtime
from heavy import batches, from_scratch, keras, mobilenet, recipes
from heavy import export as exports

# Keras 3.15 makes arrays of tensors in a way that NumPy 2 warns of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.timeout(900),  # on a busy machine
    pytest.mark.xdist_group("training"),
]

CLASSES = 5
SMALL = {
    "cnn": InputSpec(height=64, width=64),
    "mobilenet": InputSpec(height=64, width=64),
    "mobilenet-lstm": InputSpec(height=32, width=32),
    "mobilenet-lstm, 4 frames": InputSpec(height=32, width=32, frames=4),
    "deepface": InputSpec(height=64, width=64),
    "emotion": InputSpec(height=48, width=48, channels=1),
}


def pictures(spec: InputSpec, n: int, seed: int = 0) -> NDArray[np.uint8]:
    """Patches of colour, each picture another pattern."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, spec.frames, 2, 2, spec.channels), np.uint8)
    sides = spec.height // 2, spec.width // 2
    return coarse.repeat(sides[0], axis=2).repeat(sides[1], axis=3).reshape(n, *spec.shape)


def answers(model: keras.Model, asked: NDArray[np.generic]) -> NDArray[np.float32]:
    """Keras's own; ``predict_on_batch`` traces the model anew for each number of pictures."""
    return np.asarray(keras.ops.convert_to_numpy(model(asked.astype(np.float32), training=False)), np.float32)


def with_opinions(model: keras.Model, spec: InputSpec) -> None:
    """Weights under which pictures get scores of their own; with fresh ones all scores are about the same.

    In MobileNetV2 few values are cut off by a ReLU6, and what the shortcuts go round adds little, as in a trained
    one: else chance takes over in fifty layers, and no two ways of counting give the same.
    """
    random = np.random.default_rng(1)
    some = pictures(spec, 32, seed=9).astype(np.float32)
    names = {layer.name for layer in model._flatten_layers()}
    for layer in (each for each in model._flatten_layers() if isinstance(each, keras.layers.BatchNormalization)):
        shortcut = layer.name.endswith("_project_BN") and layer.name.replace("project_BN", "add") in names
        inside = layer.name.endswith(("expand_BN", "depthwise_BN", "bn_Conv1"))
        layer.momentum = 0.0
        layer.gamma.assign(random.uniform(0.6, 0.8, layer.gamma.shape) * (0.15 if shortcut else 1.0))
        layer.beta.assign(random.uniform(-0.2, 0.2, layer.beta.shape) + inside)
    for lstm in (each for each in model.layers if isinstance(each, keras.layers.LSTM)):
        model(some, training=True)
        directions, _ = strongest(model, lstm, some, 8)
        _, recurrent, bias = lstm.get_weights()
        lstm.set_weights([directions @ random.normal(size=(8, len(bias))), recurrent, bias * 0])
    model(some, training=True)  # so that they normalize by what they get
    last = model.get_layer("shares")
    last.set_weights(strongest(model, last, some, CLASSES))


def strongest(
    model: keras.Model, layer: keras.layers.Layer, some: NDArray[np.float32], n: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A kernel and its bias: the n directions in which what comes to the layer differs most."""
    comes = answers(keras.Model(model.input, layer.input), some)
    comes = comes.reshape(-1, comes.shape[-1])
    mean = comes.mean(axis=0)
    directions = np.linalg.svd(comes - mean, full_matrices=False)[2][:n].T
    directions = 0.35 * directions / (comes @ directions).std(axis=0)
    return directions, -mean @ directions


class Exported(NamedTuple):
    """The trained form, the served form and the bundle; pictures, and the answers of the served form to them."""

    trained: keras.Model
    served: keras.Model
    bundle: Bundle
    asked: NDArray[np.uint8]
    expected: NDArray[np.float32]


def export(name: str, folder: Path) -> Exported:
    spec, architecture = SMALL[name], name.partition(",")[0]
    recipe = recipes.RECIPES[architecture]
    keras.utils.set_random_seed(1)
    trained = recipe.build(spec, CLASSES, True)
    with_opinions(trained, spec)
    served = exports.served_form(trained, recipe, spec, CLASSES)
    manifest = Manifest(name="tried", architecture=architecture, input=spec, files={})
    bundle = exports.export_bundle(served, manifest, tuple("abcde"), folder, "# tried")
    asked = pictures(spec, 16)
    return Exported(trained, served, bundle, asked, answers(served, asked))


@pytest.fixture(scope="module", params=SMALL)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(request.param, tmp_path_factory.mktemp("bundle"))


def test_what_is_served_answers_as_keras(exported: Exported) -> None:
    bundle, asked, expected = exported.bundle, exported.asked, exported.expected
    first, second = np.sort(expected, axis=1)[:, :-3:-1].T
    asked, expected = asked[first - second > 0.01], expected[first - second > 0.01]  # with a clear first label
    assert len(asked) > 8
    assert np.ptp(expected, axis=0).max() > 0.15, "pictures get the same scores: comparing them shows nothing"
    assert len(set(expected.argmax(axis=1))) > 2
    for name in ("openvino", "litert"):
        exact = load_runtime(bundle, name, exact=True)
        np.testing.assert_allclose(exact(asked), expected, rtol=0, atol=1e-5, err_msg=name)
        for n in (1, 3):  # of any size
            np.testing.assert_allclose(exact(asked[:n]), expected[:n], rtol=0, atol=1e-5, err_msg=name)
    as_served = load_runtime(bundle)(asked)  # in bfloat16, where the processor has it
    np.testing.assert_allclose(as_served, expected, rtol=0, atol=5e-3)
    assert (as_served.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_the_keras_file_needs_nothing_of_ours_and_loads_in_safe_mode(
    exported: Exported,
) -> None:
    asked, expected = exported.asked[:4], exported.expected[:4]
    loaded = keras.saving.load_model(exported.bundle.folder / KERAS_FILE, compile=False, safe_mode=True)
    np.testing.assert_allclose(answers(loaded, asked), expected, rtol=0, atol=1e-6)
    assert {layer.dtype_policy.name for layer in loaded._flatten_layers()} == {"float32"}


def test_no_file_holds_the_weights_twice(exported: Exported) -> None:
    served, bundle = exported.served, exported.bundle
    for name in (KERAS_FILE, OPENVINO_WEIGHTS, LITERT_FILE):
        size = (bundle.folder / name).stat().st_size
        assert size < 4 * served.count_params() * 1.05 + 500_000, name


def test_the_trained_form_gives_the_answers_of_the_served_one(
    exported: Exported,
) -> None:
    trained, asked = exported.trained, exported.asked[:4].astype(np.float32)
    expected = answers(trained, asked)
    if (
        exported.bundle.manifest.architecture == "emotion"
    ):  # it looks closer, from farther away, and at the mirror images
        farther = np.pad(asked, [(0, 0), (2, 2), (2, 2), (0, 0)], mode="symmetric")
        size = asked.shape[2:0:-1]
        sizes = [
            np.stack([cv2.resize(picture, size) for picture in seen]).reshape(asked.shape)
            for seen in (asked[:, 1:-1, 1:-1], farther)
        ]
        looks = [look for seen in sizes for look in (seen, seen[:, :, ::-1])]
        expected = np.mean([answers(trained, look) for look in looks], axis=0)
    np.testing.assert_allclose(exported.expected[:4], expected, rtol=0, atol=1e-5)


def test_deepface_is_the_network_of_the_project() -> None:
    model = from_scratch.deepface(InputSpec(height=152, width=152), 7, True)
    assert model.count_params() == 18_518_439
    assert model.layers[-1].activation is keras.activations.softmax


def test_the_lstm_model_has_exactly_the_heads_of_the_project() -> None:
    model = recipes.RECIPES["mobilenet-lstm"].build(InputSpec(height=64, width=64), 15, True)
    after = model.layers[model.layers.index(model.get_layer(mobilenet.BACKBONE)) + 1 :]
    assert [type(layer).__name__ for layer in after] == [
        "GlobalAveragePooling2D", "LSTM", "Dropout",
        "Dense", "BatchNormalization", "ReLU", "Dropout",
        "Dense", "BatchNormalization", "ReLU", "Dropout", "Dense",
    ]  # fmt: skip
    assert [layer.units for layer in after if isinstance(layer, keras.layers.LSTM | keras.layers.Dense)] == [
        128,
        256,
        128,
        15,
    ]
    assert [layer.rate for layer in after if isinstance(layer, keras.layers.Dropout)] == [0.3, 0.3, 0.3]
    recipe = recipes.RECIPES["mobilenet-lstm"]
    assert (recipe.optimizer, recipe.learning_rate, recipe.batch_size, recipe.epochs) == ("adam", 1e-3, 32, 50)


def test_the_frames_go_through_the_backbone_as_with_time_distributed() -> None:
    spec = InputSpec(height=32, width=32, frames=3)
    model = recipes.RECIPES["mobilenet-lstm"].build(spec, CLASSES, True)
    with_opinions(model, spec)
    x = frames = keras.Input(spec.shape)
    after = model.layers.index(model.get_layer(mobilenet.BACKBONE)) + 1
    for layer in model.layers[1 : after + 1]:
        x = keras.layers.TimeDistributed(layer)(x)
    for layer in model.layers[after + 1 :]:
        x = layer(x)
    asked = pictures(spec, 4).astype(np.float32)
    expected = answers(keras.Model(frames, x), asked)
    np.testing.assert_allclose(answers(model, asked), expected, rtol=0, atol=1e-5)


def test_a_backbone_that_came_with_weights_is_frozen_then_its_upper_layers_are_tuned() -> None:
    recipe = recipes.RECIPES["mobilenet"]
    warm_up, tuning = recipes.phases_of(recipe, pretrained=True)
    assert (warm_up.trained, tuning.trained) == ("head", "upper")
    assert warm_up.epochs + tuning.epochs == recipe.epochs
    assert tuning.learning_rate < warm_up.learning_rate / 10
    assert [phase.trained for phase in recipes.phases_of(recipes.RECIPES["mobilenet-lstm"], pretrained=True)] == [
        "head"
    ]
    assert [phase.trained for phase in recipes.phases_of(recipe, pretrained=False)] == ["all"]

    model = recipe.build(InputSpec(height=32, width=32), 2, True)
    order = [weight.path for weight in model.weights]
    mobilenet.choose_trained(model, "head")
    assert [weight.path.split("/")[0] for weight in model.trainable_weights] == ["shares", "shares"]
    mobilenet.choose_trained(model, "upper")
    learning = [layer for layer in model.get_layer(mobilenet.BACKBONE).layers if layer.trainable and layer.weights]
    assert "block_16_project" in {layer.name for layer in learning}
    assert {type(layer) for layer in learning} == {keras.layers.Conv2D, keras.layers.DepthwiseConv2D}
    assert learning[0].name == "block_13_expand"
    assert [weight.path for weight in model.weights] == order, "served_form relies on it"


@pytest.mark.parametrize("shape", [(24, 24, 1), (24, 24, 3), (3, 24, 24, 3)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_augmented_pictures_are_pictures(architecture: str, shape: tuple[int, ...]) -> None:
    asked = np.random.default_rng(1).integers(0, 256, (6, *shape), np.uint8)
    change = batches.augmented(recipes.RECIPES[architecture].augmentation, 1)
    changed = change(asked).numpy()
    assert changed.shape == asked.shape
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert not np.array_equal(changed, change(asked).numpy())


def test_all_frames_of_a_sequence_are_changed_alike() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (4, 1, 24, 24, 3), np.uint8)
    changed = batches.augmented(recipes.RECIPES["mobilenet-lstm"].augmentation, 1)(frame.repeat(5, axis=1)).numpy()
    np.testing.assert_allclose(changed[:, 1:], changed[:, :1].repeat(4, axis=1), atol=1e-3)
    assert np.abs(changed[0] - changed[1]).max() > 1


def test_the_command_knows_every_architecture() -> None:
    assert set(ARCHITECTURES) == set(recipes.RECIPES)
