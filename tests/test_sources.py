"""Sources give every picture that can be read, then say what could not; and the pace they are sent at."""

from __future__ import annotations

import base64
import doctest
import itertools
import logging
import os
import shutil
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import SAMPLE
from framewatch.errors import SourceError
from framewatch.producer import pace
from framewatch.producer.pace import Pacer, rate
from framewatch.producer.sources import capture as captures
from framewatch.producer.sources.base import Source
from framewatch.producer.sources.open import open_source
from framewatch.vision.classifier import Image

FRAMES, FPS = 60, 25.0


class Waits(list[float]):
    """A sleep that only notes how long it was to be, and ends the source after so many."""

    def __init__(self, most: int = 100) -> None:
        super().__init__()
        self.most = most

    def __call__(self, seconds: float) -> None:
        self.append(seconds)
        if len(self) >= self.most:
            raise SourceError("stopped")


def opened(source: object) -> Source:
    """A source that needs no waiting."""
    return open_source(str(source), Waits(1))


def read(source: Source) -> tuple[list[Image], str]:
    """All pictures, and the error after the last one, or nothing."""
    pictures: list[Image] = []
    try:
        pictures.extend(picture.image for picture in source.read())
    except SourceError as error:
        return pictures, str(error)
    return pictures, ""


def refused(source: object) -> str:
    """What is said of a source that gives nothing at all."""
    with pytest.raises(SourceError) as error:
        list(opened(source).read())
    return str(error.value)


def noise(seed: int, height: int = 120, width: int = 160) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def plain(level: int, height: int = 40, width: int = 60) -> Image:
    """A picture of one grey, by which it is known again."""
    return np.full((height, width, 3), level, np.uint8)


def levels(pictures: list[Image]) -> list[int]:
    return [round(float(picture.mean())) for picture in pictures]


