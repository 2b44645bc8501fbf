"""Pictures in and out: good JPEGs decode as they are, all else is refused, and what is drawn shows."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from framewatch.errors import BadPicture
from framewatch.model.detection import Box, Detection
from framewatch.vision.annotate import annotated, colour_of
from framewatch.vision.classifier import Image
from framewatch.vision.jpeg import MAX_PIXELS, decode_img, encode_jpeg, read_size, scaled_down

HEIGHT, WIDTH = 120, 161
REASONS = {"not-a-jpeg", "truncated", "too-many-pixels", "undecodable"}


def picture(height: int = HEIGHT, width: int = WIDTH) -> Image:
    """A coloured ramp with some texture, which a JPEG keeps nearly as it is."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x % 256, y * 2 % 256, (x + y) % 256], axis=2).astype(np.uint8)


def jpeg(*options: int, image: Image | None = None) -> bytes:
    done, buffer = cv2.imencode(".jpg", picture() if image is None else image, list(options))
    assert done
    return buffer.tobytes()


BASELINE = jpeg()
VARIANTS = {
    "baseline": BASELINE,
    "progressive": jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "optimised": jpeg(cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "restart-markers": jpeg(cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "no-subsampling": jpeg(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    "padded-with-zeros": BASELINE + bytes(32),
    "padded-with-line-end": BASELINE + b"\r\n",
    "fill-bytes-before-marker": BASELINE[:2] + b"\xff\xff\xff" + BASELINE[2:],
    "comment": BASELINE[:2] + b"\xff\xfe\x00\x07\xff\xd9\xff\xc0 " + BASELINE[2:],
}
REAL_FACES = ("2007_007763.jpg", "2008_001009.jpg", "2008_001322.jpg", "2008_002079.jpg")


def with_orientation(encoded: bytes, orientation: int) -> bytes:
    """The file with an Exif tag that asks to have it turned (CIPA DC-008, 4.6.4)."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    return encoded[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + encoded[2:]


def with_size(encoded: bytes, width: int, height: int, marker: int = 0xC0) -> bytes:
    """The file with another size, or another process, in its frame header."""
    at = encoded.index(b"\xff\xc0\x00\x11")
    head = bytes([0xFF, marker]) + encoded[at + 2 : at + 5] + struct.pack(">HH", height, width)
    return encoded[:at] + head + encoded[at + 9 :]


def refused(encoded: bytes) -> str:
    """The reason with which the bytes are refused."""
    with pytest.raises(BadPicture) as error:
        decode_img(encoded)
    assert error.value.reason in REASONS
    return error.value.reason


def difference(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_good_jpeg_of_each_kind_decodes_to_the_picture_it_was(variant: str) -> None:
    decoded = decode_img(VARIANTS[variant])
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    assert decoded.dtype == np.uint8
    assert difference(decoded, picture()) < 6


def test_a_grey_jpeg_decodes_to_three_equal_channels() -> None:
    decoded = decode_img(jpeg(image=cv2.cvtColor(picture(), cv2.COLOR_BGR2GRAY).astype(np.uint8)))
    assert decoded.shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(decoded[..., 0], decoded[..., 1])
    assert np.array_equal(decoded[..., 0], decoded[..., 2])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_tag_turns_nothing_so_that_boxes_are_in_stored_pixels(orientation: int) -> None:
    turned = with_orientation(BASELINE, orientation)
    if orientation == 6:
        seen = cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR)
        assert seen is not None
        assert seen.shape[:2] == (WIDTH, HEIGHT), "the tag this test writes is one that a decoder heeds"
    assert np.array_equal(decode_img(turned), decode_img(BASELINE))


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (7, 9)])
def test_the_smallest_and_thinnest_pictures_go_there_and_back(size: tuple[int, int]) -> None:
    encoded = encode_jpeg(picture(*size))
    assert decode_img(encoded).shape == (*size, 3)
    assert read_size(encoded) == size[::-1]


def test_a_higher_quality_gives_more_bytes_and_less_difference() -> None:
    coarse, fine = encode_jpeg(picture(), 10), encode_jpeg(picture(), 95)
    assert len(coarse) < len(fine)
    assert difference(decode_img(coarse), picture()) > difference(decode_img(fine), picture())


@pytest.mark.parametrize("variant", ["baseline", "progressive", "restart-markers", "comment"])
def test_a_jpeg_cut_anywhere_is_refused(variant: str) -> None:
    whole = VARIANTS[variant]
    for part in range(20):
        assert refused(whole[: len(whole) * part // 20]) in {"truncated", "not-a-jpeg"}
    for missing in (1, 2, 3, 10):
        assert refused(whole[:-missing]) == "truncated"
    for length in range(1, 700):
        refused(whole[:length])


@pytest.mark.parametrize("name", REAL_FACES)
def test_a_photograph_cut_anywhere_is_refused(name: str, data: Path) -> None:
    whole = (data / "faces" / name).read_bytes()
    assert decode_img(whole).shape[:2] == read_size(whole)[::-1]
    for part in range(20):
        refused(whole[: len(whole) * part // 20])


def test_a_photograph_cut_behind_its_thumbnail_is_refused() -> None:
    thumbnail = jpeg(image=picture(60, 80))
    whole = BASELINE[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + BASELINE[2:]
    assert decode_img(whole).shape == (HEIGHT, WIDTH, 3)
    for length in range(len(thumbnail), len(thumbnail) + 400):
        refused(whole[:length])


def test_a_jpeg_without_its_beginning_is_refused() -> None:
    for part in range(1, 20):
        refused(BASELINE[len(BASELINE) * part // 20 :])


def test_noise_is_refused_and_crashes_nothing() -> None:
    random = np.random.default_rng(1)
    for length in range(1, 400):
        noise = random.bytes(length)
        refused(noise)
        refused(b"\xff\xd8\xff" + noise + b"\xff\xd9")


def test_a_damaged_jpeg_is_a_picture_of_its_size_or_refused() -> None:
    random = np.random.default_rng(2)
    for _ in range(300):
        damaged = bytearray(BASELINE)
        for at in random.integers(2, len(damaged), 3):
            damaged[at] = random.integers(256)
        try:
            width, height = read_size(bytes(damaged))
            if width * height > 4 * HEIGHT * WIDTH:  # tested below, without filling the memory
                continue
            decoded = decode_img(bytes(damaged))
        except BadPicture as error:
            assert error.reason in REASONS
        else:
            assert decoded.shape == (height, width, 3)


@pytest.mark.parametrize("extension", [".png", ".bmp", ".webp", ".tiff"])
def test_another_kind_of_picture_is_refused(extension: str) -> None:
    done, buffer = cv2.imencode(extension, picture())
    assert done
    assert refused(buffer.tobytes()) == "not-a-jpeg"


@pytest.mark.parametrize(
    "encoded", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xd9", b"\xff\xd8" + b"\xff" * 100_000]
)
def test_what_has_no_picture_in_it_is_refused(encoded: bytes) -> None:
    assert refused(encoded) in {"not-a-jpeg", "truncated"}


@pytest.mark.parametrize("size", [(65_535, 65_535), (65_535, 10_000), (7681, 4320)])
def test_a_header_that_claims_a_huge_picture_is_refused_before_anything_is_decoded(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    decode = cv2.imdecode

    def noted(content: NDArray[np.uint8], flags: int) -> object:
        decoded.append(len(content))
        return decode(content, flags)

    monkeypatch.setattr(cv2, "imdecode", noted)
    assert refused(with_size(BASELINE, *size)) == "too-many-pixels"
    assert decoded == []
    decode_img(BASELINE)
    assert decoded == [len(BASELINE)], "whatever is decoded is decoded by what was watched"


def test_a_picture_of_8k_is_not_too_large() -> None:
    width, height = 7680, 4320
    assert width * height == MAX_PIXELS
    assert decode_img(jpeg(image=np.zeros((height, width, 3), np.uint8))).shape == (height, width, 3)


@pytest.mark.parametrize("size", [(0, HEIGHT), (WIDTH, 0), (0, 0)])
def test_a_header_that_claims_no_pixels_is_refused(size: tuple[int, int]) -> None:
    assert refused(with_size(BASELINE, *size)) == "not-a-jpeg"


@pytest.mark.parametrize("marker", [0xC3, 0xC7, 0xCD])
def test_a_jpeg_process_that_the_decoder_does_not_know_is_refused(marker: int) -> None:
    assert refused(with_size(BASELINE, WIDTH, HEIGHT, marker)) == "undecodable"


@pytest.mark.parametrize("shrink", [2, 4, 8])
@pytest.mark.parametrize("variant", ["baseline", "progressive"])
def test_a_jpeg_can_be_decoded_at_a_part_of_its_size_and_is_checked_as_well(variant: str, shrink: int) -> None:
    small = decode_img(VARIANTS[variant], shrink)
    assert small.shape == (HEIGHT // shrink, WIDTH // shrink + 1, 3)
    assert difference(small[:, :-1], scaled_down(picture()[:, :-1], (WIDTH - 1) // shrink)) < 6
    for damaged in (BASELINE[:-2], BASELINE[: len(BASELINE) // 2], b"", with_size(BASELINE, 65_535, 65_535)):
        with pytest.raises(BadPicture):
            decode_img(damaged, shrink)


def test_a_larger_picture_is_scaled_to_the_side_asked_for() -> None:
    assert scaled_down(picture(100, 200), 50).shape == (25, 50, 3)
    assert scaled_down(picture(200, 100), 50).shape == (50, 25, 3)
    assert scaled_down(picture(1, 4000), 16).shape == (1, 16, 3)


def test_a_picture_that_is_small_enough_stays_the_same_one() -> None:
    image = picture()
    assert scaled_down(image, WIDTH) is image


def changed(image: Image, *detections: Detection) -> NDArray[np.bool_]:
    """Which pixels are drawn on; the picture given stays as it was."""
    before = image.copy()
    drawn = annotated(image, detections)
    assert np.array_equal(image, before), "the picture given was drawn on"
    assert drawn.shape == image.shape
    touched: NDArray[np.bool_] = np.any(drawn != image, axis=2)
    return touched


BLACK: Image = np.zeros((240, 320, 3), np.uint8)


def test_a_box_is_drawn_along_its_edges_and_empty_inside() -> None:
    touched = changed(BLACK, Detection("face", 0.9, Box(100, 80, 90, 100)))
    assert touched[80, 100:190].all()
    assert touched[179, 100:190].all()
    assert touched[80:180, 100].all()
    assert touched[80:180, 189].all()
    assert not touched[90:170, 110:180].any()
    assert not touched[190:].any()


def test_a_box_has_the_colour_of_its_label() -> None:
    drawn = annotated(BLACK, [Detection("face", 0.9, Box(100, 80, 90, 100))])
    assert tuple(drawn[130, 100]) == colour_of("face")


def test_no_two_of_a_models_first_eight_labels_share_a_colour() -> None:
    labels = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise", "not angry")
    assert len({colour_of(label, labels) for label in labels}) == 8
    drawn = annotated(BLACK, [Detection("happy", 0.9, Box(100, 80, 90, 100))], labels)
    assert tuple(drawn[130, 100]) == colour_of("happy", labels) != colour_of("happy")


def test_the_caption_stands_above_the_box() -> None:
    touched = changed(BLACK, Detection("face", 0.9, Box(100, 80, 90, 100)))
    assert touched[62:78, 102:110].any()


@pytest.mark.parametrize(
    "box",
    [Box(0, 0, 320, 240), Box(0, 0, 40, 40), Box(280, 0, 40, 40), Box(0, 200, 40, 40), Box(280, 200, 40, 40)],
)
def test_a_box_at_the_edge_is_drawn_with_its_whole_caption(box: Box) -> None:
    touched = changed(BLACK, Detection("a rather long label", 1.0, box))
    assert touched[box.y : box.y + box.height, box.x].all()
    in_the_middle = changed(BLACK, Detection("a rather long label", 1.0, Box(20, 120, 40, 40)))
    assert touched.sum() > 0.8 * in_the_middle.sum()


@pytest.mark.parametrize(
    "box",
    [Box(-50, -50, 100, 100), Box(300, 220, 100, 100), Box(-500, 0, 10, 10), Box(900, 900, 5, 5), Box(5, 5, 0, 0)],
)
def test_a_box_partly_or_wholly_outside_harms_nothing(box: Box) -> None:
    changed(BLACK, Detection("face", 0.5, box, ((-10.0, 5.0), (1e6, 1e6))))


def test_a_label_of_the_whole_frame_stands_in_the_upper_left_corner() -> None:
    touched = changed(BLACK, Detection("smoking", 0.75))
    assert touched[0:10, 0:40].all()
    assert not touched[60:].any()
    assert not touched[:, 250:].any()


def test_several_labels_of_the_whole_frame_stand_below_each_other() -> None:
    heights = [
        int(changed(BLACK, *[Detection(f"label {k}", 0.5) for k in range(n)])[:, 1].sum()) for n in range(1, 5)
    ]
    assert heights == [heights[0] * n for n in range(1, 5)]


def test_landmarks_are_drawn_where_they_are() -> None:
    points = ((120.4, 110.0), (150.0, 110.6), (135.0, 140.0))
    bare = Detection("face", 0.9, Box(100, 80, 90, 100))
    touched = changed(BLACK, Detection("face", 0.9, Box(100, 80, 90, 100), points)) & ~changed(BLACK, bare)
    assert all(touched[round(y), round(x)] for x, y in points)
    assert touched.sum() < 3 * 40


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (16, 4000), (2160, 3840)])
def test_a_picture_of_any_size_can_be_drawn_on(size: tuple[int, int]) -> None:
    image: Image = np.zeros((*size, 3), np.uint8)
    changed(image, Detection("face", 1.0, Box(0, 0, size[1], size[0])), Detection("любой язык", 0.1))


def test_nothing_seen_draws_nothing_and_gives_a_copy() -> None:
    assert not changed(BLACK).any()
    assert annotated(BLACK, []) is not BLACK


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        (Box(10, 20, 30, 40), Box(10, 20, 30, 40)),
        (Box(-10, -20, 30, 40), Box(0, 0, 20, 20)),
        (Box(90, 80, 30, 40), Box(90, 80, 10, 20)),
        (Box(-10, -10, 300, 300), Box(0, 0, 100, 100)),
        (Box(-50, 10, 20, 20), Box(0, 10, 0, 20)),
        (Box(500, 500, 20, 20), Box(100, 100, 0, 0)),
        (Box(10, 10, -5, -5), Box(10, 10, 0, 0)),
    ],
)
def test_a_clipped_box_is_the_part_inside_the_picture(box: Box, inside: Box) -> None:
    assert box.clipped(100, 100) == inside


@pytest.mark.parametrize("confidence", [-0.001, 1.001, float("nan"), float("inf"), -float("inf")])
def test_a_confidence_outside_0_to_1_is_no_detection(confidence: float) -> None:
    with pytest.raises(ValueError, match=r"'face'.* not 0 to 1"):
        Detection("face", confidence)


def test_a_detection_without_a_label_is_none() -> None:
    with pytest.raises(ValueError, match="label"):
        Detection("", 0.5)


@pytest.mark.parametrize("confidence", [0.0, 0.5, 1.0])
def test_a_confidence_of_0_to_1_is_kept(confidence: float) -> None:
    assert Detection("face", confidence).confidence == confidence
