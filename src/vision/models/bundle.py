"""A trained model as a folder: what it takes, what its answers mean, and the hash of every file in it.

    models/NAME/
      bundle.json      this module's Manifest: format version, input, subject, SHA-256 of each other file
      label_map.json   {"0": "Angry", …}: the label of each output, in index order
      model.keras      the model as Keras saved it, preprocessing inside
      model.xml/.bin   exported for OpenVINO
      model.tflite     exported for LiteRT
      card.md          how it was made, from what, how good it is, what it is not for
      …                metrics and plots

Nothing of a folder is used before every file has been checked against its hash.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from framewatch.errors import BadBundle
from framewatch.vision.models.inputs import InputSpec

FORMAT_VERSION: Final = 1
MANIFEST: Final = "bundle.json"
LABEL_MAP: Final = "label_map.json"
KERAS_FILE: Final = "model.keras"
OPENVINO_FILE: Final = "model.xml"
OPENVINO_WEIGHTS: Final = "model.bin"
LITERT_FILE: Final = "model.tflite"
CARD: Final = "card.md"

_MAX_MANIFEST: Final = 1 << 20
_MAX_MODEL: Final = 1 << 30
_MAX_LABEL: Final = 100
_HDF5: Final = (".h5", ".hdf5")
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,126}")  # of the folder itself, on any system
_HashText = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What ``bundle.json`` holds.

    Attributes:
        format_version: of this layout.
        name: of the model, as in the id of its events.
        architecture: that was trained, as in ``framewatch train ARCHITECTURE``.
        subject: what is shown to the model: the whole frame, or each face in it.
        margin: how much more of the picture than a face's box is shown, as a part of its sides; may be negative.
        input: the pictures it takes.
        files: SHA-256 of each file of the folder, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    architecture: str
    subject: Literal["frame", "face"] = "frame"
    margin: Annotated[float, Field(ge=-0.4, le=1.0)] = 0.0
    input: InputSpec
    files: dict[str, _HashText]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder that was checked.

    Attributes:
        folder: where it is.
        manifest: what it says of itself.
        labels: in the order of the model's outputs.
        content_hash: of the manifest, and so of everything in the folder.
    """

    folder: Path
    manifest: Manifest
    labels: tuple[str, ...]
    content_hash: str

    @property
    def model(self) -> str:
        """Name and content hash, as in the id of each event."""
        return f"{self.manifest.name}@{self.content_hash[:8]}"

    def content(self, name: str) -> bytes:
        """The file's bytes, checked again: what is served is what was checked, whatever happens to the folder.

        Raises:
            BadBundle: there is no such file in the manifest, or it was changed.
        """
        if name not in self.manifest.files:
            raise BadBundle(f"{self.folder}: there is no {name} in this bundle")
        content = _read(self.folder, name, _MAX_MODEL)
        if hashlib.sha256(content).hexdigest() != self.manifest.files[name]:
            raise _changed(self.folder, name)
        return content


def load_bundle(folder: Path) -> Bundle:
    """The bundle in the folder, all of it checked.

    Raises:
        BadBundle: the folder is none, or is damaged, of another format version, or holds what cannot be served.
    """
    _check_folder(folder)
    text = _read(folder, MANIFEST, _MAX_MANIFEST)
    manifest = _manifest(folder, text)
    for name, expected in manifest.files.items():
        _check_name(folder, name)
        if sha256_of(folder, name) != expected:
            raise _changed(folder, name)
    labels = _labels(folder)
    return Bundle(folder, manifest, labels, hashlib.sha256(text).hexdigest())


