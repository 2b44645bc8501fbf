"""What is in labelled pictures is counted, drawn and named before a model is trained on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from conftest import REPOSITORY
from framewatch.cli import main
from framewatch.errors import DataError
from framewatch.objects.base import Access
from heavy import explore, overview
from labelled import encoded, pattern, photo, put, put_class
from s3 import ObjectStore

FILES = {"class_distribution.png", "dataset_summary.txt", "samples.png"}


def mixed(folder: Path) -> Path:
    """Two parts of two classes with everything in them that one wants to hear of."""
    put_class(folder / "train" / "Smoking", 0, 6)
    put_class(folder / "train" / "NotSmoking", 100, 3)
    put_class(folder / "test" / "Smoking", 200, 2)
    smoking = folder / "train" / "Smoking"
    put(smoking / "photo.jpg", encoded(photo(), "JPEG"))
    put(smoking / "again.bmp", encoded(pattern(0), "BMP"))  # the same pixels as 0.png
    put(folder / "train" / "NotSmoking" / "torn.png", encoded(pattern(1)))  # as Smoking/1.png
    put(folder / "test" / "Smoking" / "leaked.png", encoded(pattern(2)))  # as train/Smoking/2.png
    put(smoking / "black.png", encoded(np.zeros((40, 40, 3), np.uint8)))
    put(smoking / "long.png", encoded(pattern(3, 24, 400)))
    put(smoking / "tiny.png", encoded(pattern(4, 8, 8)))
    put(smoking / "cut.jpg", encoded(photo(), "JPEG")[:3000])
    put(smoking / "text.jpg", b"text")
    put(smoking / "readme.md", b"text")
    return folder


def look(source: Path | str) -> explore.Explored:
    return explore.explore(str(source), Access())


def test_counts_sizes_formats_and_colours(tmp_path: Path) -> None:
    overview = look(mixed(tmp_path)).overview
    assert overview.labels == ["NotSmoking", "Smoking"]
    assert overview.counts == {"train": {"NotSmoking": 4, "Smoking": 11}, "test": {"NotSmoking": 0, "Smoking": 3}}
    assert overview.pictures == 18
    assert overview.imbalance == 14 / 4
    assert overview.width is not None
    assert overview.height is not None
    assert (overview.width.min, overview.width.median, overview.width.max) == (8, 32, 512)
    assert (overview.height.min, overview.height.median, overview.height.max) == (8, 24, 512)
    assert overview.formats == {"PNG": 16, "JPEG": 1, "BMP": 1}
    assert overview.modes == {"RGB": 18}
    assert overview.notes == ["1 files left out that are no pictures by name: 1 x .md"]


def test_duplicates_are_found_by_pixels_within_and_across_parts_and_labels(tmp_path: Path) -> None:
    found = look(mixed(tmp_path)).overview.duplicates
    assert (found.groups, found.pictures, found.groups_across_parts, found.groups_across_labels) == (3, 6, 1, 1)
    assert found.shown[0].labels == ["NotSmoking", "Smoking"]
    assert set(found.shown[1].names) == {"test/Smoking/leaked.png", "train/Smoking/2.png"}
    assert set(found.shown[2].names) == {"train/Smoking/0.png", "train/Smoking/again.bmp"}


def test_odd_and_broken_pictures_are_named(tmp_path: Path) -> None:
    overview = look(mixed(tmp_path)).overview
    assert {each.name: each.what for each in overview.odd_pictures} == {
        "train/Smoking/black.png": "of one colour",
        "train/Smoking/long.png": "very long",
        "train/Smoking/tiny.png": "very small",
    }
    assert overview.odd == {"of one colour": 1, "very long": 1, "very small": 1}
    reasons = {each.name: each.what.partition(":")[0] for each in overview.skipped}
    assert reasons == {"train/Smoking/cut.jpg": "damaged", "train/Smoking/text.jpg": "not-a-picture"}


def test_unusual_colours_and_tags_are_named(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    image = PIL.Image.fromarray(photo())
    (tmp_path / "a").mkdir()
    image.convert("CMYK").save(tmp_path / "a" / "cmyk.jpg")
    image.convert("RGBA").save(tmp_path / "a" / "alpha.png")
    image.save(tmp_path / "a" / "turned.jpg", exif=exif)
    image.save(tmp_path / "a" / "moving.gif", save_all=True, append_images=[image.rotate(90)])
    PIL.Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16).save(tmp_path / "a" / "deep.png")
    assert {each.name: each.what for each in look(tmp_path).overview.odd_pictures} == {
        "a/cmyk.jpg": "CMYK",
        "a/alpha.png": "transparent",
        "a/turned.jpg": "turned by its tag",
        "a/moving.gif": "first of several pictures",
        "a/deep.png": "16 bits",
    }


def test_the_files_are_written_and_can_be_opened(tmp_path: Path) -> None:
    explored = look(mixed(tmp_path / "set"))
    paths = explore.write_overview(explored, tmp_path / "deep" / "out")
    assert {path.name for path in paths} == FILES
    for path in paths:
        if path.suffix == ".png":
            with PIL.Image.open(path) as image:
                assert image.width > 300
                assert np.asarray(image.convert("L")).std() > 5
    text = (tmp_path / "deep" / "out" / "dataset_summary.txt").read_text()
    assert text == overview.summary(explored.overview)
    for said in (
        "pictures  18, 2 labels, 2 skipped",
        f"{'NotSmoking':<12}{4:>12}{0:>12}{4:>12}    22.2%",
        "imbalance 3.50",
        "width     8 to 512 pixels, median 32",
        "duplicates: 3 groups of equal pixels, 6 pictures in them; 1 across parts, 1 across labels",
        "train/Smoking/black.png: of one colour",
        "train/Smoking/text.jpg: not-a-picture: ",
    ):
        assert said in text
    with pytest.raises(DataError, match="cannot be written"):
        explore.write_overview(explored, put(tmp_path / "file", b"") / "out")


def test_many_classes_with_odd_names_are_still_drawn(tmp_path: Path) -> None:
    for number in range(70):
        put(
            tmp_path / "set" / f"$class_{number}^{{2}} 课堂 {'x' * (number % 50)}" / "1.png", encoded(pattern(number))
        )
    explored = look(tmp_path / "set")
    assert len(explored.overview.labels) == 70
    assert all(path.stat().st_size > 1000 for path in explore.write_overview(explored, tmp_path / "out"))


def test_a_source_without_a_picture_that_can_be_read_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.jpg", b"text")
    with pytest.raises(DataError, match=r"no labelled picture that can be read: a/1[.]jpg: not-a-picture"):
        look(tmp_path)


def test_fer2013_as_its_readme_says_it_is(data: Path) -> None:
    overview = look(data / "fer2013.npz").overview
    assert {part: sum(counts.values()) for part, counts in overview.counts.items()} == {
        "train": 28709, "validation": 3589,
    }  # fmt: skip
    assert overview.duplicates.groups_across_parts == 270  # of 557 across all three of its official parts
    assert overview.odd == {"of one colour": 12}


def test_the_command_says_what_it_found_in_a_bucket_and_needs_no_tensorflow(tmp_path: Path, s3: ObjectStore) -> None:
    source = mixed(tmp_path / "set")
    files = {f"set/{path.relative_to(source).as_posix()}": path.read_bytes() for path in source.rglob("*.*")}
    bucket, out = s3.bucket(files), tmp_path / "out"
    arguments = ["explore", "--data", f"s3://{bucket}/set/", "--out", str(out), "--json", "--home", str(tmp_path)]
    program = (
        f"import sys; from framewatch import cli; cli.cli({arguments!r}, standalone_mode=False); "
        "assert 'keras' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **s3.environment},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    assert figures.pop("source") == f"s3://{bucket}/set/"
    assert figures == look(source).overview.model_dump(mode="json", exclude={"source"})
    assert {path.name for path in out.iterdir()} == FILES


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for source, code, said in (
        ("empty", 1, "found nothing; accepted: a folder for each class"),
        ("none", 2, "no such"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["explore", "--data", str(tmp_path / source), "--out", str(tmp_path / "out")])
        output = capsys.readouterr()
        assert ended.value.code == code
        assert said in output.err
        assert (output.err.count("\n"), output.out) == (1, "")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explore", "--data", str(mixed(tmp_path / "set")), "--out", str(tmp_path / "out")])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith((tmp_path / "out" / "dataset_summary.txt").read_text())
    assert printed.count("written: ") == 1
