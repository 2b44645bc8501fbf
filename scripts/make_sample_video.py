"""Render ``videos/sample.mp4``, the short clip that the demo and the tests play.

    python scripts/make_sample_video.py
    python scripts/make_sample_video.py --out /tmp/clip.mp4 --seconds 30 --size 1280x720

An astronaut walks in, comes close and leaves; after two seconds without anybody, two come back.
Nothing here is random and no clock is read, so every run renders the same frames.

All pictures ship inside the scikit-image wheel and are in the public domain:

* ``astronaut``: Eileen Collins, NASA Great Images; no known copyright restrictions.
* ``rocket``: Falcon 9 with DSCOVR, released into the public domain by SpaceX.
* ``hubble_deep_field``: NASA, free to use in the public domain.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

Image = NDArray[np.uint8]
FloatImage = NDArray[np.float32]

FPS = 30
STAGE_WH = (640, 360)  # the scene's coordinates are pixels of a frame of this size
SCENE_SECONDS = 14.0  # the scene begins and ends without anybody: a longer clip plays it again
EASE_SECONDS = 0.25  # positions are averaged over this long before and after a moment
SWAY_DEGREES, SWAY_HZ = 2.0, 0.6
BACKGROUND_MARGIN = 1.25  # a background is this much larger than the frame, to leave room to pan
BACKGROUND_BLUR_PX = 0.8  # slightly out of focus, as behind a person; also saves a third of the bytes
DEFAULT_OUT = Path(__file__).resolve().parents[1] / "videos" / "sample.mp4"

FACE_XY, FACE_PX = (225.0, 113.0), 95.0  # the face in skimage's 512x512 portrait: centre and width
# The outline of the person in that portrait, clockwise from the top of the head, in its pixels.
OUTLINE_XY = (
    *((227, 16), (248, 18), (276, 31), (288, 43), (299, 72), (299, 97), (290, 117), (265, 143)),
    *((257, 160), (256, 174), (266, 182), (282, 200), (298, 222), (304, 238), (318, 244), (340, 262)),
    *((347, 282), (352, 287), (360, 328), (360, 344), (364, 348), (416, 344), (454, 360), (476, 382)),
    *((494, 426), (495, 454), (490, 455), (489, 472), (497, 478), (500, 520), (23, 520), (18, 501)),
    *((26, 488), (20, 400), (27, 375), (33, 340), (40, 310), (49, 292), (58, 257), (76, 235)),
    *((90, 227), (113, 202), (119, 201), (123, 178), (140, 158), (153, 151), (182, 147), (182, 137)),
    *((172, 125), (170, 116), (157, 104), (153, 68), (156, 58), (163, 51), (185, 38), (201, 23)),
)


@dataclass(frozen=True)
class Pose:
    """Where an actor's face is at one moment, in stage pixels, and how brightly it is lit."""

    second: float
    x: float
    y: float
    face_px: float
    light: float = 1.0


@dataclass(frozen=True)
class Actor:
    """One person: the poses they pass through, in order of time."""

    poses: tuple[Pose, ...]
    mirrored: bool = False


@dataclass(frozen=True)
class Shot:
    """One background from its first second until the next shot's.

    The pan runs between two points given as fractions of the room the background leaves:
    (0, 0) shows its upper left corner, (1, 1) its lower right.
    """

    second: float
    picture: str
    pan_from: tuple[float, float]
    pan_to: tuple[float, float]


SHOTS = (
    Shot(0.0, "rocket", pan_from=(0.1, 0.7), pan_to=(0.9, 1.0)),
    Shot(7.0, "hubble_deep_field", pan_from=(0.9, 0.5), pan_to=(0.1, 0.3)),
)
ACTORS = (
    Actor(
        (
            Pose(0.3, x=-150, y=188, face_px=45, light=0.8),
            Pose(1.3, x=90, y=186, face_px=46, light=0.85),
            Pose(3.8, x=300, y=190, face_px=160),
            Pose(4.6, x=330, y=190, face_px=160),
            Pose(6.0, x=920, y=195, face_px=115, light=0.9),
        )
    ),
    Actor(
        (
            Pose(7.9, x=820, y=195, face_px=60, light=0.7),
            Pose(9.2, x=500, y=190, face_px=72, light=0.8),
            Pose(12.1, x=460, y=180, face_px=96),
            Pose(13.7, x=960, y=180, face_px=96),
        ),
        mirrored=True,
    ),
    Actor(
        (
            Pose(8.9, x=-210, y=195, face_px=64, light=1.1),
            Pose(10.2, x=130, y=200, face_px=84, light=1.1),
            Pose(12.3, x=190, y=195, face_px=66, light=0.9),
            Pose(13.7, x=-210, y=195, face_px=64, light=0.9),
        )
    ),
)


@cache
def load_picture(name: str) -> Image:
    """Load one of scikit-image's own pictures as (height, width, 3) uint8, BGR."""
    rgb: Image = getattr(skimage.data, name)()
    return np.ascontiguousarray(rgb[..., ::-1])


@cache
def fit_background(name: str, width: int, height: int) -> Image:
    """Scale a picture so that it covers a frame and leaves room to pan; (H, W, 3) uint8, BGR."""
    picture = load_picture(name)
    scale = BACKGROUND_MARGIN * max(width / picture.shape[1], height / picture.shape[0])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=method), np.uint8)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), BACKGROUND_BLUR_PX * height / STAGE_WH[1]), np.uint8)


