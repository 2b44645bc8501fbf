"""Labelled pictures are found however they are kept: folders, tables, arrays; and what is none is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from framewatch.errors import DataError, SettingError
from framewatch.objects.base import Access
from framewatch.training.data.samples import SampleSet, part_name
from framewatch.training.data.sources import open_source
from labelled import encoded, pattern, photo, put, put_class, smoking

PNG = encoded(pattern(0))


def find(source: Path | str, frames: int = 1) -> SampleSet:
    return open_source(str(source), Access(), frames).find()


def listed(found: SampleSet) -> set[tuple[str, str, str | None]]:
    return {(sample.name, sample.label, sample.part) for sample in found.samples}


def files(folder: Path, *names: str) -> Path:
    for name in names:
        put(folder / name, PNG)
    return folder


# Folders


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    found = find(files(tmp_path, "Smoking/10.JPG", "Smoking/2.png", "NotSmoking/a.webp"))
    assert found.labels == ("NotSmoking", "Smoking")
    assert [sample.name for sample in found.samples] == ["NotSmoking/a.webp", "Smoking/2.png", "Smoking/10.JPG"]
    assert (found.notes, found.skipped) == ((), ())


@pytest.mark.parametrize(
    ("word", "part"),
    [("train", "train"), ("Training", "train"), ("TRAIN_SET", "train"), ("val", "validation"),
     ("Valid", "validation"),
     ("validation", "validation"), ("PublicTest", "validation"), ("test", "test"), ("Testing_set", "test"),
     ("PrivateTest", "test"), ("smoking", None), ("tests2", None), ("", None)],
)  # fmt: skip
def test_parts_are_known_however_they_are_spelled(word: str, part: str | None) -> None:
    assert part_name(word) == part


def test_folders_of_parts_above_those_of_classes(tmp_path: Path) -> None:
    files(tmp_path, "Training/angry/1.jpg", "valid/angry/1.jpg", "test/sad/1.jpg", "test/lost.jpg", "more/sad/9.jpg")
    found = find(tmp_path)
    assert listed(found) == {
        ("Training/angry/1.jpg", "angry", "train"),
        ("valid/angry/1.jpg", "angry", "validation"),
        ("test/sad/1.jpg", "sad", "test"),
    }
    assert any("1 pictures in no folder of a class" in note and "test/lost.jpg" in note for note in found.notes)
    assert any("folder more left out" in note for note in found.notes)


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    found = find(files(tmp_path, "test/1.jpg", "bus/1.jpg", "train/1.jpg", "test/deeper/2.jpg"))
    assert {label for _, label, _ in listed(found)} == {"test", "bus", "train"}
    assert {part for _, _, part in listed(found)} == {None}


def test_what_file_managers_leave_behind_is_no_data(tmp_path: Path) -> None:
    files(tmp_path, "a/1.png", "b/1.png", "a/.hidden.png", ".git/x/1.png", "__MACOSX/a/1.png", "a/Thumbs.db")
    put(tmp_path / "a" / "readme.txt", "text")
    found = find(tmp_path)
    assert len(found.samples) == 2
    assert found.notes == ("1 files left out that are no pictures by name: 1 x .txt",)


def test_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    found = find(files(tmp_path, "a/street/one/1.png", "a/2.png", "b/1.png"))
    assert [(s.name, s.label) for s in found.samples] == [
        ("a/2.png", "a"), ("a/street/one/1.png", "a"), ("b/1.png", "b"),
    ]  # fmt: skip


def test_a_video_among_single_pictures_is_named(tmp_path: Path) -> None:
    found = find(files(tmp_path, "a/1.png", "b/1.png", "b/2.mp4"))
    assert [str(each) for each in found.skipped] == ["b/2.mp4: a video: single pictures are wanted here"]


def test_sequences_are_videos_folders_of_frames_or_single_pictures(tmp_path: Path) -> None:
    for number in range(9):
        put(tmp_path / "run" / "clip" / f"{number + 1}.png", encoded(np.full((8, 8, 3), 20 * number, np.uint8)))
    put(tmp_path / "sit" / "alone.png", encoded(np.full((8, 8, 3), 77, np.uint8)))
    video = tmp_path / "sit" / "video.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 32))
    for number in range(21):
        writer.write(np.full((32, 32, 3), 10 * number, np.uint8))
    writer.release()
    put(tmp_path / "sit" / "playlist.mp4", "#EXTM3U\nhttp://127.0.0.1:9/secret.ts\n")
    found = find(tmp_path, frames=3)
    values = {}
    for place, sample in enumerate(found.samples):
        if "playlist" not in sample.name:
            values[sample.name] = [round(float(picture.mean())) for picture in found.read(place).pictures]
        else:
            with pytest.raises(Exception, match="no video of a kind known"):
                found.read(place)
    assert values["run/clip/"] == [0, 80, 160]
    assert values["sit/alone.png"] == [77, 77, 77]
    assert values["sit/video.avi"] == pytest.approx([0, 100, 200], abs=3)


# Tables


def test_the_har_set_as_it_comes_from_kaggle(tmp_path: Path) -> None:
    """Both folders hold an Image_1.jpg; the table of the test pictures has no labels."""
    files(tmp_path, *(f"{part}/Image_{i}.jpg" for part in ("train", "test") for i in (1, 2, 10)))
    put(
        tmp_path / "Training_set.csv",
        "filename,label\nImage_1.jpg,sitting\nImage_2.jpg,running\nImage_10.jpg,sitting\n",
    )
    put(tmp_path / "Testing_set.csv", "filename\nImage_1.jpg\nImage_2.jpg\n")
    found = find(tmp_path)
    assert listed(found) == {
        ("train/Image_1.jpg", "sitting", "train"),
        ("train/Image_2.jpg", "running", "train"),
        ("train/Image_10.jpg", "sitting", "train"),
    }
    assert found.skipped == ()
    assert found.notes == (
        "Testing_set.csv left out: no column of labels among filename",
        "3 pictures in no row of Training_set.csv left out: test/Image_1.jpg, test/Image_2.jpg, test/Image_10.jpg",
    )
    assert listed(find(tmp_path / "Training_set.csv")) == listed(found)


def test_a_table_may_stand_in_the_folder_of_its_part(tmp_path: Path) -> None:
    """As in a bucket with training/ and test/, where the test pictures have no labels."""
    files(tmp_path, *(f"{part}/Image_{i}.jpg" for part in ("training", "test") for i in (1, 2)), "test/Image_3.jpg")
    put(
        tmp_path / "training" / "labels.csv",
        "filename,label\nImage_1.jpg,sitting\nImage_2.jpg,running\nImage_3.jpg,running\n",
    )
    put(tmp_path / "test" / "Testing_set.csv", "filename\nImage_1.jpg\n")
    put(tmp_path / "output" / "Image_1.jpg.json", "{}")
    found = find(tmp_path)
    assert listed(found) == {
        ("training/Image_1.jpg", "sitting", "train"),
        ("training/Image_2.jpg", "running", "train"),
    }
    assert [str(each) for each in found.skipped] == [
        "training/labels.csv row 4 'Image_3.jpg': there is no such picture"  # test's is another one
    ]
    assert found.notes == (
        "test/Testing_set.csv left out: no column of labels among filename",
        "3 pictures in no row of training/labels.csv left out: test/Image_1.jpg, test/Image_2.jpg, test/Image_3.jpg",
    )


@pytest.mark.parametrize("folder", ["train", "test", "pics"])
@pytest.mark.parametrize("as_column", [True, False])
def test_a_part_without_a_folder_of_its_own_has_its_pictures_in_that_of_another(
    tmp_path: Path, folder: str, as_column: bool
) -> None:
    files(tmp_path, *(f"{folder}/{i}.png" for i in range(4)))
    parts = {"validation": (2, 3)} if folder == "train" else {"train": (0, 1), "validation": (2, 3)}
    rows = {part: [f"{i}.png,{'ab'[i % 2]},{part}\n" for i in places] for part, places in parts.items()}
    tables = {"labels": [row for its in rows.values() for row in its]} if as_column else rows
    for name, its in tables.items():
        put(tmp_path / f"{name}.csv", f"filename,label,{'split' if as_column else 'more'}\n{''.join(its)}")
    found = find(tmp_path)
    assert found.skipped == ()
    assert listed(found) == {
        (f"{folder}/{i}.png", "ab"[i % 2], part) for part, places in parts.items() for i in places
    }


def test_a_table_in_a_folder_of_a_part_does_not_outdo_classes_beside_it(tmp_path: Path) -> None:
    files(tmp_path, "Smoking/1.png", "Not/1.png", "test/t.png")
    put(tmp_path / "test" / "labels.csv", "filename,label\nt.png,Smoking\n")
    assert find(tmp_path).labels == ("Not", "Smoking", "test")
    put(tmp_path / "test" / "labels.csv", 'filename,label\n"' + "x" * 200_000)  # no table that can be read
    assert len(find(tmp_path).samples) == 3


def test_a_table_that_is_named_is_not_refused_for_folders_beside_it(tmp_path: Path) -> None:
    files(tmp_path, "pics/1.png", "venv/lib/2.png")
    (tmp_path / "venv" / "lib64").symlink_to("lib")
    (tmp_path / "venv" / "a").symlink_to("lib")
    table = put(tmp_path / "labels.csv", "filename,label\n1.png,a\n2.png,b\n")
    assert listed(find(table)) == {("pics/1.png", "a", None), ("venv/lib/2.png", "b", None)}
    with pytest.raises(SettingError, match="are the same folder, by a link"):
        find(tmp_path)


def test_tables_in_folders_of_parts_do_not_outdo_folders_of_classes(tmp_path: Path) -> None:
    files(tmp_path, "train/a/1.png", "train/b/2.png", "test/a/3.png")
    put(tmp_path / "train" / "labels.csv", "file,label\n1.png,x\n2.png,y\n")
    assert {(s.name, s.label) for s in find(tmp_path).samples} == {
        ("train/a/1.png", "a"), ("train/b/2.png", "b"), ("test/a/3.png", "a"),
    }  # fmt: skip


def test_folders_of_parts_without_labels_are_not_taken_for_classes(tmp_path: Path) -> None:
    files(tmp_path, "training/1.jpg", "training/2.jpg", "test/1.jpg")
    with pytest.raises(DataError, match="test, training are parts, not classes; accepted: a folder for each class"):
        find(tmp_path)
    put(tmp_path / "training" / "labels.csv", "filename,a,b\n1.jpg,0,1\n")
    with pytest.raises(DataError, match=r"not classes; training/labels\.csv left out: no column of labels"):
        find(tmp_path)
    files(tmp_path / "one", "train/1.jpg")
    with pytest.raises(DataError, match="train is a part, not a class"):
        find(tmp_path / "one")


@pytest.mark.parametrize(
    "content",
    [
        b"filename,label\n1.png,a\n2.png,b\n",
        b"\xef\xbb\xbfImage ID;Class Name\r\n1;a\r\n2;b\r\n",
        "path\tcategory\n1.png\ta\n2.png\tb\n".encode("utf-16"),
        b"id,class\nC:\\Users\\me\\pics\\1.png,a\nC:\\Users\\me\\pics\\2.png,b\n",
        b"label,other,image_path\na,x,/home/u/pics/1.png\nb,y,./pics/2.png\n\n,,\n",
        b'name,label\n"1.PNG"," a "\n2.png,b',
        b"sep=;\r\nfilename;label\r\n1.png;a\r\n2.png;b\r\n",
        '"SEP=\t"\nfile\tlabel\n1.png\ta\n2.png\tb\n'.encode("utf-16"),
    ],
)
def test_tables_are_read_however_they_are_written(tmp_path: Path, content: bytes) -> None:
    files(tmp_path, "pics/1.png", "pics/2.png")
    put(tmp_path / "labels.csv", content)
    found = find(tmp_path)
    assert listed(found) == {("pics/1.png", "a", None), ("pics/2.png", "b", None)}, found


def test_a_label_of_a_western_spreadsheet(tmp_path: Path) -> None:
    files(tmp_path, "1.png")
    put(tmp_path / "labels.csv", "file,label\n1.png,Frühstück\n".encode("cp1252"))
    assert find(tmp_path).labels == ("Frühstück",)


def test_parts_by_the_table_or_by_a_column(tmp_path: Path) -> None:
    files(tmp_path, "p/1.png", "p/2.png", "p/3.png")
    put(tmp_path / "train.csv", "file,label\n1.png,a\n")
    put(tmp_path / "val.csv", "file,label\n2.png,a\n")
    put(tmp_path / "rest.csv", "file,label,split\n3.png,a,Test\n")
    assert {(s.name, s.part) for s in find(tmp_path).samples} == {
        ("p/1.png", "train"), ("p/2.png", "validation"), ("p/3.png", "test"),
    }  # fmt: skip


def test_rows_without_picture_or_label_and_names_that_could_be_several_are_listed(tmp_path: Path) -> None:
    files(tmp_path, "x/1.png", "y/1.png", "x/2.png", "x/3.png")
    put(
        tmp_path / "l.csv",
        "file,label\n1.png,a\n/else/y/1.png,b\n2.png,\n9.png,a\n,a\n3.png,c\n3.png,c\n../l.csv,a\n",
    )
    found = find(tmp_path)
    assert listed(found) == {("y/1.png", "b", None), ("x/3.png", "c", None)}
    assert [str(each) for each in found.skipped] == [
        "l.csv row 2 '1.png': could be any of x/1.png, y/1.png",
        "l.csv row 4 '2.png': no label",
        "l.csv row 5 '9.png': there is no such picture",
        "l.csv row 6 '': there is no such picture",
        "l.csv row 9 '../l.csv': there is no such picture",
    ]
    assert any("1 pictures stand in several rows" in note for note in found.notes)


def test_a_table_that_means_no_picture_leaves_the_folders(tmp_path: Path) -> None:
    smoking(tmp_path, 2)
    put(tmp_path / "results.csv", "file,label\nnone.png,a\n")
    found = find(tmp_path)
    assert found.labels == ("NotSmoking", "Smoking")
    assert any("no row of results.csv means a picture" in note for note in found.notes)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "l.csv left out: nothing in it"),
        ("1.png,a\n2.png,b\n", "l.csv left out: no columns of file names and labels among 1.png, a"),
        ("filename,a,b\n1.png,0,1\n", "l.csv left out: no column of labels among filename, a, b"),
        ("no,label\n1,a\n", "l.csv left out: no column of file names among no, label"),
        ("file,label\n", "no row of l.csv means a picture: there is none below its header"),
    ],
)
def test_a_table_that_is_none_is_named_with_the_reason(tmp_path: Path, content: str, said: str) -> None:
    files(tmp_path / "flat", "1.png", "2.png")
    smoking(tmp_path / "folders", 2)
    for folder in ("flat", "folders"):
        put(tmp_path / folder / "l.csv", content)
    assert said in find(tmp_path / "folders").notes
    with pytest.raises(DataError, match=re.escape(f"found 2 x .png, 1 x .csv; {said}; 2 pictures in no folder")):
        find(tmp_path / "flat")


def test_a_label_of_thousands_of_digits_is_a_label_like_any(tmp_path: Path) -> None:
    files(tmp_path, "1.png", "2.png")
    put(tmp_path / "l.csv", f"file,label\n1.png,{'9' * 5000}\n2.png,10\n")
    assert find(tmp_path).labels == ("10", "9" * 5000)


# FER2013


def test_fer2013_as_its_official_table(tmp_path: Path) -> None:
    rows = ["emotion,pixels,Usage"]
    for emotion, usage in ((0, "Training"), (3, "PublicTest"), (6, "PrivateTest")):
        rows.append(f"{emotion},{' '.join(str(emotion * 10 + i % 3) for i in range(48 * 48))},{usage}")
    rows += [
        "7" * 5000 + "," + "0 " * 2304 + ",Training",
        "7," + "0 " * 2304 + ",Training",
        "1,1 2 3,Training",
        "1,1 2 3 300,Training",
        "1,a b c d,Training",
    ]
    table = put(tmp_path / "fer2013.csv", "\n".join(rows))
    for source in (tmp_path, table):
        found = find(source)
        assert found.labels == ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
        assert [(s.label, s.part) for s in found.samples] == [
            ("Angry", "train"), ("Happy", "validation"), ("Neutral", "test"),
        ]  # fmt: skip
        assert len(found.skipped) == 5
        picture = found.read(1).pictures[0]
        assert picture.shape == (48, 48, 3)
        assert picture[0, :4].tolist() == [[30] * 3, [31] * 3, [32] * 3, [30] * 3]


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_arrays_of_any_parts(tmp_path: Path) -> None:
    grey, coloured = np.zeros((2, 9, 7), np.uint8), np.zeros((3, 8, 8, 3), np.uint8)
    coloured[..., 0] = 200  # red
    path = npz(
        tmp_path / "set.npz", x_train=grey, y_train=[0, 1], x_PrivateTest=coloured, y_PrivateTest=[1, 1, 0],
        labels=["a", "b"],
    )  # fmt: skip
    found = find(path)
    assert [(s.name, s.label, s.part) for s in found.samples] == [
        ("train/0", "a", "train"), ("train/1", "b", "train"),
        ("PrivateTest/0", "b", "test"), ("PrivateTest/1", "b", "test"), ("PrivateTest/2", "a", "test"),
    ]  # fmt: skip
    assert (found.read(0).width, found.read(0).height) == (7, 9)
    assert found.read(2).pictures[0][0, 0].tolist() == [0, 0, 200]  # blue green red


def test_arrays_to_measure_on_need_no_names_of_labels(tmp_path: Path) -> None:
    found = find(npz(tmp_path / "t.npz", x_extra=np.zeros((2, 8, 8), np.uint8), y_extra=[0, 2]))
    assert (found.labels, found.samples[0].part) == (("0", "1", "2"), "extra")


X, Y = np.zeros((2, 8, 8), np.uint8), np.array([0, 1])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"a": X}, "has a, no labels; expected x_train"),
        ({"x_train": X, "y_train": Y}, "no labels"),
        ({"x_train": X, "labels": ["a", "b"]}, "x_train without y_train"),
        ({"x_train": X / 255, "y_train": Y, "labels": ["a", "b"]}, "float64"),
        ({"x_train": X, "y_train": Y + 1, "labels": ["a", "b"]}, "goes from 1 to 2; there are 2 labels"),
        ({"x_train": X, "y_train": Y[:1], "labels": ["a", "b"]}, "expected 2 whole numbers"),
        ({"x_train": X, "y_train": np.array(["a", "b"]), "labels": ["a", "b"]}, "expected 2 whole numbers"),
        ({"x_../../up": X, "y_../../up": Y, "labels": ["a", "b"]}, "a part's name is letters"),
        ({"x_train": X[:, :0], "y_train": Y, "labels": ["a", "b"]}, "expected 1 to 1024 pixels"),
        ({"x_train": X, "y_train": Y, "labels": np.array(["a", None], object)}, "not a NumPy file"),
        ({"x_train": X, "y_train": Y, "labels": np.array(["ä".encode("latin-1"), b"b"])}, "bytes that are no UTF-8"),
        ({"x_train": X, "y_train": Y, "labels": "a,b"}, "one name for each index"),
        ({"x_train": X, "y_train": Y, "labels": [["a", "b"]]}, "one name for each index"),
        ({"x_train": X, "y_train": Y, "labels": ["a", "a"]}, "labels has 'a' more than once"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused_with_the_reason(
    tmp_path: Path, arrays: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=said.replace(".", r"\.")):
        find(npz(tmp_path / "bad.npz", **arrays))


VOTERS: dict[str, Any] = {
    "x_train": np.arange(5 * 64, dtype=np.uint8).reshape(5, 8, 8),
    "y_train": [1, 1, 1, 1, 1],
    "votes_train": [[7, 3, 0, 0], [2, 8, 0, 0], [4, 4, 2, 0], [3, 1, 6, 0], [1, 1, 1, 7]],
    "votes_columns": ["anger", "happiness", "contempt", "unknown"],
    "labels": ["Angry", "happy"],
}


def test_of_what_several_people_say_the_label_is_that_of_most_and_all_votes_are_kept(tmp_path: Path) -> None:
    found = find(npz(tmp_path / "votes.npz", **VOTERS))
    assert [(s.name, s.label, s.votes) for s in found.samples] == [
        ("train/0", "Angry", (7, 3)), ("train/1", "happy", (2, 8)), ("train/2", "Angry", (4, 4)),
    ]  # fmt: skip
    assert found.read(1).pictures[0][0, 0, 0] == 64
    assert found.notes == ("2 pictures left out, of which people agree on none of the labels",)
    assert found.labels == ("Angry", "happy")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"votes_train": [[1, 2]] * 5}, r"votes_train is int64 \(5, 2\); expected 5 rows of whole numbers.*\(4\)"),
        ({"votes_train": [[1.5, 2, 0, 0]] * 5}, "votes_train is float64"),
        ({"votes_train": [[-1, 2, 0, 0]] * 5}, "votes_train is int64"),
        ({"votes_train": [[1, 2, 0, 0]] * 4}, r"votes_train is int64 \(4, 4\); expected 5 rows"),
        ({"votes_columns": ["anger", "x", "y", "z"]}, "votes_columns has no 'happy', which is one of the labels"),
        ({"votes_columns": []}, r"votes_train is int64 \(5, 4\); expected 5 rows.*\(0\)"),
    ],
)
def test_votes_that_do_not_fit_are_named(tmp_path: Path, wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(DataError, match=rf"votes\.npz: {why}"):
        find(npz(tmp_path / "votes.npz", **(VOTERS | wrong)))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"text"])
def test_a_file_that_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="not a NumPy file"):
        find(put(tmp_path / "bad.npz", content))


def test_one_array_that_calls_itself_several_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, X)
    with pytest.raises(DataError, match=r"one\.npz: not a NumPy file of several arrays but one"):
        find(tmp_path / "one.npz")


# What is none


def test_places_without_labelled_pictures_say_what_was_found_and_what_is_accepted(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="found nothing; accepted: a folder for each class"):
        find(empty)
    with pytest.raises(DataError, match=r"found 3 x \.png; 3 pictures in no folder of a class"):
        find(files(tmp_path / "flat", "1.png", "2.png", "3.png"))
    with pytest.raises(DataError, match=r"1 x \.txt, 1 x no suffix"):
        find(files(tmp_path / "texts", "a/1.txt", "b/noname"))
    with pytest.raises(DataError, match="a file of a kind not known here"):
        find(put(tmp_path / "x.zip", b"PK"))
    with pytest.raises(DataError, match="no columns of file names"):
        find(put(tmp_path / "c.csv", "a,b\n1,2\n"))
    with pytest.raises(DataError, match="no row means a picture beside it"):
        find(put(tmp_path / "alone" / "c.csv", "file,label\n1.png,2\n"))
    with pytest.raises(SettingError, match="no such folder"):
        find(tmp_path / "nowhere")
    two = tmp_path / "two"
    npz(put(two / "a.npz", b""), x_train=X, y_train=Y, labels=["a", "b"])
    npz(put(two / "b.npz", b""), x_train=X, y_train=Y, labels=["a", "b"])
    with pytest.raises(DataError, match=r"a\.npz, b\.npz: name one of them"):
        find(two)


def test_the_stamp_changes_with_anything_in_the_source(tmp_path: Path) -> None:
    put_class(tmp_path / "a", 0, 2)

    def stamp() -> str:
        return open_source(str(tmp_path), Access()).stamp

    first = stamp()
    assert stamp() == first
    put(tmp_path / "a" / "0.png", encoded(photo()))
    second = stamp()
    put(tmp_path / "b" / "0.png", PNG)
    assert len({first, second, stamp()}) == 3
