"""A trained model answers as Keras does, in either runtime, to many threads; a wrong one is found at load."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bundles import COLOURS, Made
from framewatch.errors import BadBundle, install_hint
from framewatch.vision.models.bundle import Bundle, Manifest, seal_bundle, write_labels
from framewatch.vision.models.inputs import Pixels
from framewatch.vision.models.openvino_runtime import OpenVinoModel
from framewatch.vision.models.runtime import Runtime, RuntimeName, choose_runtime, load_runtime

RUNTIMES: tuple[RuntimeName, ...] = ("openvino", "litert")
NAMES = ("colours", "sequence", "moods")


@pytest.fixture
def copied(bundles: Made, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a bundle that a test may spoil."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(bundles[name], tmp_path / name))

    return copy


def resealed(folder: Path, **changes: Any) -> Bundle:
    """The folder as it is now, sealed: what training wrong would give, or somebody with intent."""
    manifest = json.loads((folder / "bundle.json").read_text()) | changes
    return seal_bundle(folder, Manifest.model_validate(manifest))


def refusal(bundle: Bundle, runtime: RuntimeName = "auto") -> str:
    with pytest.raises(BadBundle) as error:
        load_runtime(bundle, runtime)
    said = str(error.value)
    assert "\n" not in said
    assert said.startswith(f"{bundle.folder}: ")
    return said.removeprefix(f"{bundle.folder}: ")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_answers_are_those_of_keras(bundles: Made, name: str, runtime: RuntimeName) -> None:
    samples, expected = bundles.answers(name)
    assert np.ptp(expected, axis=1).min() > 0.05, "scores that are all alike would show nothing"
    assert np.ptp(expected, axis=0).max() > 0.05, "nor would samples"
    exact = load_runtime(bundles.load(name), runtime, exact=True)
    for n in (len(samples), 1, 2, len(samples)):  # a batch of any size, larger and smaller than the one before
        assert np.abs(exact(samples[:n]) - expected[:n]).max() < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_answers_in_the_quickest_precision_name_the_same_label(bundles: Made, name: str) -> None:
    samples, expected = bundles.answers(name)
    quick = load_runtime(bundles.load(name))(samples)
    assert np.abs(quick - expected).max() < 5e-3
    clear = np.partition(expected, -2, axis=1)
    decided = clear[:, -1] - clear[:, -2] > 1e-2
    assert decided.sum() >= 3
    assert (quick.argmax(axis=1) == expected.argmax(axis=1))[decided].all()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_many_threads_get_each_their_own_answers(bundles: Made, runtime: RuntimeName) -> None:
    samples, expected = bundles.answers("moods")
    asked = load_runtime(bundles.load("moods"), runtime, 2, exact=True)
    together = threading.Barrier(4)

    def ask(k: int) -> float:
        together.wait(100)
        order = np.roll(np.arange(len(samples)), k)[: k + 2]
        return max(float(np.abs(asked(samples[order]) - expected[order]).max()) for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(ask, range(4))) < 1e-5


def test_without_openvino_it_is_litert(bundles: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = bundles.load("colours")
    assert choose_runtime(bundle) == "openvino"
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert choose_runtime(bundle) == "litert"
    samples, expected = bundles.answers("colours")
    assert np.abs(load_runtime(bundle)(samples) - expected).max() < 1e-5
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    assert refusal(bundle) == (
        f"nothing can run this model: openvino is not installed here ({install_hint('serve')}); "
        f"litert is not installed here ({install_hint('litert')})"
    )


def test_a_bundle_without_a_runtimes_files_is_served_by_the_other(copied: Callable[[str], Path]) -> None:
    folder = copied("colours")
    (folder / "model.bin").unlink()
    bundle = resealed(folder)
    assert choose_runtime(bundle) == "litert"
    assert "openvino needs model.bin, which the bundle has not" in refusal(bundle, "openvino")
    (folder / "model.tflite").unlink()
    assert "litert needs model.tflite" in refusal(resealed(folder))


@pytest.mark.parametrize(
    ("file", "runtime"), [("model.xml", "openvino"), ("model.bin", "openvino"), ("model.tflite", "litert")]
)
@pytest.mark.parametrize("part", [0, 0.5, 0.95])
def test_a_truncated_model_is_refused_even_where_its_hash_is_right(
    copied: Callable[[str], Path], file: str, runtime: RuntimeName, part: float
) -> None:
    folder = copied("moods")
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: int(len(content) * part)])
    assert "cannot load it: " in refusal(resealed(folder), runtime)


def test_a_model_that_cannot_be_loaded_is_not_hidden_by_the_other_runtime(copied: Callable[[str], Path]) -> None:
    folder = copied("moods")
    (folder / "model.xml").write_text("<net/>")
    assert refusal(resealed(folder)).startswith("model.xml: OpenVINO cannot load it: ")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_labels_as_many_as_answers(copied: Callable[[str], Path], runtime: RuntimeName) -> None:
    folder = copied("colours")
    write_labels(folder, (*COLOURS, "yellow"))
    assert "answers with shape (2, 3) for two samples and 4 labels" in refusal(resealed(folder), runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    "spec",
    [
        {"height": 32, "width": 24},
        {"height": 24, "width": 32, "channels": 1},
        {"height": 24, "width": 32, "frames": 4},
    ],
)
def test_pictures_of_the_size_that_the_model_takes(
    copied: Callable[[str], Path], runtime: RuntimeName, spec: dict[str, int]
) -> None:
    said = refusal(resealed(copied("colours"), input=spec), runtime)
    assert "24, 32, 3)" in said and "the manifest says " in said, said


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_answers_that_are_no_shares_are_found_at_load(bundles: Made, runtime: RuntimeName) -> None:
    """As of a last layer that is no softmax: the ReLU of one of the projects this one improves on."""
    assert "not shares that add up to 1, as of a softmax layer" in refusal(bundles.load("raw"), runtime)


def test_answers_that_are_no_numbers_fail_the_frame() -> None:
    class Broken:
        def __call__(self, samples: object) -> Any:
            return np.full_like(samples, np.nan, np.float32)

    class Named:
        model = "broken@1"

    with pytest.raises(ValueError, match="broken@1 answers with what is no number"):
        Runtime(Named(), Broken())(np.zeros((1, 8, 8, 3), np.uint8))  # type: ignore[arg-type]


WITHOUT_NETWORK = """
import sys
reached = []
watched = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.posix_spawn", "os.fork")
sys.addaudithook(lambda event, arguments: reached.append((event, str(arguments))) if event in watched else None)

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
import numpy as np
from framewatch.vision.presets import bundle_factory

