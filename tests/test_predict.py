"""Questions about uploaded pictures: right answers to good ones, a reason for bad ones, and no client spoils it."""

from __future__ import annotations

import base64
import http.client
import io
import itertools
import json
import random
import statistics
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import requests
from selenium.webdriver.common.by import By

from bundles import Made
from conftest import Command, wait_for
from framewatch.consumer.processing import ClassifiedFrame, ConsumedRecord, process
from framewatch.errors import BadPicture, SourceError
from framewatch.kafka.record import to_record
from framewatch.live.hub import LiveHub
from framewatch.model.detection import Box, Detection
from framewatch.model.frame import Frame
from framewatch.objects.base import Access
from framewatch.objects.open import open_objects
from framewatch.ports import accepts
from framewatch.producer.sources.open import open_source
from framewatch.training.data.reading import read_sample
from framewatch.training.data.samples import Sample
from framewatch.vision.classifier import Classifier, Image
from framewatch.vision.detectors.faces import HaarFaces
from framewatch.vision.images import read_picture
from framewatch.vision.jpeg import decode_img, encode_jpeg
from framewatch.vision.presets import bundle_factory
from framewatch.web.api.predict import Limits
from framewatch.web.app import AccessControl, Backend, create_app
from framewatch.web.predictor import PredictionFailed, Predictor, PredictorBusy
from framewatch.web.security.rate import RateLimit
from framewatch.web.server import WebServer
from shared import free_port
from test_browser import Browser, browser, chrome, sample_frames  # noqa: F401  # fixtures
from test_web import HEALTHY, Clock, Site, authorization

Reply = tuple[int, dict[str, str], Any]
EMPTY_ROOM = encode_jpeg(np.full((90, 160, 3), 128, np.uint8))
FREE = Limits(per_minute=60_000)


