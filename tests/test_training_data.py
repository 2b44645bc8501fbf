"""Labelled pictures of any kind become arrays, once; no picture stands on two sides; nothing odd ends it late."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.TiffImagePlugin
import pytest

from conftest import REPOSITORY
from framewatch.errors import BadPicture, DataError
from framewatch.training.data.labelled import LabelledData, load_data
from framewatch.training.data.samples import Sample
from framewatch.training.data.split import split
from framewatch.vision.images import OF_ONES_OWN, read_picture
from framewatch.vision.models.inputs import InputSpec
from labelled import SMALL, bgr, encoded, pattern, photo, put, put_class, smoking
from s3 import ObjectStore


def load(source: Path | str, work: Path, seed: int = 1, spec: InputSpec = SMALL, **more: Any) -> LabelledData:
    return load_data(str(source), spec, work, seed, **more)


def by_name(data: LabelledData) -> dict[str, tuple[str, str]]:
    """Label and part of each picture."""
    return {
        name: (data.labels[target], part)
        for part, its in data.parts.items()
        for name, target in zip(its.names, its.targets, strict=True)
    }


def contents(data: LabelledData) -> dict[str, set[bytes]]:
    return {
        part: {hashlib.sha256(picture.tobytes()).digest() for picture in its.pictures}
        for part, its in data.parts.items()
    }


def on_two_sides(data: LabelledData) -> set[bytes]:
    of_part = list(contents(data).values())
    return {content for i, one in enumerate(of_part) for other in of_part[i + 1 :] for content in one & other}


# Arrays


def test_a_folder_set_becomes_three_parts_of_prepared_pictures(tmp_path: Path) -> None:
    data = load(smoking(tmp_path / "set", each=20), tmp_path / "work")
    assert data.labels == ("NotSmoking", "Smoking")
    assert {name: len(part) for name, part in data.parts.items()} == {"train": 28, "validation": 6, "test": 6}
    for part in data.parts.values():
        assert part.pictures.shape == (len(part), 16, 16, 3)
        assert part.pictures.dtype == np.uint8
        assert part.targets.dtype == np.int64
        for picture, name in zip(part.pictures, part.names, strict=True):
            number = int(Path(name).stem)
            expected = SMALL.prepared(bgr(pattern(number)))
            assert np.array_equal(picture, expected), name
    assert {label for label, _ in by_name(data).values()} == set(data.labels)
    assert all(name.startswith(f"{label}/") for name, (label, _) in by_name(data).items())
    assert data.notes == ["split off train with seed 1: 6 test, 6 validation; 28 train are left"]
    assert data.seed == 1


def test_the_same_seed_gives_the_same_parts_and_another_one_others(tmp_path: Path) -> None:
    source = smoking(tmp_path / "set")
    first = by_name(load(source, tmp_path / "one", seed=5))
    assert by_name(load(source, tmp_path / "two", seed=5)) == first
    assert by_name(load(source, tmp_path / "one", seed=6)) != first


def test_a_sequence_has_its_frames_before_the_height(tmp_path: Path) -> None:
    data = load(smoking(tmp_path / "set", 4), tmp_path / "work", spec=InputSpec(height=8, width=9, frames=5))
    assert data.parts["train"].pictures.shape[1:] == (5, 8, 9, 3)
    assert np.array_equal(data.parts["train"].pictures[:, 0], data.parts["train"].pictures[:, 4])


# Pictures of every kind


def of_mode(mode: str) -> PIL.Image.Image:
    return PIL.Image.fromarray(photo()).convert(mode)


def saved(image: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def turned(orientation: int) -> bytes:
    """The photo stored lying on its side, with the tag that says so."""
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return saved(of_mode("RGB").transpose(PIL.Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)


def clear_alpha() -> bytes:
    image = of_mode("RGBA")
    image.putalpha(255)
    return saved(image, "PNG")


def grey_files() -> dict[str, bytes]:
    return {
        "grey.jpg": saved(of_mode("L"), "JPEG", quality=95),
        "grey.png": saved(of_mode("L"), "PNG"),
        "sixteen.png": saved(PIL.Image.fromarray(np.asarray(of_mode("L")).astype(np.uint16) * 257), "PNG"),
        "sixteen.tif": saved(PIL.Image.fromarray(np.asarray(of_mode("L")).astype(np.uint16) * 257), "TIFF"),
        "la.png": saved(of_mode("LA"), "PNG"),
    }


def coloured_files() -> dict[str, bytes]:
    return {
        "plain.jpg": saved(of_mode("RGB"), "JPEG", quality=95),
        "progressive.jpg": saved(of_mode("RGB"), "JPEG", quality=95, progressive=True),
        "cmyk.jpg": saved(of_mode("CMYK"), "JPEG", quality=95),
        "palette.png": saved(PIL.Image.fromarray(photo()).quantize(256), "PNG"),
        "alpha.png": clear_alpha(),
        "plain.bmp": saved(of_mode("RGB"), "BMP"),
        "plain.tiff": saved(of_mode("RGB"), "TIFF"),
        "cmyk.tif": saved(of_mode("CMYK"), "TIFF"),
        "plain.webp": saved(of_mode("RGB"), "WEBP", quality=95),
        "plain.gif": saved(of_mode("RGB"), "GIF"),
        "moving.gif": saved(of_mode("RGB"), "GIF", save_all=True, append_images=[PIL.Image.new("RGB", (512, 512))]),
        "moving.webp": saved(of_mode("RGB"), "WEBP", save_all=True, append_images=[PIL.Image.new("RGB", (512, 512))]),
        "turned.jpg": turned(6),
        "large.jpg": saved(of_mode("RGB").resize((3000, 3000)), "JPEG", quality=90),
        "png-inside.jpg": saved(of_mode("RGB"), "PNG"),
    }


def test_pictures_that_stand_as_numbers_are_sequences_of_equal_frames(tmp_path: Path) -> None:
    pictures = np.arange(200, dtype=np.uint8).reshape(10, 20, 1).repeat(20, axis=2)
    np.savez(tmp_path / "set.npz", x_test=pictures, y_test=[0, 1] * 5, labels=["a", "b"])
    rows = [f"{i % 2},{' '.join(map(str, picture.ravel()))},PrivateTest" for i, picture in enumerate(pictures)]
    put(tmp_path / "set.csv", "\n".join(["emotion,pixels,Usage", *rows]))
    for name in ("set.npz", "set.csv"):
        spec = InputSpec(height=20, width=20, channels=1, frames=3)
        test = load(tmp_path / name, tmp_path / name[4:], spec=spec, learn=False).parts["test"]
        assert np.array_equal(test.pictures, np.stack([pictures[..., None]] * 3, axis=1))


def test_pictures_of_every_kind_are_seen_as_they_are_meant(tmp_path: Path) -> None:
    files = {"grey": grey_files(), "coloured": coloured_files()}
    for kind, contents in files.items():
        for name, content in contents.items():
            put(tmp_path / "set" / kind / name, content)
    spec = InputSpec(height=32, width=32)
    data = load(tmp_path / "set", tmp_path / "work", spec=spec)
    assert data.skipped == ()
    coloured = spec.prepared(bgr(photo())).astype(int)
    grey = spec.prepared(np.asarray(of_mode("L").convert("RGB"))).astype(int)
    seen = {}
    for part in data.parts.values():
        for name, picture in zip(part.names, part.pictures, strict=True):
            meant = grey if name.startswith("grey") else coloured
            seen[name] = float(abs(picture.astype(int) - meant).mean())
    assert len(seen) == sum(map(len, files.values()))
    assert {name: off for name, off in seen.items() if off > 4} == {}


def pages(count: int) -> bytes:
    more = [PIL.Image.new("RGB", (32, 32), (i, 0, 0)) for i in range(count - 1)]
    return saved(PIL.Image.new("RGB", (32, 32), (0, 0, 200)), "TIFF", save_all=True, append_images=more)


def test_of_many_pages_the_first_is_read_and_no_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def n_frames(_file: object) -> int:
        raise AssertionError("pages were counted")

    monkeypatch.setattr(PIL.TiffImagePlugin.TiffImageFile, "n_frames", property(n_frames))
    one, many = pages(1), pages(20)
    for content, several in ((one, False), (many, True), (many[: len(one) + 64], True)):
        picture = read_picture(content, OF_ONES_OWN)
        assert (picture.several, picture.image[0, 0].tolist()) == (several, [200, 0, 0])


def clear_bmp(alpha: int) -> bytes:
    """32 bits with a mask for what is clear (BITMAPV4HEADER), grey 120."""
    head = struct.pack(
        "<IiiHHIIiiII4I", 108, 8, 8, 1, 32, 3, 8 * 8 * 4, 0, 0, 0, 0, 0xFF0000, 0xFF00, 0xFF, 0xFF << 24
    )
    body = head.ljust(108, b"\0") + bytes([120, 120, 120, alpha]) * 64
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 14 + 108) + body


@pytest.mark.parametrize(("alpha", "seen"), [(0, 120), (255, 120), (128, 187)])
def test_a_bmp_that_would_be_wholly_clear_is_seen(alpha: int, seen: int) -> None:
    for side in (4, 8):
        picture = read_picture(clear_bmp(alpha), OF_ONES_OWN, max_side=side)
        assert (picture.mode, picture.image[0, 0].tolist()) == ("RGBA", [seen] * 3)


def png_with(name: bytes, body: bytes, crc: int | None = None) -> bytes:
    """A picture with one more chunk behind its header."""
    whole, crc = encoded(pattern(1)), zlib.crc32(name + body) if crc is None else crc
    return whole[:33] + struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc) + whole[33:]


@pytest.mark.parametrize(
    "content",
    [
        png_with(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000))),
        png_with(b"tEXt", b"Comment\0no harm", crc=1),
        encoded(pattern(1))[:20],
        encoded(pattern(1), "WEBP")[:20],
        b"GIF89a",
    ],
)
def test_what_is_a_picture_by_its_first_bytes_and_cannot_be_read_is_damaged(content: bytes) -> None:
    with pytest.raises(BadPicture) as error:
        read_picture(content, OF_ONES_OWN)
    assert error.value.reason == "damaged"


def bomb() -> bytes:
    """A PNG of a few bytes that says it is 60000x60000."""
    content = bytearray(encoded(pattern(1)))
    content[16:24] = (60000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def test_what_is_broken_is_listed_and_skipped(tmp_path: Path) -> None:
    source = smoking(tmp_path / "set")
    whole = encoded(photo(), "JPEG")
    broken = {
        "bomb.png": bomb(), "cut.jpg": whole[: len(whole) // 2], "cut.png": encoded(photo())[:5000], "empty.jpg": b"",
        "text.jpg": b"this is no picture", "page.jpg": b"<html>404</html>", "noise.jpg": whole[:200] + b"\0" * 3000,
        "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "zeros.png": bytes(9999),
    }  # fmt: skip
    for name, content in broken.items():
        put(source / "Smoking" / name, content)
    data = load(source, tmp_path / "work")
    reasons = dict(data.skipped)
    assert {Path(name).name for name in reasons} == set(broken)
    assert reasons["Smoking/bomb.png"].startswith("too-many-pixels: ")
    assert reasons["Smoking/empty.jpg"].startswith("not-a-picture")
    assert reasons["Smoking/cut.jpg"].startswith("damaged")
    assert sum(map(len, data.parts.values())) == 20
    assert data.notes[-1].startswith("9 skipped: Smoking/bomb.png: too-many-pixels")


def test_data_that_nothing_can_be_learned_of_are_refused_in_one_line(tmp_path: Path) -> None:
    work = tmp_path / "work"
    put_class(tmp_path / "one" / "set" / "a", 0, 3)
    with pytest.raises(DataError, match=r"all pictures are of one class, 'set'.* name it: .*/one/set$"):
        load(tmp_path / "one", work)
    put(tmp_path / "one" / "l.csv", "file,label\n0.png,x\n")
    with pytest.raises(DataError, match=r"l\.csv: all pictures are of one class, 'x': at least two are needed$"):
        load(tmp_path / "one" / "l.csv", work)
    source = smoking(tmp_path / "bad", 3)
    for number in range(7):
        put(source / "Smoking" / f"bad{number}.jpg", b"x")
    with pytest.raises(DataError, match="7 of 13 pictures cannot be read"):
        load(source, work)
    source = smoking(tmp_path / "lost", 3)
    put(source / "Drinking" / "1.jpg", b"x")
    with pytest.raises(DataError, match="no picture of class Drinking can be read"):
        load(source, work)
    put_class(tmp_path / "single" / "a", 0, 1)
    put_class(tmp_path / "single" / "b", 1, 1)
    with pytest.raises(DataError, match="too few pictures"):
        load(tmp_path / "single", work)
    for first, (part, label) in enumerate((("train", "a"), ("train", "b"), ("test", "c"))):
        put_class(tmp_path / "untaught" / part / label, 10 * first, 4)
    with pytest.raises(DataError, match="no training picture of class c"):
        load(tmp_path / "untaught", work)
    for part, label in (("train", "a"), ("train", "b"), ("test", "c")):
        put_class(tmp_path / "leaked" / part / label, 0, 4)
    with pytest.raises(DataError, match="every picture of train stands in another part too"):
        load(tmp_path / "leaked", work)
    with pytest.raises(DataError, match="cannot be made"):
        load(smoking(tmp_path / "good"), put(tmp_path / "file", b"") / "work")


def test_names_of_any_bytes_do_no_harm_and_labels_must_be_text(tmp_path: Path) -> None:
    source = smoking(tmp_path / "set")
    for name, content in ((b"\xff.png", encoded(pattern(5000))), (b"\xfe\n.jpg", b"broken")):
        put(source / "Smoking" / os.fsdecode(name), content)
    data = load(source, tmp_path / "work")
    assert "Smoking/\\udcff.png" in by_name(data)
    assert data.skipped[0][0] == "Smoking/\\udcfe\n.jpg"
    assert all(note.isprintable() for note in data.notes)
    put(source / os.fsdecode(b"\xff") / "1.png", encoded(pattern(6000)))
    with pytest.raises(DataError, match="cannot be a label"):
        load(source, tmp_path / "work")


def test_data_only_to_measure_on_need_no_train(tmp_path: Path) -> None:
    put_class(tmp_path / "set" / "test" / "Smoking", 0, 3)
    data = load(tmp_path / "set", tmp_path / "work", learn=False)
    assert {name: len(part) for name, part in data.parts.items()} == {"test": 3}
    for work in ("work", "another"):
        with pytest.raises(DataError, match="no training pictures"):
            load(tmp_path / "set", tmp_path / work)


def test_all_pictures_can_be_one_part_to_measure_on(tmp_path: Path) -> None:
    source = tmp_path / "set"
    put_class(source / "train" / "a", 0, 3)
    put_class(source / "test" / "a", 2, 2)
    data = load(source, tmp_path / "work", whole="all", learn=False)
    assert {name: len(part) for name, part in data.parts.items()} == {"all": 5}
    assert data.labels == ("a",)


# The split


GIVEN: list[list[str | None]] = [[None], ["train"], ["train", "test"], ["train", "validation", "test", "extra"]]


@pytest.mark.parametrize("trial", range(60))
def test_no_picture_is_ever_on_two_sides(trial: int) -> None:
    random = np.random.default_rng(trial)
    parts = GIVEN[trial % len(GIVEN)]
    count = int(random.integers(12, 300))
    samples = [
        Sample(str(i), f"class{random.integers(0, 4)}", parts[int(random.integers(len(parts)))]) for i in range(count)
    ]
    hashes = [hashlib.sha256(bytes([n % 256])).digest() for n in random.integers(0, max(6, count // 2), count)]
    given, notes = split(samples, hashes, seed=trial)
    sides: dict[bytes, set[str]] = {}
    for content, part in zip(hashes, given, strict=True):
        sides.setdefault(content, set()).update({part} if part else set())
    assert all(len(its) == 1 for its in sides.values()), "on two sides, or lost on all of them"
    assert split(samples, hashes, seed=trial) == (given, notes)
    for sample, part in zip(samples, given, strict=True):
        assert sample.part not in {"test", "validation", "extra"} or part in {sample.part, None}
    if trial % 4 < 3:
        assert {"train", "validation", "test"} <= set(given)


def test_equal_pixels_stay_together_whatever_the_file(tmp_path: Path) -> None:
    source = tmp_path / "set"
    for number in range(12):
        for kind in ("PNG", "BMP", "TIFF"):
            put(source / "ab"[number % 2] / f"{number}.{kind.lower()}", encoded(pattern(number), kind))
    for seed in range(6):
        data = load(source, tmp_path / "work", seed=seed)
        sides: dict[str, set[str]] = {}
        for name, (_, part) in by_name(data).items():
            sides.setdefault(Path(name).stem, set()).add(part)
        assert len(sides) == 12
        assert all(len(its) == 1 for its in sides.values())
        assert {"train", "validation", "test"} == set(data.parts)
        assert on_two_sides(data) == set()


def test_what_stands_in_a_test_leaves_the_other_parts_and_is_counted(tmp_path: Path) -> None:
    source = tmp_path / "set"
    for part, numbers in (("train", range(20)), ("val", range(16, 26)), ("test", (0, 17, 24, 30))):
        for number in numbers:
            put(source / part / "ab"[number % 2] / f"{number}.png", encoded(pattern(number)))
    data = load(source, tmp_path / "work")
    left = {part: sorted(int(Path(name).stem) for name in its.names) for part, its in data.parts.items()}
    assert left["test"] == [0, 17, 24, 30]
    assert left["validation"] == [16, 18, 19, 20, 21, 22, 23, 25]
    assert left["train"] == list(range(1, 16))
    assert data.notes == [
        "2 pictures of train left out that also stand in test",
        "3 pictures of train left out that also stand in validation",
        "2 pictures of validation left out that also stand in test",
    ]


def test_a_part_that_is_measured_on_loses_nothing_to_a_test(tmp_path: Path) -> None:
    source = tmp_path / "set"
    for part, numbers in (("train", range(20)), ("val", range(16, 26)), ("test", (0, 17, 24, 30))):
        for number in numbers:
            put(source / part / "ab"[number % 2] / f"{number}.png", encoded(pattern(number)))
    data = load(source, tmp_path / "work", whole="validation")
    assert {part: len(its) for part, its in data.parts.items()} == {"validation": 10, "test": 2, "train": 15}


def test_a_validation_part_is_split_off_where_only_train_and_test_are_given(tmp_path: Path) -> None:
    put_class(tmp_path / "set" / "train" / "a", 0, 20)
    put_class(tmp_path / "set" / "train" / "b", 100, 40)
    put_class(tmp_path / "set" / "test" / "a", 200, 2)
    data = load(tmp_path / "set", tmp_path / "work")
    counts = {part: np.bincount(its.targets, minlength=2).tolist() for part, its in data.parts.items()}
    assert counts == {"train": [17, 34], "validation": [3, 6], "test": [2, 0]}


def test_a_picture_that_is_there_a_hundred_times_is_not_all_there_is_to_test() -> None:
    samples = [Sample(str(i), "a") for i in range(200)]
    hashes = [hashlib.sha256(bytes([max(0, i - 99)])).digest() for i in range(200)]
    for seed in range(20):
        parts, _ = split(samples, hashes, seed)
        assert set(parts[:100]) == {"train"}
        assert (parts.count("test"), parts.count("validation")) == (30, 30)


def test_a_picture_under_two_labels_is_named(tmp_path: Path) -> None:
    source = smoking(tmp_path / "set")
    put(source / "Smoking" / "again.png", encoded(pattern(1003)))
    notes = load(source, tmp_path / "work").notes
    assert any(note.startswith("1 pictures stand under several labels: ") for note in notes)
    assert any("again.png (Smoking)" in note and "1003.png (NotSmoking)" in note for note in notes)


# Once only


class Told:
    """What progress was told; may end it all."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.calls: list[tuple[int, int]] = []
        self.stop_at = stop_at

    def __call__(self, done: int, total: int) -> None:
        self.calls.append((done, total))
        if self.stop_at is not None and done >= self.stop_at:
            raise KeyboardInterrupt