together = Barrier(4)

def first_question(classifier):
    together.wait(100)
    return classifier.classify([np.zeros((90, 120, 3), np.uint8)])[0][0].label

for runtime in ("openvino", "litert"):
    factory = bundle_factory(Path(sys.argv[1]), runtime, 4)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(first_question, [factory.make() for _ in range(4)]))) == 1
    assert runtime == "litert" or "openvino" in sys.modules
assert not reached, reached
assert not {"tensorflow", "keras", "tf_keras", "openvino_telemetry.main"} & set(sys.modules)
"""


def test_serving_imports_no_tensorflow_and_tells_nobody(bundles: Made, tmp_path: Path) -> None:
    """``import openvino`` by itself reports its use over the network.

    Nor do threads wait for each other for ever that ask their first question at once: only a new process shows that.
    """
    command = [sys.executable, "-W", "error", "-c", WITHOUT_NETWORK, str(bundles["colours"])]
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=home, check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "intel").exists(), "an id of this user for reports"


def test_the_first_question_is_asked_by_one_thread_alone(bundles: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO hung, now and then, where two threads asked it first."""
    asked: list[threading.Thread] = []
    answer = OpenVinoModel._answer

    def noted(model: OpenVinoModel, batch: Pixels) -> NDArray[np.float32]:
        asked.append(threading.current_thread())
        return answer(model, batch)

    monkeypatch.setattr(OpenVinoModel, "_answer", noted)
    load_runtime(bundles.load("colours"), "openvino", 2)
    assert asked[0] is threading.main_thread()
    assert len(set(asked)) > 1