class Asking(Site):
    """A web server that answers questions about pictures."""

    def __init__(
        self,
        make: Callable[[], Classifier] = HaarFaces,
        labels: Sequence[str] = HaarFaces.labels,
        limits: Limits = FREE,
        password: str | None = None,
    ) -> None:
        self.clock = Clock()
        self.hub = LiveHub(8, self.clock)
        self.predictor = Predictor(make, labels)
        self.app = create_app(
            Backend(self.hub, lambda: HEALTHY, predictor=self.predictor, predict_limits=limits),
            AccessControl(password=password),
        )
        self.port = free_port()
        self.server = WebServer(self.app, "127.0.0.1", self.port, 8)
        self._number = 0

    def post(self, body: bytes, kind: str | None = "image/jpeg", target: str = "/predict", **headers: str) -> Reply:
        """Status, headers and JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if kind is not None:
            named["Content-Type"] = kind
        try:
            # What is refused is not read to its end: the answer may be there before all is sent.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", target, body, named)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), json.loads(answer.read())
        finally:
            connection.close()

    def raw(self, head: Sequence[str], body: bytes, half_close: bool = False) -> tuple[int, Any]:
        """Status and JSON of a request written as it is given."""
        with self.connect() as connection:
            lines = ["POST /predict HTTP/1.1", "Host: localhost", "Content-Type: image/jpeg", *head, "", ""]
            with suppress(BrokenPipeError, ConnectionResetError):  # as above
                connection.sendall("\r\n".join(lines).encode() + body)
                if half_close:
                    connection.shutdown(1)
            answer = http.client.HTTPResponse(connection, method="POST")
            answer.begin()
            return answer.status, json.loads(answer.read())


@contextmanager
def serve(**options: Any) -> Iterator[Asking]:
    site = Asking(**options)
    try:
        with site.server:
            yield site
            site.hub.close()
    finally:
        site.predictor.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Asking]:
    with serve() as site:
        yield site


@pytest.fixture(scope="module")
def faces() -> list[bytes]:
    """A few frames of the sample, with and without faces, as they are sent."""
    return [encode_jpeg(image, 90) for image in itertools.islice(sample_frames(), 0, None, 40)]


def form(*parts: tuple[str, bytes], boundary: str = "xyz") -> tuple[bytes, str]:
    """A multipart body of (rest of the Content-Disposition, content), and its type."""
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data{rest}\r\n\r\n".encode() + content + b"\r\n"
        for rest, content in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


FILE = '; name="file"; filename="../../etc/x.exe"'


def encoded(picture: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, pixels: bytes, *chunks: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(pixels, 1))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + data + png_chunk(b"IEND", b"")


# Good pictures


def test_the_answer_is_what_the_stream_says_of_the_same_jpeg(site: Asking, faces: list[bytes]) -> None:
    found = 0
    for number, jpeg in enumerate(faces):
        image = decode_img(jpeg)
        frame = Frame("cam", "run", number, 1_000_000, image.shape[1], image.shape[0], jpeg)
        [outcome] = process([ConsumedRecord("frames", 0, number, to_record(frame))], HaarFaces())
        assert isinstance(outcome, ClassifiedFrame)
        status, headers, said = site.post(jpeg)
        assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "application/json", "no-store")
        keys = ("x", "y", "width", "height")
        assert [
            (d["label"], d["confidence"], tuple(d["box"][key] for key in keys), d["scores"])
            for d in said["detections"]
        ] == [
            (e.label, e.confidence, e.boundingbox, [{"label": n, "confidence": s} for n, s in e.scores])
            for e in outcome.events
        ]
        assert (said["model"], said["width"], said["height"]) == (HaarFaces().model, 640, 360)
        found += len(outcome.events)
    assert found > 3


@pytest.mark.parametrize("name", ["colours", "sequence", "moods"])
def test_a_trained_model_says_the_same_of_an_upload_as_of_a_frame(
    bundles: Made, faces: list[bytes], name: str
) -> None:
    factory = bundle_factory(bundles[name])
    with serve(make=factory.make, labels=factory.labels) as site:
        assert json.loads(site.ask("/classes")[2]) == list(factory.labels)
        for jpeg in faces[:3]:
            detections = factory.make().classify([decode_img(jpeg)])[0]
            said = site.post(jpeg)[2]
            assert [(d["label"], d["box"] and tuple(d["box"].values())) for d in said["detections"]] == [
                (detection.label, detection.box) for detection in detections
            ]
            assert [d["confidence"] for d in said["detections"]] == pytest.approx(
                [detection.confidence for detection in detections], abs=0.01
            )
            if detections:
                assert {p["action"] for p in said["all_predictions"]} == set(factory.labels)
                assert said["action"] == said["all_predictions"][0]["action"]
                assert said["confidence"] == said["all_predictions"][0]["confidence"]


def test_events_keep_the_five_best_of_all_scores(faces: list[bytes]) -> None:
    frame = Frame("cam", "run", 0, 1_000_000, 640, 360, faces[0])
    [outcome] = process([ConsumedRecord("frames", 0, 0, to_record(frame))], Activities())
    assert isinstance(outcome, ClassifiedFrame)
    assert len(outcome.detections[0].scores) == 15
    assert [event.scores for event in outcome.events] == [outcome.detections[0].scores[:5]]


def test_a_form_a_body_and_chunks_are_the_same_question(site: Asking, faces: list[bytes]) -> None:
    jpeg = faces[1]
    expected = site.post(jpeg)[2]
    body, kind = form((FILE, jpeg), ('; name="note"', b"text beside it"))
    assert site.post(body, kind)[2] == expected
    assert site.post(jpeg, "application/octet-stream")[2] == expected
    assert site.post(jpeg, "image/gif")[2] == expected  # the content tells, not the name
    for size in (1000, 1, 10**6):
        part = jpeg[:3000] if size == 1 else jpeg
        chunks = b"".join(
            b"%x\r\n%b\r\n" % (len(p), p) for p in (part[i : i + size] for i in range(0, len(part), size))
        )
        status, said = site.raw(["Transfer-Encoding: chunked"], chunks + b"0\r\n\r\n")
        assert (status, said) == (200, expected) if size > 1 else (status, said["detail"][:7]) == (400, "damaged")


def test_no_face_is_said_in_words(site: Asking) -> None:
    status, _, said = site.post(EMPTY_ROOM)
    assert status == 200
    assert said == {
        "action": None,
        "confidence": None,
        "all_predictions": [],
        "detections": [],
        "model": HaarFaces().model,
        "width": 160,
        "height": 90,
        "detail": "no face was found in the picture",
    }


class Activities:
    """Every label for the whole picture, and a face of each of two sizes when it is asked for."""

    labels = tuple(f"activity {k}" for k in range(15))
    batch_size = 4
    stateful = False
    model = "activities@1"

    def __init__(self, boxes: Sequence[Box] = ()) -> None:
        self.boxes = boxes
        self.batches: list[int] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:  # noqa: ARG002
        self.batches.append(len(images))
        self.go_on.wait()
        if any(image[0, 0, 0] > 250 for image in images):
            raise RuntimeError("a picture it cannot cope with")
        return [self._found(image) for image in images]

    def _found(self, image: Image) -> list[Detection]:
        best = int(image[0, 0, 0]) // 16
        order = [best, *(k for k in range(15) if k != best)]
        scores = tuple((self.labels[k], np.float32(0.5 ** (i + 1)).item()) for i, k in enumerate(order))
        if not self.boxes:
            return [Detection(self.labels[best], 0.5, scores=scores)]
        return [Detection(f"box {k}", 0.9 - k / 10, box, ((1.5, 2),)) for k, box in enumerate(self.boxes)]


def grey(shade: int, width: int = 16, height: int = 16) -> bytes:
    return png(width, height, (b"\0" + bytes([shade] * 3) * width) * height)


def test_a_model_of_whole_pictures_gives_every_class_best_first() -> None:
    with serve(make=Activities, labels=Activities.labels) as site:
        status, _, said = site.post(grey(50))
        assert (status, said["action"], said["confidence"]) == (200, "activity 3", 0.5)
        assert {p["action"] for p in said["all_predictions"]} == set(Activities.labels)
        confidences = [p["confidence"] for p in said["all_predictions"]]
        assert confidences == sorted(confidences, reverse=True)
        assert [d["box"] for d in said["detections"]] == [None]
        status, headers, body = site.ask("/classes")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert json.loads(body) == list(Activities.labels)


def test_the_action_is_the_nearest_persons_and_places_are_in_the_pictures_own_pixels() -> None:
    with serve(make=lambda: Activities([Box(1, 2, 3, 4), Box(10, 20, 100, 50)]), labels=("face",)) as site:
        _, _, said = site.post(grey(50, 3840, 20))
        assert (said["action"], said["confidence"]) == ("box 1", 0.8)
        assert (said["width"], said["height"]) == (3840, 20)
        assert said["detections"][1]["box"] == {"x": 20, "y": 40, "width": 200, "height": 100}
        assert said["detections"][1]["landmarks"] == [[3, 4]]


# Pixels


def scene(width: int = 96, height: int = 64) -> Image:
    """Another colour in each corner, smooth between them."""
    down, right = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.dstack([40 + right, 200 - down, 30 + down + right]).astype(np.uint8)


def test_a_jpeg_has_the_same_pixels_uploaded_as_sent_in_a_stream(faces: list[bytes]) -> None:
    rgb = PIL.Image.fromarray(decode_img(faces[0])[:, :, ::-1])
    others = [
        encoded(rgb.convert(mode).crop((0, 0, 333, 211)), "JPEG", quality=quality, subsampling=sub, progressive=steps)
        for mode in ("RGB", "L")
        for quality in (30, 95)
        for sub in (0, 1, 2)
        for steps in (False, True)
    ]
    for jpeg in (*faces, *others):
        assert (read_picture(jpeg).image == decode_img(jpeg)).all()


def test_every_kind_of_picture_becomes_colours_of_8_bits() -> None:
    bgr = scene()
    rgb = PIL.Image.fromarray(bgr[:, :, ::-1])
    grey16 = PIL.Image.fromarray(np.linspace(0, 65535, 96 * 64).astype(np.uint16).reshape(64, 96))
    clear = rgb.convert("RGBA")
    clear.putalpha(0)
    luma = np.asarray(rgb.convert("L"))[:, :, None].repeat(3, 2)
    kinds: list[tuple[bytes, Image, int]] = [
        (encoded(rgb, "PNG"), bgr, 0),
        (encoded(rgb, "WEBP", lossless=True), bgr, 0),
        (encoded(rgb, "WEBP", quality=95), bgr, 12),
        (encoded(rgb.convert("CMYK"), "JPEG", quality=95), bgr, 12),
        (encoded(rgb.quantize(256), "PNG"), bgr, 24),
        (encoded(rgb.quantize(256), "PNG", transparency=b"\xff" * 256), bgr, 24),
        (encoded(rgb.convert("L"), "PNG"), luma, 0),
        (encoded(rgb.convert("LA"), "PNG"), luma, 0),
        (encoded(rgb.convert("RGBA"), "PNG"), bgr, 0),
        (encoded(clear, "PNG"), np.full_like(bgr, 255), 0),  # as a page shows it
        (encoded(clear, "WEBP", lossless=True), np.full_like(bgr, 255), 0),
        (encoded(grey16, "PNG"), (np.asarray(grey16) >> 8).astype(np.uint8)[:, :, None].repeat(3, 2), 0),
        (encoded(rgb, "MPO", save_all=True, append_images=[rgb.rotate(90)], quality=95), bgr, 12),
        (encoded(rgb, "JPEG", quality=95) + b"PK\3\4 a film, as telephones add", bgr, 12),
    ]
    for data, expected, tolerance in kinds:
        picture = read_picture(data)
        assert (picture.width, picture.height, picture.image.dtype.name) == (96, 64, "uint8")
        assert np.abs(picture.image.astype(int) - expected).max() <= tolerance, data[:40]
    assert read_picture(encoded(rgb.convert("1"), "PNG")).image.shape == (64, 96, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_taken_sideways_is_seen_upright(kind: str) -> None:
    upright = PIL.Image.fromarray(scene()[:, :, ::-1])
    turns = PIL.Image.Transpose
    stored = {2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM, 5: turns.TRANSPOSE,
              6: turns.ROTATE_90, 7: turns.TRANSVERSE, 8: turns.ROTATE_270}  # fmt: skip
    for tag in range(10):
        notes = PIL.Image.Exif()
        notes[0x0112] = tag
        file = upright.transpose(stored[tag]) if tag in stored else upright
        picture = read_picture(encoded(file, kind, exif=notes, quality=95))
        assert (picture.width, picture.height) == (96, 64)
        assert np.abs(picture.image.astype(int) - scene()).max() <= 16


def test_large_pictures_are_looked_at_as_producers_send_them() -> None:
    large = PIL.Image.fromarray(scene(192, 128)[:, :, ::-1]).resize((3000, 2000))
    for data in (encoded(large, "JPEG"), encoded(large, "PNG", compress_level=1)):
        picture = read_picture(data)
        assert (picture.width, picture.height, picture.image.shape) == (3000, 2000, (1280, 1920, 3))


# The same pixels, or the same refusal, whoever asks: what a model learned of is what it is shown


def cutout() -> PIL.Image.Image:
    """A thing without its background, which is black where nobody sees it."""
    pixels = np.dstack([scene()[:, :, ::-1], np.zeros((64, 96), np.uint8)])
    pixels[20:50, 30:70, 3] = 255
    pixels[30:40, 40:60, 3] = 100
    pixels[pixels[:, :, 3] == 0] = 0
    return PIL.Image.fromarray(pixels)


def odd_pictures() -> dict[str, bytes]:
    rgb = PIL.Image.fromarray(scene()[:, :, ::-1])
    large, grey16 = rgb.resize((4100, 2900)), np.linspace(0, 65535, 96 * 64).astype(np.uint16).reshape(64, 96)
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    palette = cutout().convert("RGB").quantize(64)
    hidden = int(np.asarray(palette)[0, 0])
    return {
        "rgba.png": encoded(cutout(), "PNG"),
        "la.png": encoded(cutout().convert("LA"), "PNG"),
        "palette.png": encoded(palette, "PNG", transparency=hidden),
        "one-colour.png": encoded(rgb, "PNG", transparency=rgb.getpixel((5, 5))),
        "one-colour-large.png": encoded(rgb.resize((2100, 1400), 0), "PNG", transparency=rgb.getpixel((5, 5))),
        "rgba.webp": encoded(cutout(), "WEBP", lossless=True),
        "rgba.tif": encoded(cutout(), "TIFF"),
        "rgba-large.png": encoded(cutout().resize((2100, 1400), 0), "PNG", compress_level=1),
        "plain.jpg": encoded(rgb, "JPEG", quality=95),
        "grey.jpg": encoded(rgb.convert("L"), "JPEG"),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG", quality=95),
        "rgb-inside.jpg": encoded(rgb, "JPEG", quality=95, keep_rgb=True),
        "views.jpg": encoded(rgb, "MPO", save_all=True, append_images=[rgb.rotate(90)], quality=95),
        "more-behind.jpg": encoded(rgb, "JPEG", quality=95) + b"PK\3\4 a film, as telephones add",
        "large.jpg": encoded(large, "JPEG", quality=95),
        "large-turned.jpg": encoded(large, "JPEG", quality=95, exif=turned),
        "turned.jpg": encoded(rgb, "JPEG", quality=95, exif=turned),
        "turned.png": encoded(rgb, "PNG", exif=turned),
        "turned.webp": encoded(rgb, "WEBP", exif=turned, lossless=True),
        "turned.tif": encoded(rgb, "TIFF", tiffinfo={0x0112: 6}),
        "grey16.png": encoded(PIL.Image.fromarray(grey16), "PNG"),
        "grey16.tif": encoded(PIL.Image.fromarray(grey16), "TIFF"),
        "bit.png": encoded(rgb.convert("1"), "PNG"),
        "lab.tif": encoded(rgb.convert("LAB"), "TIFF"),
        "cmyk.tif": encoded(rgb.convert("CMYK"), "TIFF"),
        "plain.bmp": encoded(rgb, "BMP"),
        "png-inside.jpg": encoded(rgb, "PNG"),
        "jpeg-inside.png": encoded(rgb, "JPEG"),
        "gif-inside.png": encoded(rgb, "GIF"),
        "half.jpg": (whole := encoded(large, "JPEG"))[: len(whole) // 2] + b"\xff\xd9",
    }


def refused_pictures() -> dict[str, tuple[bytes, str]]:
    rgb = PIL.Image.fromarray(scene()[:, :, ::-1])
    return {
        "truncated.jpg": (SOUND[: len(SOUND) // 2], "damaged"),
        "no-end.jpg": (SOUND[:-2], "damaged"),
        "truncated.png": (encoded(cutout(), "PNG")[:-40], "damaged"),
        "bomb.png": (png(60_000, 60_000, b""), "too-many-pixels"),
        "bomb.jpg": (SOUND.replace(bytes([0, 64, 0, 96]), b"\xff\xff" * 2, 1), "too-many-pixels"),
        "empty.jpg": (b"", "not-a-picture"),
        "text.png": (b"this is no picture", "not-a-picture"),
        "jpeg2000.jpg": (encoded(rgb, "JPEG2000"), "not-a-picture"),
        "avif.jpg": (encoded(rgb, "AVIF"), "not-a-picture"),
        "ppm.jpg": (encoded(rgb, "PPM"), "not-a-picture"),
        "float.tif": (encoded(PIL.Image.new("F", (64, 64), 0.5), "TIFF"), "unknown-depth"),
        "whole32.tif": (encoded(PIL.Image.new("I", (64, 64), 200), "TIFF"), "unknown-depth"),
    }


class Noting(Activities):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Image] = []

    def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:  # noqa: ARG002
        self.shown += images
        return [self._found(np.zeros_like(image)) for image in images]


def sent(path: Path) -> Image:
    """The picture of a folder as a producer reads it."""
    [picture] = open_source(str(path), time.sleep).read()
    return picture.image


def learned(path: Path) -> Image:
    """The picture of a folder as a model is trained on it."""
    sample = Sample(path.name, "label", files=(path.name,))
    [picture] = read_sample(open_objects(str(path.parent), Access()), sample, 1).pictures
    return picture


def test_a_picture_has_the_same_pixels_learned_from_sent_and_asked_about(tmp_path: Path) -> None:
    noting = Noting()
    with serve(make=lambda: noting, labels=noting.labels) as site:
        for name, data in odd_pictures().items():
            path = tmp_path / name
            path.write_bytes(data)
            image = learned(path)
            assert np.array_equal(sent(path), image), name
            frame = decode_img(encode_jpeg(sent(path), 100)).astype(int)  # as a worker gets it
            assert np.abs(frame - image).mean() < 2, name
            if path.suffix in {".tif", ".bmp"} or name.startswith("gif"):
                assert site.post(data)[0] == 400, name
            else:
                assert site.post(data)[0] == 200, name
                assert np.array_equal(noting.shown[-1], image), name
            if name.startswith(("rgba", "la.", "palette")):
                assert (image[:5] == 255).all(), f"{name}: what is transparent is white"
            if name.startswith(("turned", "large-turned")):
                assert image.shape[0] > image.shape[1], f"{name}: stands upright"


@pytest.mark.filterwarnings("default:Image size:PIL.Image.DecompressionBombWarning")  # as it is outside of tests
def test_a_picture_is_refused_for_the_same_reason_learned_from_sent_and_asked_about(
    site: Asking, tmp_path: Path
) -> None:
    for name, (data, reason) in refused_pictures().items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(BadPicture) as of_training:
            learned(path)
        with pytest.raises(SourceError) as of_producer:
            sent(path)
        assert of_training.value.reason == reason, name
        assert str(of_producer.value) == f"{path}: not a picture that can be read: {of_training.value}"
        if path.suffix != ".tif" and data:
            status, _, problem = site.post(data)
            assert (status, problem["detail"].partition(":")[0]) == (400, reason), name


# Bad uploads


NOISE = random.Random(5).randbytes(200_000)
SOUND = encode_jpeg(scene())
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "has no body"),
    "noise": (NOISE, "not-a-picture: 200000 bytes of a kind that is not known here: a picture is needed"),
    "gif": (b"GIF89a" + bytes(100), "not-a-picture: 106 bytes, a GIF: a picture is needed: JPEG, PNG, WEBP"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "a picture is needed: JPEG, PNG, WEBP"),
    "html": (b"<html><script>alert(1)</script>", "a picture is needed: JPEG, PNG, WEBP"),
    "zip before a picture": (b"PK\3\4" + SOUND, "a picture is needed: JPEG, PNG, WEBP"),
    "bmp": (encoded(PIL.Image.new("RGB", (9, 9)), "BMP"), "a picture is needed: JPEG, PNG, WEBP"),
    "tiff": (encoded(PIL.Image.new("RGB", (9, 9)), "TIFF"), "a picture is needed: JPEG, PNG, WEBP"),
    "truncated jpeg": (SOUND[: len(SOUND) // 2], "damaged"),
    "truncated png": (grey(9)[:-20], "damaged"),
    "header only": (grey(9)[:20], ""),
    "truncated webp": (encoded(PIL.Image.new("RGB", (200, 200)), "WEBP")[:-30], ""),
    "animated": (
        encoded(PIL.Image.new("RGB", (9, 9)), "WEBP", save_all=True, append_images=[PIL.Image.new("RGB", (9, 9), 9)]),
        "animation: 2 pictures",
    ),
    "bomb": (png(50_000, 50_000, bytes(10_000_000)), "too-many-pixels"),
    "smaller bomb": (png(6000, 6000, bytes(10_000_000)), "too-many-pixels: 6000x6000"),
    "wide bomb": (png(2**31 - 1, 1, b""), "too-many-pixels"),
    "fewer pixels than its header says": (png(4000, 4000, bytes(100)), "damaged"),
    "text bomb": (png(9, 9, bytes(1000), png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000)))), "damaged"),
    "many texts": (
        png(9, 9, bytes(1000), png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(10**6))) * 99),
        "damaged",
    ),
    "profile bomb": (
        png(9, 9, bytes(1000), png_chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(50_000_000)))),
        "damaged",
    ),
}


@pytest.mark.filterwarnings("default:Image size:PIL.Image.DecompressionBombWarning")  # as it is outside of tests
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_picture_is_refused_with_the_reason_and_soon(site: Asking, name: str) -> None:
    data, reason = BAD_FILES[name]
    body, kind = form((FILE, data))
    for sent, sent_as in ((data, "image/png"), (body, kind)):
        started_s = time.process_time()  # of this process, the server's too: others may have the machine meanwhile
        status, headers, problem = site.post(sent, sent_as)
        assert (status, headers["Content-Type"], problem["status"]) == (400, "application/problem+json", 400)
        assert ("the file is empty" if not data and sent else reason) in problem["detail"]
        assert time.process_time() - started_s < 2
    assert site.post(EMPTY_ROOM)[0] == 200


def test_a_bomb_among_chunks_that_are_decompressed_anyway_is_harmless(site: Asking) -> None:
    assert site.post(png(9, 9, bytes(100_000_000)))[0] == 200  # no more is decompressed than there are pixels


BAD_FORMS: dict[str, tuple[tuple[bytes, str], int, str]] = {
    "other field": (form(('; name="image"; filename="a"', SOUND)), 400, "no file in a field 'file'; fields: 'image'"),
    "no field": (form(), 400, "fields: none"),
    "text": (form(('; name="file"', b"text")), 400, "holds text"),
    "two files": (form((FILE, SOUND), (FILE, SOUND)), 400, "got 2 files"),
    "another file": (form((FILE, SOUND), ('; name="more"; filename="a"', SOUND)), 400, "got 2 files"),
    "no name": (form(('; filename="a"', SOUND)), 400, "no file"),
    "no disposition": (
        (b"--xyz\r\nX: y\r\n\r\n" + SOUND + b"\r\n--xyz--\r\n", "multipart/form-data; boundary=xyz"), 400, "damaged"),
    "no boundary": ((SOUND, "multipart/form-data"), 400, "names no boundary"),
    "wrong boundary": ((form((FILE, SOUND))[0], "multipart/form-data; boundary=abc"), 400, "damaged"),
    "odd boundary": ((form((FILE, SOUND))[0], "multipart/form-data; boundary=\"\u00e4\""), 400, "damaged"),
    "cut off": ((form((FILE, SOUND))[0][:-30], "multipart/form-data; boundary=xyz"), 400, "damaged"),
    "no end of the head": ((b"--xyz\r\nContent-Disposition: form-data" + FILE.encode(),
                            "multipart/form-data; boundary=xyz"), 400, "damaged"),
    "thousand parts": (form(*[(f'; name="a{k}"', b"x") for k in range(1000)]), 413, "16 parts"),
    "thousand files": (form(*[(f'; name="file"; filename="{k}"', b"x") for k in range(1000)]), 400, "got 2 files"),
    "long name": (form((f'; name="{"n" * 500_000}"; filename="a"', SOUND)), 413, "256 kB of text"),
    "long text": (form(('; name="a"', b"x" * 500_000), (FILE, SOUND)), 413, "256 kB of text"),
    "another kind": ((SOUND, "application/x-www-form-urlencoded"), 415, "send a picture as"),
    "json": ((b"{}", "application/json"), 415, "application/json"),
    "no kind": ((SOUND, ""), 415, "send a picture as"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FORMS)
def test_a_bad_form_is_refused_with_the_reason(site: Asking, name: str) -> None:
    (body, kind), expected, reason = BAD_FORMS[name]
    status, headers, problem = site.post(body, kind.encode("latin-1").decode("latin-1"))
    assert (status, headers["Content-Type"], problem["status"]) == (expected, "application/problem+json", expected)
    assert reason in problem["detail"]


def test_odd_bytes_in_a_form_take_no_long_time(site: Asking) -> None:
    for filling in (b"\r", b"\n", b"\r\n", b"-", b"--xyz", b"\r\n--xy", b"\r\n--xyz", NOISE[:64]):
        body, kind = form((FILE, (filling * (3_000_000 // len(filling)))[:3_000_000]))
        started_s = time.process_time()
        assert site.post(body, kind)[0] in {400, 413}
        assert time.process_time() - started_s < 3, filling


def test_no_file_of_a_client_is_written_anywhere(
    site: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))  # a temporary file could not be made
    large = encoded(PIL.Image.fromarray(np.frombuffer(NOISE * 12, np.uint8)[:2_400_000].reshape(800, 1000, 3)), "PNG")
    assert len(large) > 2_000_000
    body, kind = form((FILE, large))
    assert site.post(body, kind)[0] == 200


# Too large, too slow, too many


def test_too_large_a_picture_is_refused_before_it_is_read_or_while(faces: list[bytes]) -> None:
    with serve(limits=Limits(max_bytes=100_000, per_minute=60_000)) as site:
        assert site.post(faces[0])[0] == 200
        for body, kind in ((NOISE, "image/png"), form((FILE, NOISE)), (bytes(30_000_000), "image/png")):
            status, _, problem = site.post(body, kind)
            assert (status, problem["detail"]) == (413, "a picture may have at most 0.1 MB")
        # Not a byte of it is waited for.
        assert site.raw(["Content-Length: 1000000000000"], b"")[0] == 413
        for chunk in (b"%x\r\n%b\r\n" % (len(NOISE), NOISE), b"400\r\n" + bytes(1024) + b"\r\n"):
            status, problem = site.raw(["Transfer-Encoding: chunked"], chunk * 300 + b"0\r\n\r\n")
            assert (status, problem["detail"]) == (413, "a picture may have at most 0.1 MB")
        # The smallest that is too large, and the largest that is not.
        assert [site.post(bytes(size))[0] for size in (100_000, 100_001)] == [400, 413]


def test_lengths_that_are_lies_are_noticed(site: Asking, faces: list[bytes]) -> None:
    jpeg = faces[0]
    assert site.raw([f"Content-Length: {len(jpeg) + 1}"], jpeg, half_close=True)[0] == 400
    assert site.raw([f"Content-Length: {len(jpeg) - 100}"], jpeg)[0] == 400
    assert site.raw(["Content-Length: -1"], jpeg, half_close=True)[0] == 400
    assert site.raw(["Content-Length: 0"], b"")[0] == 400
    assert site.raw([], b"")[0] == 400
    for chunks in (b"ffffffffff\r\n" + jpeg, b"-5\r\n", b"x\r\n", b"5\r\nabc", b"5\r\nabcdexx", b"0" * 70_000):
        assert site.raw(["Transfer-Encoding: chunked"], chunks, half_close=True)[0] == 400
    assert site.ask("/health")[0] == 200


def test_clients_that_stall_in_a_body_stop_nobody_and_are_told_so() -> None:
    with serve() as site, ExitStack() as stack:
        stalled = [stack.enter_context(site.connect()) for _ in range(200)]
        for number, connection in enumerate(stalled):
            length = b"Transfer-Encoding: chunked" if number % 2 else b"Content-Length: 50000"
            connection.sendall(
                b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n\r\n"
            )
        started = time.monotonic()
        stop = threading.Event()

        def dribble() -> None:
            while not stop.wait(0.5):
                for connection in stalled[:20]:
                    try:
                        connection.sendall(b"5")
                    except OSError:
                        continue

        thread = threading.Thread(target=dribble)
        thread.start()
        try:
            taken_s = [site.seconds("/health") for _ in range(20)]
            # A busy machine may make one of them slow, but not as slow as whoever waits for those that stall.
            assert statistics.median(taken_s) < 0.5 and max(taken_s) < 4
            answers = []
            for connection in stalled:
                answer = http.client.HTTPResponse(connection, method="POST")
                answer.begin()
                answers.append((answer.status, answer.headers["Retry-After"], json.loads(answer.read())["detail"]))
            assert time.monotonic() - started < 14
        finally:
            stop.set()
            thread.join()
        assert sorted({status for status, _, _ in answers}) == [408, 503]
        assert [a for a in answers if a[0] == 408] == [(408, None, "a picture came too slowly")] * FREE.at_a_time
        assert {a[1:] for a in answers if a[0] == 503} == {("1", "8 pictures are being classified: try again")}
        assert site.post(EMPTY_ROOM)[0] == 200


def test_a_picture_that_comes_slowly_but_steadily_is_taken(site: Asking, faces: list[bytes]) -> None:
    jpeg = faces[0]
    with site.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n")
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(jpeg))
        for start in range(0, len(jpeg), len(jpeg) // 4 + 1):
            time.sleep(0.3)
            connection.sendall(jpeg[start : start + len(jpeg) // 4 + 1])
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        assert answer.status == 200


def test_one_client_may_not_ask_too_often() -> None:
    with serve(limits=Limits(per_minute=5)) as site:
        answers = [site.post(EMPTY_ROOM) for _ in range(7)]
        assert [status for status, _, _ in answers] == [200] * 5 + [429] * 2
        _, headers, problem = answers[-1]
        assert 1 <= int(headers["Retry-After"]) <= 12
        assert "more than 5 pictures a minute" in problem["detail"]
        assert site.ask("/classes")[0] == 200


def test_the_rate_is_kept_for_each_client_in_bounded_memory() -> None:
    now_s = 0.0
    rate = RateLimit(60, lambda: now_s)
    assert [rate.wait_s("10.0.0.1") for _ in range(60)] == [0.0] * 60
    assert rate.wait_s("10.0.0.1") == pytest.approx(1)
    assert rate.wait_s("10.0.0.2") == 0
    now_s = 1.0
    assert [rate.wait_s("10.0.0.1") for _ in range(2)] == pytest.approx([0, 1])
    # A network of the sixth version is one client.
    assert [rate.wait_s(f"2001:db8::{k:x}") for k in range(61)] == pytest.approx([0] * 60 + [1])
    assert rate.wait_s("2001:db8:0:1::1") == 0
    for number in range(20_000):
        rate.wait_s(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(rate._full_at_s) == 10_000


# Who may ask


def test_only_who_knows_the_password_may_ask() -> None:
    with serve(password="a long secret") as site:
        good = authorization("framewatch", "a long secret").removeprefix("Authorization: ")
        wrong = "Basic " + base64.b64encode(b"framewatch:wrong").decode()
        assert site.post(EMPTY_ROOM, Authorization=good)[0] == 200
        for headers in ({}, {"Authorization": wrong}):
            assert site.post(EMPTY_ROOM, **headers)[0] == 401
            assert site.raw(["Content-Length: 1000000000"], b"")[0] == 401  # and no body is read
            assert site.ask("/classes", "GET", *[f"{k}: {v}" for k, v in headers.items()])[0] == 401


FOREIGN: list[dict[str, str]] = [
    {"Origin": "http://elsewhere"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost"},  # of another port
    {"Origin": "http://["},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "cross-site", "Origin": "OURS"},
]
OURS: list[dict[str, str]] = [
    {},
    {"Origin": "OURS"},
    {"Sec_Fetch_Site": "same-origin", "Origin": "https://behind.a.proxy"},
    {"Sec_Fetch_Site": "none"},
]


def test_pages_of_other_sites_may_not_ask_through_a_persons_browser(site: Asking) -> None:
    for expected, all_headers in ((403, FOREIGN), (200, OURS)):
        for headers in all_headers:
            sent = {name: value.replace("OURS", f"http://127.0.0.1:{site.port}") for name, value in headers.items()}
            status, _, answer = site.post(EMPTY_ROOM, **sent)
            assert (status, headers) == (expected, headers), answer


def test_only_a_post_is_a_question(site: Asking) -> None:
    for target, method in (("/predict", "GET"), ("/predict", "PUT"), ("/classes", "POST")):
        status, headers, body = site.ask(target, method, "Content-Length: 0")
        assert (status, json.loads(body)["status"]) == (405, 405)
        assert headers["Allow"]


# One classifier for all


def test_pictures_of_several_clients_go_through_one_call_each_with_its_own_answer() -> None:
    activities = Activities()
    with serve(make=lambda: activities, labels=Activities.labels) as site, ThreadPoolExecutor(8) as clients:
        activities.go_on.clear()
        first = clients.submit(site.post, grey(0))
        wait_for(lambda: activities.batches == [1], "the first call")
        others = [clients.submit(site.post, grey(16 * k)) for k in range(1, 8)]
        wait_for(lambda: site.predictor._waiting.qsize() == 7, "the others")
        activities.go_on.set()
        said = [answer.result()[2]["action"] for answer in (first, *others)]
        assert said == [f"activity {k}" for k in range(8)]
        assert activities.batches == [1, 4, 3]


def test_a_picture_that_the_classifier_cannot_cope_with_spoils_no_other() -> None:
    activities = Activities()
    with serve(make=lambda: activities, labels=Activities.labels) as site, ThreadPoolExecutor(4) as clients:
        activities.go_on.clear()
        first = clients.submit(site.post, grey(0))
        wait_for(lambda: activities.batches == [1], "the first call")
        others = [clients.submit(site.post, grey(shade)) for shade in (16, 255, 32)]
        wait_for(lambda: site.predictor._waiting.qsize() == 3, "the others")
        activities.go_on.set()
        answers = [answer.result() for answer in (first, *others)]
        assert [status for status, _, _ in answers] == [200, 200, 500, 200]
        assert answers[2][2]["detail"] == "the classifier failed on this picture: RuntimeError"
        assert [a[2].get("action") for a in answers] == ["activity 0", "activity 1", None, "activity 2"]


def test_one_question_too_many_is_refused_at_once_and_a_late_answer_is_not_waited_for() -> None:
    activities = Activities()
    limits = Limits(per_minute=600, at_a_time=3, answer_s=3.0)
    with serve(make=lambda: activities, labels=(), limits=limits) as site, ThreadPoolExecutor(3) as clients:
        activities.go_on.clear()
        waiting = [clients.submit(site.post, grey(0))]
        wait_for(lambda: activities.batches == [1], "the first question")  # else they may go together
        waiting += [clients.submit(site.post, grey(0)) for _ in range(2)]
        wait_for(lambda: site.predictor._waiting.qsize() == 2, "the questions")
        status, headers, problem = site.post(grey(0))
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "3 pictures are being classified" in problem["detail"]
        assert not any(answer.done() for answer in waiting)  # at once: nobody before it has an answer
        late = [answer.result() for answer in waiting]
        assert [(status, problem["detail"]) for status, _, problem in late] == [
            (503, "not classified within 3 s; try again")
        ] * 3
        activities.go_on.set()
        assert site.post(grey(16))[2]["action"] == "activity 1"
        assert activities.batches == [1, 1]  # nobody waited for the other two any more


def test_the_classifier_is_made_at_the_first_question_and_again_if_that_failed() -> None:
    made = []

    def make() -> Classifier:
        made.append(threading.current_thread().name)
        if len(made) == 1:
            raise OSError("the model's file is gone")
        return HaarFaces()

    predictor = Predictor(make, HaarFaces.labels)
    try:
        assert (predictor.labels, made) == (("face",), [])
        with pytest.raises(PredictionFailed, match="the classifier cannot be made: the model's file is gone"):
            predictor.predict(scene(), 10)
        assert predictor.predict(scene(), 10).detections == []
        assert predictor.predict(scene(), 10).model == HaarFaces().model
        assert made == ["predictor"] * 2
    finally:
        predictor.close()


def test_closing_ends_the_thread_and_every_wait() -> None:
    activities = Activities()
    activities.go_on.clear()
    predictor = Predictor(lambda: activities, (), max_waiting=2)
    with ThreadPoolExecutor(3) as clients:
        first = clients.submit(predictor.predict, scene(), 30)
        wait_for(lambda: activities.batches == [1], "the first call")
        others = [clients.submit(predictor.predict, scene(), 30) for _ in range(2)]
        wait_for(lambda: predictor._waiting.qsize() == 2, "the others")
        with pytest.raises(PredictorBusy, match="too many"):
            predictor.predict(scene(), 30)
        closing = threading.Thread(target=predictor.close)
        closing.start()
        wait_for(lambda: predictor._closed, "the end")
        with pytest.raises(PredictorBusy, match="the server ends"):
            predictor.predict(scene(), 30)
        activities.go_on.set()
        assert first.result(60).model == "activities@1"
        for other in others:
            with pytest.raises(PredictorBusy, match="the server ends"):
                other.result(60)
        closing.join(60)
    wait_for(lambda: not predictor._thread.is_alive(), "the end of the thread")
    predictor.close()


# The page


# Of each picture in the history: its shape, and where the middles of its boxes are, as parts of its sides.
BOXES = """
    return [...document.querySelectorAll('#history > li')].map((item) => {
        const at = item.querySelector('img').getBoundingClientRect();
        const middles = [...item.querySelectorAll('rect')].map((rect) => {
            const box = rect.getBoundingClientRect();
            return [(box.x + box.width / 2 - at.x) / at.width, (box.y + box.height / 2 - at.y) / at.height];
        });
        return [at.width / at.height, middles];
    })"""


def send(browser: Browser, file: Path) -> None:  # noqa: F811
    browser.driver.find_element(By.CSS_SELECTOR, "#ask input").send_keys(str(file))
    browser.driver.find_element(By.CSS_SELECTOR, "#ask button").click()
    wait_for(lambda: browser.run("return !document.querySelector('#ask button').disabled"), "the answer")


def expected_complaint(browser: Browser) -> list[str]:  # noqa: F811
    """What the console says of an answer that is an error, which is not the page's fault."""
    return [text.rpartition("status of ")[2][:3] for text in browser.complaints()]