def write_video(path: Path, codec: str = "mp4v", frames: int = FRAMES, fps: float = FPS) -> Path:
    """A video of noise, so that each frame takes about as many bytes."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (160, 120))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(noise(number))
    writer.release()
    return path


def write_picture(path: Path, image: Image | np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def cut(path: Path, share: float) -> Path:
    """The first part of a file, as a broken-off copy leaves it."""
    whole = path.read_bytes()
    short = path.with_name(f"cut{path.suffix}")
    short.write_bytes(whole[: int(len(whole) * share)])
    return short


def index_first(path: Path) -> Path:
    """An MP4 rewritten with its index before the frames, as web videos have it (ISO 14496-12)."""
    content, at, atoms = path.read_bytes(), 0, []
    while at < len(content):
        size = struct.unpack_from(">I", content, at)[0]
        atoms.append((content[at + 4 : at + 8], content[at : at + size]))
        at += size
    index = bytearray(dict(atoms)[b"moov"])
    table = index.index(b"stco") + 8
    for number in range(struct.unpack_from(">I", index, table)[0]):
        entry = table + 4 + 4 * number
        struct.pack_into(">I", index, entry, struct.unpack_from(">I", index, entry)[0] + len(index))
    first, *rest = (atom for name, atom in atoms if name != b"moov")
    path.write_bytes(first + bytes(index) + b"".join(rest))
    return path


# Files


def test_the_sample_gives_its_420_frames_at_30_a_second() -> None:
    source = opened(SAMPLE)
    assert (source.name, source.live, source.fps, source.count) == ("sample.mp4", False, 30.0, 420)
    pictures, error = read(source)
    assert (len(pictures), error) == (420, "")
    assert all(picture.dtype == np.uint8 and picture.shape == pictures[0].shape for picture in pictures)


def test_a_source_can_be_read_again_from_its_start(tmp_path: Path) -> None:
    source = opened(write_video(tmp_path / "a.avi", "MJPG", 5))
    first, second = read(source), read(source)
    assert len(first[0]) == 5
    assert all(np.array_equal(a, b) for a, b in zip(first[0], second[0], strict=True))


@pytest.mark.parametrize("fps", [1.0, 15.0, 29.97, 240.0])
def test_a_video_has_the_pace_it_was_recorded_at(tmp_path: Path, fps: float) -> None:
    assert opened(write_video(tmp_path / "a.avi", "MJPG", 3, fps)).fps == pytest.approx(fps)


def test_real_clips_give_all_their_frames(data: Path) -> None:
    for clip in sorted(data.glob("asl_gestures/*.mkv")):
        source = opened(clip)
        pictures, error = read(source)
        assert error == ""
        assert source.count is not None
        assert (
            source.count - 1 <= len(pictures) <= source.count
        )  # Matroska gives a duration, from which it is guessed


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "mp4v"), ("b.mkv", "MJPG"), ("a.avi", "MJPG"), ("b.avi", "XVID"), ("c.mp4", "mp4v")]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_a_cut_off_video_gives_its_readable_frames_and_says_how_many(
    tmp_path: Path, name: str, codec: str, share: float
) -> None:
    whole = write_video(tmp_path / name, codec)
    short = cut(index_first(whole) if whole.suffix == ".mp4" else whole, share)
    pictures, error = read(opened(short))
    assert 0.1 * share * FRAMES < len(pictures) < FRAMES
    assert error == f"{short}: cut off or damaged: {len(pictures)} of about {FRAMES} frames could be read"


@pytest.mark.parametrize("clip", ["asl_gestures/help.mkv", "asl_gestures/walk.mkv"])
def test_a_cut_off_real_clip_gives_its_readable_frames_and_says_how_many(
    tmp_path: Path, data: Path, clip: str
) -> None:
    whole = tmp_path / "whole.mkv"
    shutil.copyfile(data / clip, whole)
    count = opened(whole).count
    pictures, error = read(opened(cut(whole, 0.6)))
    assert len(pictures) > 20
    assert f"{len(pictures)} of about {count} frames" in error


def test_a_container_that_counts_its_frames_exactly_misses_even_a_few(tmp_path: Path) -> None:
    short = cut(index_first(write_video(tmp_path / "a.mp4", frames=200)), 0.96)
    pictures, error = read(opened(short))
    assert 180 < len(pictures) < 198
    assert f"{len(pictures)} of about 200" in error


def test_damage_in_the_middle_costs_only_the_frames_it_hit(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4")
    content = bytearray(video.read_bytes())
    third = len(content) // 3
    content[third : third * 3 // 2] = bytes(third * 3 // 2 - third)
    video.write_bytes(content)
    pictures, error = read(opened(video))
    assert len(pictures) > 0.7 * FRAMES
    assert f"{len(pictures)} of about {FRAMES}" in error


@pytest.mark.parametrize("video", ["sample", "bottle"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_video_cut_off_before_its_index_cannot_be_opened(
    tmp_path: Path, data: Path, video: str, share: float
) -> None:
    whole = tmp_path / f"{video}.mp4"
    shutil.copyfile(SAMPLE if video == "sample" else data / "bottle.mp4", whole)
    assert "cut.mp4: cannot be opened as a video" in refused(cut(whole, share))


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mp4v"), ("a.mkv", "mp4v"), ("a.avi", "MJPG")])
def test_a_video_without_frames_is_refused(tmp_path: Path, name: str, codec: str) -> None:
    video = write_video(tmp_path / name, codec, frames=0)
    assert str(video) in refused(video)


@pytest.mark.parametrize("name", ["notes.mp4", "notes.mkv", "notes.avi", "notes.txt", "notes"])
def test_a_text_file_is_no_video_whatever_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no video at all\n" * 500)
    assert f"{name}: cannot be opened as a video" in refused(tmp_path / name)


def test_noise_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(np.random.default_rng(3).bytes(100_000))
    assert "cannot be opened as a video" in refused(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert f"{tmp_path / name}: " in refused(tmp_path / name)


@pytest.mark.parametrize("path", ["missing.mp4", "no/such/folder", "a" * 300, "C:\\video.mp4"])
def test_a_path_that_is_not_there_is_refused_and_named(path: str) -> None:
    assert refused(path).startswith(f"{path}: ")


def test_a_file_address_is_the_path_it_says(tmp_path: Path) -> None:
    write_video(tmp_path / "front door.avi", "MJPG", 3)
    assert opened((tmp_path / "front door.avi").as_uri()).count == 3


@pytest.mark.parametrize("text", ["", "file://", "file://localhost"])
def test_nothing_is_not_the_current_folder(text: str) -> None:
    assert refused(text) == f"got {text!r} as source: name a file, a folder, a webcam's index or an address"


def test_a_file_on_another_host_is_no_file_of_ours() -> None:
    assert "a file address has no host" in refused("file://videos/sample.mp4")


def test_what_is_neither_file_nor_folder_is_refused() -> None:
    assert refused("/dev/null").startswith("/dev/null: neither a file nor a folder; a webcam is named by its index")


@pytest.mark.parametrize("name", ["a.mjpeg", "a.mjpg"])
def test_pictures_behind_each_other_are_a_video_of_unknown_length(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(jpegs(20))
    source = opened(tmp_path / name)
    assert (source.live, source.count) == (False, None)
    assert [len(read(source)[0]), read(source)[1]] == [20, ""]


def jpegs(n: int) -> bytes:
    return b"".join(cv2.imencode(".jpg", noise(number))[1].tobytes() for number in range(n))


def test_a_file_that_goes_while_its_folder_is_read_is_one_that_cannot_be_read(tmp_path: Path) -> None:
    for number in range(3):
        write_video(tmp_path / f"{number}.avi", "MJPG", 2)
    source = opened(tmp_path)
    (tmp_path / "1.avi").unlink()
    pictures, error = read(source)
    assert len(pictures) == 4
    assert error == f"{tmp_path}: 1 of 3 files could not be read whole"


# Pictures and folders


@pytest.mark.parametrize("extension", [".png", ".jpg", ".bmp", ".webp", ".tiff", ".JPG"])
def test_a_picture_is_a_source_of_one_frame(tmp_path: Path, extension: str) -> None:
    source = opened(write_picture(tmp_path / f"a{extension}", plain(90)))
    assert (source.live, source.fps, source.count) == (False, None, 1)
    pictures, error = read(source)
    assert (levels(pictures), error) == ([90], "")


def test_pictures_of_any_depth_come_in_three_channels_of_eight_bits(tmp_path: Path) -> None:
    write_picture(tmp_path / "alpha.png", np.dstack([plain(100), np.full((40, 60), 255, np.uint8)]))
    write_picture(tmp_path / "deep.png", np.full((40, 60, 3), 100 * 257, np.uint16))
    write_picture(tmp_path / "grey.png", plain(100)[..., 0])
    write_picture(tmp_path / "grey_deep.png", np.full((40, 60), 100 * 257, np.uint16))
    pictures, error = read(opened(tmp_path))
    assert error == ""
    assert [picture.shape for picture in pictures] == [(40, 60, 3)] * 4
    assert all(picture.dtype == np.uint8 for picture in pictures)
    assert levels(pictures) == [100] * 4


def test_what_is_transparent_in_a_picture_of_a_folder_stands_on_white_as_a_model_learned_it(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", np.dstack([plain(100), np.full((40, 60), 0, np.uint8)]))
    write_picture(tmp_path / "b.png", np.dstack([plain(0), np.full((40, 60), 55, np.uint8)]))
    write_picture(tmp_path / "c.webp", np.dstack([plain(100), np.full((40, 60), 0, np.uint8)]))
    pictures, error = read(opened(tmp_path))
    assert (levels(pictures), error) == ([255, 200, 255], "")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_a_large_picture_comes_as_small_as_it_is_sent(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / name, plain(90, 300, 400))
    for source in (tmp_path, tmp_path / name):
        for side, height, width in ((40, 30, 40), (160, 120, 160), (400, 300, 400), (1920, 300, 400)):
            [picture] = [each.image for each in open_source(str(source), Waits(1), max_side=side).read()]
            assert (picture.shape, levels([picture])) == ((height, width, 3), [90])


def test_a_picture_of_more_pixels_than_any_camera_has_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    header = cv2.imencode(".jpg", plain(50))[1].tobytes()
    at = header.index(b"\xff\xc0") + 5
    (tmp_path / "a.jpg").write_bytes(header[:at] + struct.pack(">HH", 13_001, 13_000) + header[at + 4 :])
    assert f"{tmp_path / 'a.jpg'}: not a picture that can be read: too-many-pixels: " in refused(tmp_path / "a.jpg")


def test_a_folder_of_pictures_comes_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1, 100, 20):
        write_picture(tmp_path / f"frame{number}.png", plain(number))
    source = opened(tmp_path)
    assert (source.name, source.live, source.fps, source.count) == (tmp_path.name, False, None, 5)
    assert levels(read(source)[0]) == [1, 2, 10, 20, 100]


def test_what_is_no_picture_by_its_name_is_left_out_of_a_folder(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", plain(50))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "folder.png").mkdir()
    assert [levels(read(opened(tmp_path))[0]), opened(tmp_path).count] == [[50], 1]


def test_a_broken_picture_is_named_and_passed_over_and_the_end_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        write_picture(tmp_path / f"{number}.png", plain(number * 10))
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / "3.png").write_bytes(b"")
    pictures, error = read(opened(tmp_path))
    assert levels(pictures) == [0, 20, 40]
    assert error == f"{tmp_path}: 2 of 5 files could not be read whole"
    assert str(tmp_path / "1.png") in caplog.text
    assert str(tmp_path / "3.png") in caplog.text


def test_a_folder_may_hold_videos_and_pictures_and_a_cut_off_one_spoils_nothing(tmp_path: Path) -> None:
    write_video(tmp_path / "1.avi", "MJPG", 4)
    cut(write_video(tmp_path / "2.avi", "MJPG"), 0.5).rename(tmp_path / "2.avi")
    write_picture(tmp_path / "3.png", plain(70))
    pictures, error = read(opened(tmp_path))
    assert 4 + 10 < len(pictures) < 4 + FRAMES
    assert levels(pictures[-1:]) == [70]
    assert error == f"{tmp_path}: 1 of 3 files could not be read whole"


def test_a_folder_of_videos_has_the_pace_they_were_recorded_at(tmp_path: Path) -> None:
    write_video(tmp_path / "1.avi", "MJPG", 3, fps=10)
    write_video(tmp_path / "2.avi", "MJPG", 3, fps=10)
    assert opened(tmp_path).fps == 10


def test_a_folder_without_anything_to_show_is_refused(tmp_path: Path) -> None:
    assert "no pictures or videos in it" in refused(tmp_path)
    (tmp_path / "notes.txt").touch()
    assert f"{tmp_path}: " in refused(tmp_path)


# Cameras and addresses


def test_a_webcam_that_is_not_there_is_given_up_after_three_tries() -> None:
    waits = Waits()
    source = open_source("99", waits)
    assert (source.live, source.count) == (True, None)
    assert read(source) == ([], f"{source.name}: {read(source)[1].partition(': ')[2]}")
    assert waits == [0.5, 1.0] * 2


@pytest.mark.parametrize("index", ["9" * 11, "9" * 30, "9" * 5000], ids=len)
def test_a_webcam_index_beyond_all_numbers_is_refused(index: str) -> None:
    assert index[:20] in refused(index)


@contextmanager
def closed_port(port: int = 0) -> Iterator[int]:
    """A port on which nobody listens, and which nobody else is given meanwhile."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        yield int(held.getsockname()[1])