def test_a_second_start_decodes_nothing(tmp_path: Path) -> None:
    source, work, told = smoking(tmp_path / "set"), tmp_path / "work", Told()
    first = load(source, work, progress=told)
    assert told.calls == [(20, 20)]
    second = load(source, work, progress=told)
    assert told.calls == [(20, 20)]
    assert by_name(second) == by_name(first)
    assert (second.notes, second.labels, second.skipped) == (first.notes, first.labels, first.skipped)
    assert all(np.array_equal(second.parts[name].pictures, first.parts[name].pictures) for name in first.parts)
    load(source, work, spec=InputSpec(height=16, width=16, channels=1), progress=told)
    load(source, work, seed=2, progress=told)
    assert len(told.calls) == 3


def test_a_changed_source_is_read_anew_and_what_is_in_use_stays_as_it_was(tmp_path: Path) -> None:
    source, work, told = smoking(tmp_path / "set"), tmp_path / "work", Told()
    before = load(source, work).parts["train"]
    kept = before.pictures.copy()
    put_class(source / "Smoking", 500, 10)
    after = load(source, work, progress=told)
    assert told.calls == [(30, 30)]
    assert sum(map(len, after.parts.values())) == 30
    assert np.array_equal(before.pictures, kept)
    assert len([path for path in work.iterdir() if path.is_dir()]) == 1