def test_the_page_shows_answers_with_boxes_and_bars_and_keeps_them(
    browser: Browser,  # noqa: F811
    faces: list[bytes],
    tmp_path: Path,
) -> None:
    person, sideways, nobody = (tmp_path / name for name in ("person.jpg", "<b>sideways & co.jpg", "nobody.jpg"))
    person.write_bytes(faces[1])
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    upright = PIL.Image.open(io.BytesIO(faces[1]))
    sideways.write_bytes(encoded(upright.transpose(PIL.Image.Transpose.ROTATE_90), "JPEG", exif=turned, quality=90))
    nobody.write_bytes(EMPTY_ROOM)
    with serve() as site:
        browser.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True},
        )
        browser.open(f"http://127.0.0.1:{site.port}/#/try")
        for file in (person, sideways, nobody):
            send(browser, file)
        items = browser.run("return [...document.querySelectorAll('#history > li')].map((item) => item.innerText)")
        said = site.post(faces[1])[2]
        percent = f"face {100 * said['confidence']:.1f} %"
        assert len(items) == 3  # the newest first
        assert items[0].splitlines() == ["no face was found in the picture", "nobody.jpg"]
        assert (items[1].splitlines()[1], items[2].splitlines()[:2]) == (
            "<b>sideways & co.jpg",
            [percent, "person.jpg"],
        )
        assert browser.text("#said") == "no face was found in the picture"
        # The boxes lie on the pictures where the answer says, also where the file is stored sideways.
        wait_for(
            lambda: browser.run("return [...document.querySelectorAll('#history img')].every((i) => i.complete)"),
            "the pictures",
        )
        places = browser.run(BOXES)
        middles = [
            [(b["x"] + b["width"] / 2) / 640, (b["y"] + b["height"] / 2) / 360]
            for b in (d["box"] for d in said["detections"])
        ]
        assert [ratio for ratio, _ in places] == pytest.approx([16 / 9] * 3, rel=0.02)
        assert places[2][1] == [pytest.approx(middle, abs=0.02) for middle in middles]
        assert places[1][1] == [pytest.approx(middle, abs=0.05) for middle in middles]
        assert places[0][1] == []
        meters = browser.run("return [...document.querySelectorAll('#history meter')].map((m) => m.value)")
        assert len(meters) == 2
        assert meters[1] == pytest.approx(said["confidence"])
        assert browser.run("return [innerWidth, document.documentElement.scrollWidth]") == [360, 360]
        assert browser.complaints() == []
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_shows_the_five_best_of_many_and_forgets_the_oldest(
    browser: Browser,  # noqa: F811
    tmp_path: Path,
) -> None:
    file = tmp_path / "grey.png"
    file.write_bytes(grey(50))
    with serve(make=Activities, labels=Activities.labels) as site:
        browser.open(f"http://127.0.0.1:{site.port}/#/try")
        for _ in range(22):
            send(browser, file)
        assert browser.run("return document.querySelectorAll('#history > li').length") == 20
        assert browser.run("return document.querySelectorAll('#history > li:first-child meter').length") == 5
        assert browser.text("#history > li dl").splitlines()[:2] == ["activity 3", "50.0 %"]


