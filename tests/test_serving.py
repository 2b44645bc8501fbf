"""A classifier at work in a real consumer: frames from Kafka in, labels in the store, without TensorFlow."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from pymongo.database import Database

from bundles import COLOURS, Made, person
from conftest import Command, wait_for
from framewatch.model.detection import Box, Detection
from framewatch.storage.mongo.documents import Document, from_document
from framewatch.vision.annotate import annotated, colour_of
from framewatch.vision.jpeg import decode_img
from shared import free_port

# What Python runs at its start where this is on its path: TensorFlow, though installed, cannot be imported.
WITHOUT_TENSORFLOW = """
import sys

class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"tensorflow", "keras", "tf_keras", "mtcnn"}:
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Refuses())
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twenty-four frames as picture files, each of the next colour."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(24):
        image = rng.integers(0, 60, (360, 640, 3), np.uint8)
        image[..., number % 3] += 180  # blue, green, red, as in COLOURS
        cv2.imwrite(str(folder / f"{number:02}.png"), image)
    return folder


def consumed(
    framewatch: Command, topic: str, database: Database[Document], source: Path, n: int, *options: object, **env: str
) -> subprocess.Popen[str]:
    """A consumer that has stored n events of the source's frames."""
    settings = ("--topic", topic, "--group", topic, "--database", database.name, "--port", free_port())
    worker = framewatch("consume", *settings, *options, **env)
    sent = framewatch("produce", source, "--topic", topic, "--stream", "cam", "--fps", "max")
    assert sent.wait(200) == 0

    def stored() -> bool:
        assert worker.poll() is None, worker.communicate()[1]
        return database["events"].estimated_document_count() >= n

    wait_for(stored, f"{n} events", 200)
    return worker


def test_a_consumer_with_a_model_stores_the_label_of_each_frame(
    framewatch: Command, topic: str, database: Database[Document], bundles: Made, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_TENSORFLOW)
    model = ("--model", bundles["colours"])
    worker = consumed(framewatch, topic, database, pictures, 24, *model, PYTHONPATH=str(tmp_path))
    process = psutil.Process(worker.pid)
    packages = set(re.findall(r"/site-packages/(\w+)", "\n".join(mapped.path for mapped in process.memory_maps())))
    assert "openvino" in packages
    assert not {"tensorflow", "keras"} & packages
    memory_mb = process.memory_info().rss / 1e6
    print(f"{memory_mb:.0f} MB")
    assert memory_mb < 600

    events = sorted((from_document(document) for document in database["events"].find()), key=lambda e: e.frame)
    assert [event.label for event in events] == [COLOURS[number % 3] for number in range(24)]
    for event in events:
        assert event.model == bundles.load("colours").model
        assert event.boundingbox is None
        assert event.scores[0] == (event.label, event.confidence)
        assert decode_img(event.crop).shape == (180, 320, 3)


def test_a_bundle_is_checked_before_anything_is_started(framewatch: Command, bundles: Made, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(bundles["colours"], tmp_path / "broken"))
    (broken / "model.bin").write_bytes(b"")
    damaged = f"{broken}: model.bin is damaged or was changed: its SHA-256 is not the one in bundle.json"
    no_softmax = f"{bundles['raw']}: model.xml answers with "
    runs = [
        (framewatch("consume", "--model", broken), f"framewatch: --model: {damaged}\n"),
        (framewatch("up", FRAMEWATCH_MODEL=str(broken)), f"framewatch: FRAMEWATCH_MODEL: {damaged}\n"),
        (framewatch("consume", "--model", bundles["raw"]), f"framewatch: --model: {no_softmax}"),
        (framewatch("up", "--preset", "faces", "--model", broken), "framewatch: --preset and --model: got both"),
        (framewatch("up", "--preset", "smoking", "--models", tmp_path), "framewatch: --preset: got 'smoking', which"),
        (framewatch("consume", "--runtime", "tensorflow"), "framewatch: --runtime: got 'tensorflow': "),
    ]
    for process, line in runs:
        _, said = process.communicate(timeout=200)
        assert said.startswith(line), said
        assert said.count("\n") == 1, said
        assert process.returncode in {1, 2}


MTCNN = """
import json, sys
import numpy as np
from framewatch.vision.presets import preset_factory
from pathlib import Path

factory = preset_factory("faces-mtcnn", Path())
classifier, other = factory.make(), factory.make()
pictures = np.load(sys.argv[1])
found = [classifier.classify([pictures[key]])[0] for key in pictures]
assert found[0] == other.classify([pictures["face"]])[0]
print(json.dumps({"model": classifier.model, "found": [
    [[face.label, face.confidence, face.box, face.landmarks, face.scores] for face in faces] for faces in found]}))
"""


def test_mtcnn_finds_faces_with_five_landmarks(tmp_path: Path) -> None:
    face = person()
    large = cv2.resize(face, None, fx=4, fy=4)
    np.savez(tmp_path / "p.npz", face=face, large=large, grey=np.full((9, 200, 3), 99, np.uint8))
    command = [sys.executable, "-c", MTCNN, str(tmp_path / "p.npz")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert re.fullmatch(r"faces-mtcnn@1-[0-9a-f]{8}", answer["model"])
    *faces, nothing = answer["found"]
    assert nothing == []
    for scale, found in zip((1, 4), faces, strict=True):
        label, confidence, (x, y, width, height), landmarks, scores = found[0]
        assert label == "face"
        assert confidence > 0.9
        assert scores == [["face", confidence]]
        assert (x / scale, y / scale) == pytest.approx((180, 80), abs=30)
        left_eye, right_eye, nose, left_corner, right_corner = landmarks
        assert all(x < at[0] < x + width and y < at[1] < y + height for at in landmarks)
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_corner[0] < right_corner[0]
        assert left_eye[1] < nose[1] < left_corner[1]

    _, confidence, box, landmarks, _ = faces[0][0]
    drawn = annotated(face, [Detection("face", confidence, Box(*box), landmarks)])
    assert {tuple(drawn[round(y), round(x)]) for x, y in landmarks} == {colour_of("face")}