@cache
def cut_out_portrait(mirrored: bool) -> FloatImage:
    """Cut the person out of the portrait: (512, 512, 4) float32, BGR times alpha, then alpha in 0..1."""
    portrait = load_picture("astronaut")
    mask = np.zeros(portrait.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.array(OUTLINE_XY, np.int32)], (255,))
    alpha = cv2.GaussianBlur(cv2.erode(mask, np.ones((3, 3), np.uint8)), (0, 0), 1.5)[..., None] / 255
    cutout = np.concatenate([portrait * alpha, alpha], axis=2).astype(np.float32)
    return np.ascontiguousarray(cutout[:, ::-1]) if mirrored else cutout


def pose_at(actor: Actor, second: float) -> Pose:
    """Interpolate an actor's pose, eased so that speed changes without a jerk."""
    moments = second + np.linspace(-EASE_SECONDS, EASE_SECONDS, 11)
    seconds = [pose.second for pose in actor.poses]
    tracks = [(p.x, p.y, p.face_px, p.light) for p in actor.poses]
    x, y, face_px, light = (float(np.interp(moments, seconds, t).mean()) for t in zip(*tracks, strict=True))
    return Pose(second, x, y, face_px, light)


def draw_background(second: float, width: int, height: int) -> FloatImage:
    """Show the part of the shot's picture that the pan has reached; (height, width, 3) float32."""
    index = max(i for i, shot in enumerate(SHOTS) if shot.second <= second)
    shot, following = SHOTS[index], [*(s.second for s in SHOTS[1:]), SCENE_SECONDS]
    picture = fit_background(shot.picture, width, height)
    progress = (second - shot.second) / (following[index] - shot.second)
    fractions = np.array(shot.pan_from) * (1 - progress) + np.array(shot.pan_to) * progress
    room = np.array([picture.shape[1] - width, picture.shape[0] - height])
    shift = np.column_stack([np.eye(2), -fractions * room])
    return np.asarray(cv2.warpAffine(picture, shift, (width, height)), np.float32)


def draw_actor(frame: FloatImage, actor: Actor, second: float) -> FloatImage:
    """Lay an actor over a (height, width, 3) float32 frame; the body runs out of it at the bottom."""
    height, width = frame.shape[:2]
    pose = pose_at(actor, second)
    zoom = height / STAGE_WH[1]
    scale = pose.face_px / FACE_PX * zoom
    cutout = cut_out_portrait(actor.mirrored)
    if scale < 1:  # without this, fine detail flickers while the face is small
        cutout = np.asarray(cv2.GaussianBlur(cutout, (0, 0), 0.4 / scale), np.float32)
    centre = (cutout.shape[1] - 1 - FACE_XY[0] if actor.mirrored else FACE_XY[0], FACE_XY[1])
    placing = cv2.getRotationMatrix2D(centre, SWAY_DEGREES * np.sin(2 * np.pi * SWAY_HZ * second), scale)
    placing[:, 2] += (width / 2 + (pose.x - STAGE_WH[0] / 2) * zoom, pose.y * zoom) - np.array(centre)
    layer = np.asarray(cv2.warpAffine(cutout, placing, (width, height)), np.float32)
    return frame * (1 - layer[..., 3:]) + layer[..., :3] * np.float32(pose.light)


def render(seconds: float, width: int, height: int) -> Iterator[Image]:
    """Yield the clip's frames in order, each (height, width, 3) uint8, BGR."""
    for index in range(round(seconds * FPS)):
        second = index / FPS % SCENE_SECONDS
        frame = draw_background(second, width, height)
        for actor in ACTORS:
            frame = draw_actor(frame, actor, second)
        yield np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def write_video(path: Path, frames: Iterator[Image], width: int, height: int) -> int:
    """Encode frames as MPEG-4 at 30 frames a second and return how many there were.

    Raises:
        ClickException: the folder cannot be made or the file not be opened for writing.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"cannot make the folder {path.parent}: {error.strerror}") from error
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (width, height))
    if not writer.isOpened():
        raise click.ClickException(f"OpenCV cannot write {path}: is the folder writable, the codec built in?")
    count = 0
    for frame in frames:
        writer.write(frame)
        count += 1
    writer.release()
    return count


def check_video(path: Path, expected_count: int) -> None:
    """Decode a written file again.

    Raises:
        ClickException: the file cannot be opened or does not hold exactly ``expected_count`` frames.
    """
    reader = cv2.VideoCapture(str(path))
    if not reader.isOpened():
        raise click.ClickException(f"{path} was written but cannot be opened again; is the disk full?")
    count = 0
    while reader.grab():
        count += 1
    reader.release()
    if count != expected_count:
        raise click.ClickException(f"{path} holds {count} frames, but {expected_count} were rendered")


def parse_size(_context: click.Context, _option: click.Parameter, value: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT in pixels; both even, because the codec halves them for colour."""
    width, _, height = value.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise click.BadParameter(f"got {value!r}, expected WIDTHxHEIGHT such as 640x360")
    size = int(width), int(height)
    if min(size) < 1 or size[0] % 2 or size[1] % 2:
        raise click.BadParameter(f"got {value!r}, expected even numbers above zero such as 640x360")
    return size


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_OUT,
    help="Video to write.  [default: videos/sample.mp4 in this repository]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    default=SCENE_SECONDS,
    show_default=True,
    help="Length; past 14 s the scene plays again.",
)
@click.option(
    "--size",
    callback=parse_size,
    default="640x360",
    show_default=True,
    metavar="WIDTHxHEIGHT",
    help="Frame size in pixels, both even.",
)
def main(out: Path, seconds: float, size: tuple[int, int]) -> None:
    """Render the sample clip from public-domain pictures."""
    count = write_video(out, render(seconds, *size), *size)
    check_video(out, count)
    megabytes = out.stat().st_size / 1e6
    click.echo(f"{out}: {count} frames, {size[0]}x{size[1]}, {FPS} frames/s, {megabytes:.2f} MB")


if __name__ == "__main__":
    main()