def test_the_page_says_what_to_do_about_what_went_wrong(
    browser: Browser,  # noqa: F811
    tmp_path: Path,
) -> None:
    bad, large, good = (tmp_path / name for name in ("bad.png", "large.png", "good.png"))
    bad.write_bytes(b"no picture")
    large.write_bytes(NOISE)
    good.write_bytes(grey(50))
    site = Asking(limits=Limits(max_bytes=100_000, per_minute=2))
    with site.server:
        browser.open(f"http://127.0.0.1:{site.port}/#/try")
        for file, words in (
            (bad, "Not analyzed: not-a-picture: 10 bytes"),
            (large, "This file is too large: 0.2 MB. The limit is 0.1 MB."),
            (good, "no face was found"),
            (good, "Busy: more than 2 pictures a minute from 127.0.0.1: try again in"),
        ):
            send(browser, file)
            assert browser.text("#said").startswith(words)
        assert expected_complaint(browser) == ["400", "429"]
        site.hub.close()
    site.predictor.close()
    send(browser, good)
    assert browser.text("#said").startswith("Cannot reach the server. Check that it is running")
    assert browser.run("return document.querySelectorAll('#history > li').length") == 1


def test_a_consumer_answers_within_the_limits_it_was_given(
    framewatch: Command, topic: str, database_name: str, faces: list[bytes]
) -> None:
    port = free_port()
    names = ("--topic", topic, "--group", topic, "--database", database_name, "--quiet")
    limits = ("--max-upload-mb", 0.1, "--max-predictions", 3)
    consumer = framewatch("consume", *names, "--port", port, *limits)
    wait_for(lambda: accepts(port), "the web server")
    address = f"http://127.0.0.1:{port}"
    assert requests.get(f"{address}/classes", timeout=30).json() == ["face"]
    answers = [requests.post(f"{address}/predict", files={"file": jpeg}, timeout=30) for jpeg in (faces[1], NOISE)]
    assert [answer.status_code for answer in answers] == [200, 413]
    assert answers[0].json()["action"] == "face"
    again = [requests.post(f"{address}/predict", files={"file": EMPTY_ROOM}, timeout=30) for _ in range(3)]
    assert [answer.status_code for answer in again] == [200, 200, 429]
    consumer.terminate()
    assert consumer.wait(60) == 0


def test_without_a_predictor_there_is_no_form_and_no_address() -> None:
    client = create_app(Backend(LiveHub(1), lambda: HEALTHY)).test_client()
    assert b"ask.js" not in client.get("/").data
    assert [client.post("/predict").status_code, client.get("/classes").status_code] == [404, 404]
