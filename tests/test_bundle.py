"""A folder with a trained model is served only when all of it is as it was sealed, and fits together."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles import COLOURS, Made
from framewatch.errors import BadBundle
from framewatch.vision.models.bundle import Manifest, load_bundle, seal_bundle, write_labels
from framewatch.vision.models.inputs import InputSpec

SPEC = InputSpec(height=24, width=32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle of files that are no model: nothing here runs one."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.keras", "model.xml", "model.bin", "model.tflite"):
        (folder / name).write_bytes(name.encode() * 100)
    write_labels(folder, COLOURS)
    seal_bundle(folder, Manifest(name="colours", architecture="cnn", input=SPEC, files={}))
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(BadBundle) as error:
        load_bundle(folder)
    said = str(error.value)
    assert "\n" not in said
    assert said.startswith(f"{folder}: ")
    return said.removeprefix(f"{folder}: ")


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / "bundle.json").read_text())
    change(manifest)
    (folder / "bundle.json").write_text(json.dumps(manifest))


def reseal(folder: Path, name: str) -> None:
    """As somebody would who changes a file and its hash with it."""
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    edit(folder, lambda manifest: manifest["files"].update({name: digest}))


def test_a_sealed_folder_loads_with_its_labels_in_order(folder: Path) -> None:
    bundle = load_bundle(folder)
    assert bundle.labels == COLOURS
    assert bundle.manifest.input == SPEC
    assert set(bundle.manifest.files) == {"label_map.json", "model.keras", "model.xml", "model.bin", "model.tflite"}
    assert bundle.content("model.bin") == b"model.bin" * 100


def test_the_name_of_a_model_changes_with_every_file(folder: Path) -> None:
    before = load_bundle(folder).model
    assert before.startswith("colours@")
    (folder / "card.md").write_text("# More is known about it now\n")
    assert seal_bundle(folder, load_bundle(folder).manifest).model != before


def test_more_than_ten_labels_stay_in_index_order(folder: Path) -> None:
    labels = tuple(f"label {index}" for index in range(12))
    write_labels(folder, labels)
    assert seal_bundle(folder, load_bundle_manifest(folder)).labels == labels


def load_bundle_manifest(folder: Path) -> Manifest:
    return Manifest.model_validate_json((folder / "bundle.json").read_text())


def test_hidden_files_are_not_sealed(folder: Path) -> None:
    (folder / ".DS_Store").write_text("left by a file manager")
    assert ".DS_Store" not in seal_bundle(folder, load_bundle_manifest(folder)).manifest.files


@pytest.mark.parametrize("name", ["model.keras", "model.xml", "model.bin", "model.tflite", "label_map.json"])
def test_any_changed_file_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    assert refusal(folder).startswith(f"{name} is damaged or was changed")


@pytest.mark.parametrize("name", ["model.keras", "model.xml", "model.bin", "model.tflite", "label_map.json"])
def test_any_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert refusal(folder) == f"{name} is missing"


def test_a_file_changed_after_the_check_is_not_served(folder: Path) -> None:
    bundle = load_bundle(folder)
    (folder / "model.bin").write_bytes(b"something else")
    with pytest.raises(BadBundle, match=r"model\.bin is damaged or was changed"):
        bundle.content("model.bin")


def test_a_file_that_was_not_sealed_is_not_served(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["files"].pop("model.tflite"))
    with pytest.raises(BadBundle, match=r"no model\.tflite in this bundle"):
        load_bundle(folder).content("model.tflite")


def test_what_is_no_bundle_is_told_what_one_is(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == "no such folder"
    assert "not a bundle made by `framewatch train`" in refusal(tmp_path)
    for name, words in {"model.h5": "can run code", "model.HDF5": "can run code", "model.keras": "a folder"}.items():
        (tmp_path / name).write_bytes(b"x")
        assert words in refusal(tmp_path / name)


@pytest.mark.parametrize("version", [0, 2, "1", None, [1], True, 1.0])
def test_another_format_version_is_refused(folder: Path, version: object) -> None:
    edit(folder, lambda manifest: manifest.update(format_version=version))
    assert refusal(folder) == f"format version {version!r}; this Framewatch reads 1"


@pytest.mark.parametrize("name", ["model.h5", "weights.HDF5"])
def test_hdf5_inside_a_bundle_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x89HDF")
    reseal(folder, name)
    assert refusal(folder).startswith(f"{name}: HDF5 models can run code")


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "/etc/passwd",
        "sub/model.bin",
        "..",
        ".",
        "",
        "..\\secret",
        "C:secret",
        ".hidden",
        "a\0b",
        "a" * 200,
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_text("x")
    edit(folder, lambda manifest: manifest["files"].update({name: hashlib.sha256(b"x").hexdigest()}))
    assert "cannot be a file of the folder" in refusal(folder)


def test_a_pipe_or_folder_in_the_place_of_a_file_does_not_block(folder: Path) -> None:
    (folder / "model.bin").unlink()
    os.mkfifo(folder / "model.bin")
    assert refusal(folder) == "model.bin is no file"
    (folder / "model.bin").unlink()
    (folder / "model.bin").mkdir()
    assert refusal(folder) == "model.bin is no file"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\udce4", "is not JSON"),
        ("[]", "format version None"),
        ('{"format_version": 1}', "name: Field required"),
        (" " * (1 << 20) + " ", "larger than"),
    ],
)
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str, words: str) -> None:
    (folder / "bundle.json").write_bytes(text.encode(errors="surrogateescape"))
    assert words in refusal(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../x"),
        ("name", ""),
        ("subject", "hand"),
        ("margin", 7),
        ("margin", float("nan")),
        ("input", {"height": 0, "width": 32}),
        ("input", {"height": 32, "width": 32, "channels": 4}),
        ("input", {"height": 32, "width": 32, "frames": 10_000}),
        ("files", {"label_map.json": "abc"}),
        ("files", {}),
        ("unheard_of", 1),
    ],
)
def test_a_manifest_with_a_value_that_cannot_be_is_refused(folder: Path, field: str, value: object) -> None:
    edit(folder, lambda manifest: manifest.update({field: value}))
    assert refusal(folder).startswith("bundle.json")


@pytest.mark.parametrize(
    "labels",
    [
        "[]",
        "{}",
        "null",
        '{"0": "red"}',
        '{"0": "red", "2": "blue"}',
        '{"1": "red", "2": "blue"}',
        '{"0": "red", "1": "red"}',
        '{"0": "red", "1": ""}',
        '{"0": "red", "1": "  "}',
        '{"0": "red", "1": 7}',
        '{"0": "red", "1": "bl\\u0000ue"}',
        '{"0": "red", "1": "\\ud800"}',
        json.dumps({"0": "red", "1": "b" * 101}),
    ],
)
def test_labels_that_are_none_are_refused(folder: Path, labels: str) -> None:
    (folder / "label_map.json").write_text(labels)
    reseal(folder, "label_map.json")
    assert refusal(folder).startswith("label_map.json")


def test_a_bundle_made_by_training_can_be_moved(bundles: Made, tmp_path: Path) -> None:
    shutil.copytree(bundles["colours"], tmp_path / "elsewhere")
    assert load_bundle(tmp_path / "elsewhere").model == bundles.load("colours").model
