"""Captions on a picture with several people: inside it, clear of each other, and readable."""

from __future__ import annotations

import itertools
import random

import cv2
import numpy as np
import pytest

from framewatch.errors import BadPicture
from framewatch.model.detection import Box, Detection
from framewatch.vision.annotate import _captions, annotated, annotated_jpeg
from framewatch.vision.jpeg import decode_img, encode_jpeg

WIDTH, HEIGHT = 640, 360
THICKNESS = 2
LABELS = ("Angry", "Disgust", "Happy", "Neutral", "Surprise")


def places(*detections: Detection, width: int = WIDTH, height: int = HEIGHT) -> list[Box]:
    return [caption.box for caption in _captions(detections, LABELS, width, height, THICKNESS)]


def overlap(one: Box, other: Box) -> int:
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(0, across) * max(0, down)


def face(x: int, y: int, size: int = 80, label: str = "Neutral") -> Detection:
    return Detection(label, 0.5, Box(x, y, size, size))


def test_a_caption_stands_on_its_box() -> None:
    (place,) = places(face(270, 90))
    assert (place.x, place.y + place.height) == (270, 90)


def test_captions_of_people_beside_each_other_do_not_overlap() -> None:
    for gap in range(0, 90, 7):
        found = places(face(200, 90, label="Surprise"), face(200 + gap, 92, label="Disgust"))
        assert overlap(*found) == 0, gap


@pytest.mark.parametrize("seed", range(20))
def test_captions_of_a_crowd_stay_in_the_picture_and_clear_of_each_other(seed: int) -> None:
    dice = random.Random(seed)
    people = [
        face(
            dice.randrange(-40, WIDTH - 20),
            dice.randrange(-40, HEIGHT - 20),
            dice.randrange(40, 90),
            dice.choice(LABELS),
        )
        for _ in range(8)
    ]
    found = places(*people, Detection("NotSmoking", 0.93), Detection("texting", 0.5))
    for place in found:
        assert place.x >= 0 and place.y >= 0
        assert place.x + place.width <= WIDTH and place.y + place.height <= HEIGHT
    hidden = sum(overlap(one, other) for one, other in itertools.combinations(found, 2))
    assert hidden <= 0.02 * sum(place.width * place.height for place in found)


def test_a_caption_keeps_off_the_face_next_to_it() -> None:
    lower = Box(250, 140, 80, 80)
    upper = Box(240, 55, 80, 80)  # its lower edge is where the caption of the lower one would stand
    found = places(Detection("Happy", 0.9, lower), Detection("Sad", 0.8, upper))
    assert overlap(found[0], upper) == 0


def test_a_label_too_wide_for_the_picture_is_written_smaller() -> None:
    wide, narrow = (places(Detection("listening to music", 0.93), width=w)[0] for w in (WIDTH, 140))
    assert wide.width > 140
    assert narrow.width <= 140


@pytest.mark.parametrize("label", LABELS)
def test_text_stands_out_from_its_ground(label: str) -> None:
    picture = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    drawn = annotated(picture, [Detection(label, 0.5)])
    (place,) = places(Detection(label, 0.5))
    caption = cv2.cvtColor(drawn[: place.height, : place.width], cv2.COLOR_BGR2GRAY).astype(float)
    ground = float(np.median(caption))
    assert abs(caption - ground).max() > 90


def test_a_file_is_drawn_on_and_is_a_file_again() -> None:
    picture = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    plain, drawn = (decode_img(annotated_jpeg(encode_jpeg(picture), d)) for d in ([], [face(270, 90)]))
    assert np.abs(plain.astype(int) - 127).max() <= 2
    assert np.abs(drawn.astype(int) - 127).max() > 60
    with pytest.raises(BadPicture):
        annotated_jpeg(b"no picture", [])