@pytest.mark.parametrize(
    "address",
    [
        "ftp://hidden:secret@cam/video?token=secret",
        "gopher://hidden:secret@cam/#secret",
        "rtsp://hidden:secret@/video",
        "http://hidden:secret@127.0.0.1:{port}/video.mp4?token=secret",
        "https://hidden:secret@127.0.0.1:{port}/video",
        "rtsp://hidden:secret@127.0.0.1:{port}/video#secret",
        "rtsps://hidden:sec@secret@127.0.0.1:{port}/video",
        "http://hidden:sec/secret@127.0.0.1:{port}/video",
        "http://hidden:sec?secret@127.0.0.1:{port}/video",
        "http://hidden:sec[secret@127.0.0.1:{port}/video",
        "http://hidden:secret@127.0.0.1:{port}0000/video",
        "http://hidden:secret@[::1:{port}/video",
    ],
)
def test_an_address_that_gives_nothing_is_refused_and_its_credentials_are_nowhere(
    address: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with closed_port() as port:
        said = refused(address.format(port=port))
    everything = "".join([said, caplog.text, *capfd.readouterr()])
    assert said
    assert "secret" not in everything
    assert "hidden" not in everything


def test_an_unknown_scheme_is_answered_with_those_there_are() -> None:
    said = refused("ftp://cam/video")
    assert "'ftp'" in said
    assert all(scheme in said for scheme in ("rtsp", "rtsps", "http", "https", "file"))


def test_an_address_without_a_host_is_refused() -> None:
    assert "no host" in refused("rtsp:///video")


class Handler(BaseHTTPRequestHandler):
    """Answers as the test's route says."""

    server: Web

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        route = self.server.routes.get(self.path.partition("?")[0], missing)
        try:
            route(self)
        except OSError:  # whoever asked has enough
            self.close_connection = True

    def do_HEAD(self) -> None:
        kind, length = self.server.kinds.get(self.path, ("multipart/x-mixed-replace", ""))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", length)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the console."""


def missing(request: Handler) -> None:
    request.send_error(404)


class Web(ThreadingHTTPServer):
    """A real web server in a thread of the test."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes: dict[str, Callable[[Handler], None]] = {}
        self.kinds: dict[str, tuple[str, str]] = {}
        self.requests: list[str] = []

    def address(self, path: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_port}{path}"


@contextmanager
def serving() -> Iterator[Web]:
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server:
        yield server


def file_of(content: bytes, share: float = 1.0) -> Callable[[Handler], None]:
    """Sends a file that has the whole length by its header, and breaks off after its share."""

    def send(request: Handler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: int(len(content) * share)])

    return send


def camera(request: Handler) -> None:
    """Sends ten pictures as MJPEG and breaks off in the middle of the next."""
    request.send_response(200)
    request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
    request.end_headers()
    for number in range(11):
        done, buffer = cv2.imencode(".jpg", noise(number))
        assert done
        jpeg = buffer.tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
        request.wfile.write(head + (jpeg + b"\r\n" if number < 10 else jpeg[: len(jpeg) // 2]))


def busy(request: Handler) -> None:
    request.send_error(503)


def in_turn(*answers: Callable[[Handler], None]) -> Callable[[Handler], None]:
    """Each request gets the next answer, all later ones the last."""
    left = itertools.chain(answers, itertools.repeat(answers[-1]))

    def answer(request: Handler) -> None:
        next(left)(request)

    return answer


def test_a_video_file_on_a_web_server_ends_by_itself(web: Web, tmp_path: Path) -> None:
    web.routes["/a.mkv"] = file_of(write_video(tmp_path / "a.mkv").read_bytes())
    source = opened(web.address("/a.mkv"))
    assert (source.live, source.fps, source.count) == (False, FPS, FRAMES)
    pictures, error = read(source)
    assert (len(pictures), error) == (FRAMES, "")


@pytest.mark.parametrize("kind", ["video/x-motion-jpeg", "application/octet-stream"])
def test_a_video_file_on_a_web_server_that_does_not_count_its_frames_ends_too(web: Web, kind: str) -> None:
    content = jpegs(20)
    web.routes["/a.mjpeg"], web.kinds["/a.mjpeg"] = file_of(content), (kind, str(len(content)))
    source = opened(web.address("/a.mjpeg"))
    assert (source.live, source.count) == (False, None)
    assert [len(read(source)[0]), read(source)[1]] == [20, ""]


@pytest.mark.parametrize("kind", [("multipart/x-mixed-replace", "99"), ("video/x", ""), ("video/x", "0")])
def test_an_answer_without_a_length_is_a_camera(web: Web, kind: tuple[str, str]) -> None:
    web.routes["/live"], web.kinds["/live"] = camera, kind
    assert opened(web.address("/live")).live


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_video_file_on_a_web_server_that_breaks_off_says_so(web: Web, tmp_path: Path, name: str) -> None:
    video = write_video(tmp_path / name)
    web.routes["/a"] = file_of((index_first(video) if name == "a.mp4" else video).read_bytes(), 0.5)
    pictures, error = read(opened(web.address("/a")))
    assert 0 < len(pictures) < FRAMES
    assert f"{len(pictures)} of about {FRAMES}" in error


def test_a_video_file_on_a_web_server_that_gives_no_frame_is_refused(web: Web, tmp_path: Path) -> None:
    # Its index stands at the end, and this server cannot go back to the frames.
    web.routes["/a.mp4"] = file_of(write_video(tmp_path / "a.mp4").read_bytes())
    assert refused(web.address("/a.mp4"))


def test_user_and_password_of_an_address_are_shown_to_its_server_and_to_nobody_else(
    web: Web, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = write_video(tmp_path / "a.mkv", frames=5).read_bytes()

    def locked(request: Handler) -> None:
        expected = "Basic " + base64.b64encode(b"hidden:secret").decode()
        if request.headers["Authorization"] == expected:
            file_of(content)(request)
        else:
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="cam"')
            request.send_header("Content-Length", "0")
            request.end_headers()

    web.routes["/a.mkv"] = locked
    source = opened(web.address("/a.mkv?token=secret", "hidden:secret@"))
    assert len(read(source)[0]) == 5
    assert source.name == web.address("/a.mkv")
    assert "secret" not in refused(web.address("/a.mkv?token=secret", "hidden:secret2@")) + caplog.text


def test_a_live_source_that_breaks_off_is_opened_again_ever_more_patiently(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    web.routes["/live"] = in_turn(camera, camera, busy, busy, camera)
    waits = Waits(4)
    source = open_source(web.address("/live?token=secret", "hidden:secret@"), waits)
    assert (source.live, source.fps, source.count) == (True, None, None)
    pictures, error = read(source)
    assert error == "stopped"
    assert 2 * 10 <= len(pictures) <= 2 * 11
    assert waits == [0.5, 1.0, 2.0, 0.5], "twice as long each time, and anew after it worked"
    assert "opening it again in 2.0 s" in caplog.text
    assert "secret" not in caplog.text


def test_a_live_source_that_worked_once_is_waited_for_however_long_it_takes() -> None:
    waits = Waits(1100)  # about three hours
    with serving() as web:
        web.routes["/live"] = camera
        pictures = (source := open_source(web.address("/live"), waits)).read()
        next(pictures)
    list(itertools.islice(pictures, 9))
    with closed_port(web.server_port), pytest.raises(SourceError, match="stopped"):
        list(pictures)
    assert source.live
    assert waits[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert set(waits[5:]) == {10.0}


def test_a_live_source_that_never_gave_a_picture_is_given_up_after_three_tries(web: Web) -> None:
    web.routes["/live"] = in_turn(camera, busy)
    waits = Waits()
    pictures, error = read(open_source(web.address("/live"), waits))
    assert pictures == []
    assert "tried 3 times" in error
    assert waits == [0.5, 1.0]


def test_a_file_that_lists_addresses_does_not_make_us_call_them(web: Web, tmp_path: Path) -> None:
    web.routes["/a.ts"] = file_of(b"")
    listing = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{web.address('/a.ts')}\n#EXT-X-ENDLIST\n"
    for name in ("list.m3u8", "list.mp4", "list.ts"):
        (tmp_path / name).write_text(listing)
        refused(tmp_path / name)
    assert web.requests == []


def test_a_web_server_cannot_make_us_read_our_own_files(web: Web) -> None:
    listing = f"#EXTM3U\n#EXT-X-TARGETDURATION:14\n#EXTINF:14,\nfile://{SAMPLE}\n#EXT-X-ENDLIST\n"

    def elsewhere(request: Handler) -> None:
        request.send_response(302)
        request.send_header("Location", f"file://{SAMPLE}")
        request.end_headers()

    web.routes = {"/list.m3u8": file_of(listing.encode()), "/moved.mp4": elsewhere}
    assert refused(web.address("/list.m3u8"))
    assert refused(web.address("/moved.mp4"))


def test_an_rtsp_camera_is_first_asked_for_tcp_which_loses_nothing() -> None:
    asked: list[str] = []
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 0 RTP/AVP 26\na=control:video\n"

    def answer(listening: socket.socket) -> None:
        """Describe one video and refuse every transport (RFC 2326)."""
        connection, _ = listening.accept()
        with connection, connection.makefile("rw", newline="\r\n") as lines:
            while request := "".join(itertools.takewhile(str.strip, lines)):
                head = dict(line.strip().split(": ", 1) for line in request.splitlines()[1:] if ": " in line)
                asked.extend([head["Transport"]] if "Transport" in head else [])
                body = sdp if request.startswith("DESCRIBE") else ""
                status = "461 Unsupported Transport" if request.startswith("SETUP") else "200 OK"
                lines.write(f"RTSP/1.0 {status}\nCSeq: {head['CSeq']}\nContent-Type: application/sdp\n")
                lines.write(f"Content-Length: {len(body) + body.count(chr(10))}\n\n{body}")
                lines.flush()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,), daemon=True)
        thread.start()
        refused(f"rtsp://127.0.0.1:{listening.getsockname()[1]}/main")
        thread.join(10)
    assert "TCP" in asked[0], asked


@pytest.mark.parametrize("own", [None, "", "rtsp_transport;udp", "protocol_whitelist;file,http,tcp|x;1"])
def test_the_persons_own_options_for_opencv_are_there_again_afterwards(
    own: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    monkeypatch.delenv(name, raising=False)
    if own is not None:
        monkeypatch.setenv(name, own)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert len(read(opened(SAMPLE))[0]) == 420
    assert os.environ.get(name) == own
    refused(tmp_path / "broken.mp4")
    assert os.environ.get(name) == own


def test_the_persons_own_options_for_opencv_are_used(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    agents: list[str] = []

    def ask(request: Handler) -> None:
        agents.append(request.headers.get("User-Agent", ""))
        file_of(b"")(request)

    web.routes["/a.ts"] = ask
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "user_agent;gate-7")
    refused(web.address("/a.ts"))
    assert "gate-7" in agents


def test_the_persons_own_options_cannot_make_a_file_call_addresses(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file,http,tcp|format_whitelist;hls,mpegts"
    )
    test_a_file_that_lists_addresses_does_not_make_us_call_them(web, tmp_path)


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert sum(doctest.testmod(module).failed for module in (captures, pace)) == 0


# Pace


@dataclass
class Clock:
    """Time that passes only by sleeping, or when the test says so."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


def sent_from_camera(pacer: Pacer, clock: Clock, pictures: int, fps: float) -> list[float]:
    """When each picture admitted goes out, of a camera that has its own time."""
    start, times = clock.now, []
    for number in range(pictures):
        clock.now = max(clock.now, start + number / fps)
        if pacer.admit():
            times.append(clock.now - start)
    return times


def sent_at(pacer: Pacer, clock: Clock, pictures: int, each_takes_s: float) -> list[float]:
    """When each picture admitted goes out, counted from the first."""
    times = []
    for _ in range(pictures):
        if pacer.admit():
            times.append(clock.now)
        clock.now += each_takes_s
    return [moment - times[0] for moment in times]


@pytest.mark.parametrize("fps", [0.5, 5, 30, 1000])
def test_a_file_is_sent_at_even_distances(fps: float) -> None:
    clock = Clock()
    times = sent_at(Pacer(fps, False, clock, clock.sleep), clock, 50, 0.2 / fps)
    assert times == pytest.approx([number / fps for number in range(50)])


def test_without_a_rate_nothing_is_waited_for_nor_left_out() -> None:
    for live in (True, False):
        clock = Clock()
        assert len(sent_at(Pacer(None, live, clock, clock.sleep), clock, 100, 0.001)) == 100
        assert clock.slept == []


@pytest.mark.parametrize("wanted", [1, 7, 10, 15, 25, 30])
def test_of_a_live_source_what_is_over_the_rate_is_left_out(wanted: float) -> None:
    clock = Clock()
    times = sent_from_camera(Pacer(wanted, True, clock, clock.sleep), clock, 300, 30)
    assert len(times) == pytest.approx(10 * wanted, abs=2)
    assert max(b - a for a, b in itertools.pairwise(times)) < 1 / wanted + 1 / 30


def test_no_live_picture_is_held_back() -> None:
    clock = Clock()
    assert len(sent_from_camera(Pacer(20, True, clock, clock.sleep), clock, 300, 27)) == pytest.approx(222, abs=2)
    assert clock.slept == []


def test_of_a_live_source_slower_than_the_rate_nothing_is_left_out_nor_held_back() -> None:
    clock = Clock()
    assert len(sent_from_camera(Pacer(30, True, clock, clock.sleep), clock, 100, 10)) == 100
    assert clock.slept == []


def test_a_file_a_little_late_catches_up_so_that_its_length_stays_true() -> None:
    clock = Clock()
    pacer = Pacer(10, False, clock, clock.sleep)
    sent_at(pacer, clock, 10, 0.0)
    clock.now += 0.75
    sent_at(pacer, clock, 20, 0.0)
    assert clock.now - 1000 == pytest.approx(2.9)


@pytest.mark.parametrize("stall_s", [1.2, 60, 86_400])
@pytest.mark.parametrize("live", [True, False])
def test_more_than_a_second_late_it_counts_anew_and_does_not_burst(stall_s: float, live: bool) -> None:
    clock = Clock()
    pacer = Pacer(10, live, clock, clock.sleep)
    sent_at(pacer, clock, 10, 0.0)
    clock.now += stall_s
    times = sent_at(pacer, clock, 100, 0.02)
    assert min(b - a for a, b in itertools.pairwise(times)) > 0.05


def test_the_rate_is_as_recorded_or_as_fast_as_possible_or_as_said() -> None:
    assert rate("native", 29.97) == 29.97
    assert rate("native", None) is None
    assert rate("max", 30.0) is None
    assert rate(5.0, 30.0) == rate("5", None) == 5.0
