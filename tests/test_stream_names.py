"""Two sources never share a stream, whatever they are called; and a source has the same name at every start."""

from __future__ import annotations

import doctest
import itertools

import pytest

from framewatch.model import names
from framewatch.model.names import is_name, public_source, same_name, stream_names_of

ALIKE = {
    "channels of a recorder": (["rtsp://u:p@nvr/ch1", "rtsp://u:p@nvr/ch2"], ["nvr-ch1", "nvr-ch2"]),
    "ports of a host": (["rtsp://nvr:8554/", "rtsp://nvr:8555/"], ["nvr-8554", "nvr-8555"]),
    "what differs in the query only, which is never shown": (
        ["rtsp://nvr/live?channel=1", "rtsp://nvr/live?channel=2"],
        ["nvr", "nvr-2"],
    ),
    "files of one name": (["hall/video.mp4", "door/video.mp4"], ["hall-video", "door-video"]),
    "files of one stem": (["a/video.mp4", "a/video.mkv"], ["video.mp4", "video.mkv"]),
    "both": (
        ["hall/video.mp4", "hall/video.mkv", "door/video.mp4"],
        ["hall-video.mp4", "hall-video.mkv", "door-video.mp4"],
    ),
    "a longer name that another source has": (
        ["hall/video.mp4", "door/video.mp4", "hall-video.mp4"],
        ["hall-video.mp4", "door-video.mp4", "hall-video"],
    ),
    "upper and lower case": (["a/Cam.mp4", "b/cam.mp4"], ["a-Cam", "b-cam"]),
    "cut to 64 characters": (["x" * 80 + "1.mp4", "x" * 80 + "2.mp4"], ["x" * 64, "x" * 62 + "-2"]),
    "letters of any script": (["门.mp4", "窗.mp4"], ["门", "窗"]),
    "nothing that a name may have": (["!!!.mp4", "???.mp4"], ["video", "video-2"]),
    "one source twice": (["a.mp4", "a.mp4", "a-2.mp4"], ["a", "a-3", "a-2"]),
    "webcams": (["0", "1"], ["camera-0", "camera-1"]),
    "prefixes of a bucket": (["s3://lake/a-b/", "s3://lake/a/b/"], ["lake-a-b", "lake-a-b-2"]),
    "no addresses at all": (["rtsp://[bad", "rtsp://[worse"], ["camera", "camera-2"]),
    "nothing alike": (["hall.mp4", "rtsp://nvr/ch1"], ["hall", "nvr"]),
}


@pytest.mark.parametrize(("sources", "expected"), ALIKE.values(), ids=ALIKE)
def test_sources_that_are_alike_get_names_that_differ(sources: list[str], expected: list[str]) -> None:
    assert stream_names_of(sources) == expected
    assert all(map(is_name, expected)) and same_name(expected) is None


@pytest.mark.parametrize("sources", [sources for sources, _ in ALIKE.values()], ids=ALIKE)
def test_names_do_not_depend_on_the_order_of_the_sources(sources: list[str]) -> None:
    first = sorted(zip(sources, stream_names_of(sources), strict=True))
    for order in itertools.permutations(sources):
        assert sorted(zip(order, stream_names_of(order), strict=True)) == first


def test_many_sources_of_one_name_are_numbered() -> None:
    assert stream_names_of(["a.mp4"] * 12)[-1] == "a-12"


def test_a_source_is_shown_without_what_may_be_secret() -> None:
    assert public_source("rtsp://admin:geheim@cam:554/1?token=geheim#geheim") == "rtsp://cam:554/1"
    assert public_source("rtsp://admin:geheim@[cam/1") == "rtsp://…"
    assert public_source("videos/a?b.mp4") == "videos/a?b.mp4"


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(names).failed == 0