def test_a_run_that_was_killed_leaves_nothing_half_made(tmp_path: Path) -> None:
    source, work = smoking(tmp_path / "set"), tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        load(source, work, progress=Told(stop_at=1))
    data = load(source, work)
    assert sum(map(len, data.parts.values())) == 20
    (next(work.glob("data-*/")) / "train.npy").unlink()
    assert len(load(source, work).parts["train"]) == len(data.parts["train"])
    (next(work.glob("data-*/")) / "parts.json").write_text("{")
    assert by_name(load(source, work)) == by_name(data)


def test_memory_stays_small_however_many_pictures_there_are(tmp_path: Path) -> None:
    for number in range(1500):
        put(tmp_path / "set" / "ab"[number % 2] / f"{number}.png", encoded(pattern(number)))
    program = f"""
import os, resource, sys
if child := os.fork():  # the peak of a started program is at first that of who started it, a forked one has its own
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
sys.path.insert(0, {str(REPOSITORY / "src")!r})
from pathlib import Path
from framewatch.training.data.labelled import load_data
from framewatch.vision.models.inputs import InputSpec
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
data = load_data({str(tmp_path / "set")!r}, InputSpec(height=224, width=224), Path({str(tmp_path / "work")!r}))
print(peak() - before, sum(part.pictures.nbytes for part in data.parts.values()) >> 20)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    grown, arrays = map(int, done.stdout.split())
    assert arrays > 200
    assert grown < 110, f"{grown} MB for arrays of {arrays} MB"


# Other places


def test_the_bucket_of_a_lakehouse_gives_what_the_folder_gives(tmp_path: Path, s3: ObjectStore) -> None:
    rows, objects = ["filename,label"], {}
    for number in range(24):
        objects[f"training/Image_{number}.png"] = encoded(pattern(number))
        objects[f"test/Image_{number}.png"] = encoded(pattern(500 + number))
        objects[f"output/Image_{number}.png.json"] = b"{}"
        rows.append(f"Image_{number}.png,{'sitting' if number % 3 else 'running'}")
    objects["Training_set.csv"] = "\n".join(rows).encode()
    bucket = s3.bucket(objects)
    for name, content in objects.items():
        put(tmp_path / "lake" / name, content)
    local = load(tmp_path / "lake", tmp_path / "work")
    told = Told()
    for _ in range(2):
        remote = load(f"s3://{bucket}/", tmp_path / "work", access=s3.access, progress=told)
        assert by_name(remote) == by_name(local)
        assert contents(remote) == contents(local)
        assert remote.notes == local.notes
    assert told.calls == [(24, 24)]
    # Of another size: the store may tell times in whole seconds.
    s3.put(bucket, {"training/Image_3.png": encoded(pattern(999, 48, 64))})
    assert contents(load(f"s3://{bucket}", tmp_path / "work", access=s3.access)) != contents(local)


@pytest.mark.parametrize("table", ["Training_set.csv", "labels.csv"])
def test_a_bucket_of_training_and_test_is_read_by_the_table_in_training(
    tmp_path: Path, s3: ObjectStore, table: str
) -> None:
    objects = {f"training/{i}.png": encoded(pattern(i)) for i in range(12)}
    objects |= {f"test/{i}.png": encoded(pattern(50 + i)) for i in range(6)}
    rows = [f"{i}.png,{('sitting', 'running', 'sleeping')[i % 3]}" for i in range(12)]
    objects[f"training/{table}"] = "\n".join(["filename,label", *rows]).encode()
    data = load(f"s3://{s3.bucket(objects)}/", tmp_path / "work", access=s3.access)
    assert data.labels == ("running", "sitting", "sleeping")
    assert sum(map(len, data.parts.values())) == 12
    assert data.notes[0].startswith(f"6 pictures in no row of training/{table} left out: test/0.png")


def test_folders_and_fer2013_in_a_bucket(tmp_path: Path, s3: ObjectStore) -> None:
    source = smoking(tmp_path / "set", 4)
    files = {f"deep/er/{p.relative_to(source).as_posix()}": p.read_bytes() for p in source.rglob("*.png")}
    arrays = io.BytesIO()
    np.savez(arrays, x_test=np.zeros((2, 8, 8), np.uint8), y_test=[0, 1], labels=["a", "b"])
    bucket = s3.bucket({**files, "sets/fer.npz": arrays.getvalue()})
    data = load(f"s3://{bucket}/deep/er", tmp_path / "work", access=s3.access)
    assert by_name(data) == by_name(load(source, tmp_path / "work"))
    fer = load(f"s3://{bucket}/sets/fer.npz", tmp_path / "work", access=s3.access, learn=False)
    assert (fer.labels, len(fer.parts["test"])) == (("a", "b"), 2)
    with pytest.raises(DataError, match="no such object"):
        load(f"s3://{bucket}/sets/other.npz", tmp_path / "work", access=s3.access)


def test_fer2013_without_what_stands_on_both_sides(tmp_path: Path, data: Path) -> None:
    fer = load(data / "fer2013.npz", tmp_path, spec=InputSpec(height=48, width=48, channels=1))
    assert {name: len(part) for name, part in fer.parts.items()} == {"train": 28358, "validation": 3589}
    assert fer.notes[0] == "351 pictures of train left out that also stand in validation"
    assert on_two_sides(fer) == set()
    with np.load(data / "fer2013.npz") as file:
        assert np.array_equal(fer.parts["validation"].pictures[..., 0], file["x_validation"])
        assert np.array_equal(fer.parts["validation"].targets, file["y_validation"])