def seal_bundle(folder: Path, manifest: Manifest) -> Bundle:
    """Write the manifest over all files that are in the folder now, hidden ones excepted, and load the result.

    Args:
        folder: with the label map and the model's files in it.
        manifest: whose ``files`` are counted anew.
    """
    present = (path.name for path in folder.iterdir() if path.is_file())
    names = sorted(name for name in present if name != MANIFEST and not name.startswith("."))
    sealed = manifest.model_copy(update={"files": {name: sha256_of(folder, name) for name in names}})
    (folder / MANIFEST).write_text(sealed.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return load_bundle(folder)


def write_labels(folder: Path, labels: tuple[str, ...]) -> None:
    """The label map, index to label."""
    text = json.dumps({str(index): label for index, label in enumerate(labels)}, indent=2, ensure_ascii=False)
    (folder / LABEL_MAP).write_text(text + "\n", encoding="utf-8")


def sha256_of(folder: Path, name: str) -> str:
    """SHA-256 of a file of the folder, as hexadecimal digits.

    Raises:
        BadBundle: it cannot be read.
    """
    try:
        with _regular(folder, name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadBundle(f"{folder}: {name}: {error.strerror}") from None


def _check_folder(folder: Path) -> None:
    if folder.suffix.lower() in _HDF5:
        raise BadBundle(f"{folder}: {_why_no_hdf5()}; what is served is a folder made by `framewatch train`")
    if folder.is_file():
        raise BadBundle(f"{folder}: a bundle is a folder made by `framewatch train`, not a single file")
    if not folder.is_dir():
        raise BadBundle(f"{folder}: no such folder")
    if not (folder / MANIFEST).exists():
        raise BadBundle(f"{folder}: {MANIFEST} is missing: not a bundle made by `framewatch train`")


def _check_name(folder: Path, name: str) -> None:
    if not _FILE_NAME.fullmatch(name) or name == MANIFEST:
        raise BadBundle(f"{folder}: {MANIFEST} names {name[:80]!r}, which cannot be a file of the folder")
    if name.lower().endswith(_HDF5):
        raise BadBundle(f"{folder}: {name}: {_why_no_hdf5()}")


def _why_no_hdf5() -> str:
    return "HDF5 models can run code when they are loaded: save it anew as .keras"


def _changed(folder: Path, name: str) -> BadBundle:
    return BadBundle(f"{folder}: {name} is damaged or was changed: its SHA-256 is not the one in {MANIFEST}")


def _regular(folder: Path, name: str) -> Path:
    """The file's path. Opening a pipe would wait for ever, and a device never ends."""
    path = folder / name
    if not path.is_file():
        raise BadBundle(f"{folder}: {name} is {'no file' if path.exists() else 'missing'}")
    return path


def _read(folder: Path, name: str, at_most: int) -> bytes:
    try:
        with _regular(folder, name).open("rb") as file:
            content = file.read(at_most + 1)
    except OSError as error:
        raise BadBundle(f"{folder}: {name}: {error.strerror}") from None
    if len(content) > at_most:
        raise BadBundle(f"{folder}: {name} is larger than {at_most} bytes")
    return content


def _manifest(folder: Path, text: bytes) -> Manifest:
    try:
        raw = json.loads(text)
        version = raw.get("format_version") if isinstance(raw, dict) else None
        if type(version) is not int or version != FORMAT_VERSION:  # for Python, true is 1
            raise BadBundle(f"{folder}: format version {version!r}; this Framewatch reads {FORMAT_VERSION}")
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadBundle(f"{folder}: {MANIFEST}: {where}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise BadBundle(f"{folder}: {MANIFEST} is not JSON: {error}") from None
    if LABEL_MAP not in manifest.files:
        raise BadBundle(f"{folder}: {MANIFEST} names no {LABEL_MAP}")
    return manifest


def _labels(folder: Path) -> tuple[str, ...]:
    try:
        raw = json.loads(_read(folder, LABEL_MAP, _MAX_MANIFEST))
        labels = tuple(raw[str(index)] for index in range(len(raw)))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadBundle(f'{folder}: {LABEL_MAP} is not {{"0": label, "1": label, …}}') from None
    if len(labels) < 2:
        raise BadBundle(f"{folder}: {LABEL_MAP}: {len(labels)} labels: needs two or more")
    for label in labels:
        if not (isinstance(label, str) and label.strip() and label.isprintable() and len(label) <= _MAX_LABEL):
            raise BadBundle(
                f"{folder}: {LABEL_MAP}: {str(label)[:80]!r} is no label: text of at most {_MAX_LABEL} characters"
            )
    if len(set(labels)) != len(labels):
        raise BadBundle(f"{folder}: {LABEL_MAP}: the same label twice")
    return labels
