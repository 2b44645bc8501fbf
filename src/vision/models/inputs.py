"""What a trained model takes: pictures of one size, made here for training and for serving alike."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from framewatch.vision.classifier import Image

Pixels = NDArray[np.uint8]
"""A picture as a model takes it: (height, width, channels), red green blue or grey, 0 to 255."""

MAX_SIDE: Final = 1024


class InputSpec(BaseModel):
    """Size and colours of a model's pictures.

    Attributes:
        height: in pixels.
        width: in pixels.
        channels: 3 for red green blue, 1 for grey.
        frames: pictures in one sample: 1, or more for a model that looks at a sequence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: Annotated[int, Field(ge=8, le=MAX_SIDE)]
    width: Annotated[int, Field(ge=8, le=MAX_SIDE)]
    channels: Literal[1, 3] = 3
    frames: Annotated[int, Field(ge=1, le=64)] = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: (height, width, channels), with the frames before it where there are several."""
        picture = (self.height, self.width, self.channels)
        return picture if self.frames == 1 else (self.frames, *picture)

    def prepared(self, image: Image) -> Pixels:
        """The picture, (height, width, 3) BGR of any size, as the model takes it; stretched, not cropped."""
        size = (self.width, self.height)
        colours = cv2.COLOR_BGR2GRAY if self.channels == 1 else cv2.COLOR_BGR2RGB
        shrinks = image.shape[0] > self.height or image.shape[1] > self.width
        scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return np.asarray(cv2.cvtColor(scaled, colours), np.uint8).reshape(self.height, self.width, self.channels)
