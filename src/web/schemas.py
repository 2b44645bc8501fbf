"""Schemas of responses, as pydantic models; the API's documentation is generated from them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

Part = Literal["up", "down"]


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="about:blank: the status says it all")
    title: str = Field(description="name of the status")
    status: int
    detail: str = Field(description="what was got, what is allowed, and what to do")


class WrongValue(BaseModel):
    """An invalid value of a request."""

    loc: list[str | int] = Field(description="where it is: the parameter's name, and the path inside it")
    msg: str = Field(description="what is wrong with it")


class InvalidRequest(Problem):
    """An error in parameters (RFC 9457), with each invalid one."""

    errors: list[WrongValue]


class Counts(BaseModel):
    """Since the worker's start."""

    received: int = Field(description="records of the topic")
    classified: int = Field(description="frames")
    dead_letters: int = Field(description="records that cannot be classified, kept in the dead-letter topic")
    dropped: int = Field(description="records that cannot be classified and that the dead-letter topic does not take")
    stored: int = Field(description="events that were new to the store")
    duplicates: int = Field(description="events that the store had already")
    refused: int = Field(description="events that the store can never take")
    done: int = Field(description="records whose offset may be committed")


class HealthOut(BaseModel):
    """Health of a worker."""

    status: Literal["healthy", "unhealthy"]
    broker: Part
    store: Part
    partitions: int = Field(description="of the topic that the group has given to this worker")
    lag: int | None = Field(
        description="frames in these partitions that are not shown yet; null while Kafka does not answer"
    )
    frames_per_second: float = Field(description="classified, over the last five seconds")
    detect_ms: float = Field(description="median time of the classifier for a frame")
    latency_ms: float = Field(description="median time from capture to shown")
    viewers: int = Field(description="watching now")
    counts: Counts
    problem: str | None = Field(description="why nothing is stored any more; null while all is well")


class StreamOut(BaseModel):
    """A stream and its newest frame."""

    stream: str
    frame: int = Field(description="number of the newest frame in its run")
    time_us: int = Field(description="its capture time, microseconds since 1970 UTC")
    age_s: float = Field(description="seconds since then")
    frames_per_second: float = Field(description="shown, over the last three seconds")
    labels: list[str] = Field(description="labels in the newest frames, smoothed over time")
    latency_ms: float | None = Field(description="from the capture of that frame until it was shown")
    lag: int | None = Field(description="frames that wait in its partition; null while Kafka does not answer")
    ended: bool = Field(description="whether it is an upload of which no frame came for ten seconds")


class StreamsOut(BaseModel):
    """All streams, by name."""

    streams: list[StreamOut]


class AboutOut(BaseModel):
    """A worker's version, classifier and settings."""

    model_config = ConfigDict(frozen=True)

    version: str = Field(description="of Framewatch")
    preset: str | None = Field(description="classifier by name; null where a folder was given")
    model: str = Field(description="name and content hash of the classifier, as in events")
    labels: list[str] = Field(description="labels that it can give")
    retention_days: float = Field(description="days after which stored data is deleted")
    frame_retention_days: float | None = Field(
        description="days for which Kafka keeps whole frames; null where that is unlimited or not known yet"
    )
    webhook: bool = Field(description="whether alerts are sent to another address")
    output: bool = Field(description="whether results of pictures go to a bucket or folder")
    max_upload_mb: float = Field(description="size limit of a picture, in megabytes")
    max_video_mb: float = Field(description="size limit of a video, in megabytes")
    password: bool = Field(description="whether the API needs one")
    rules: int = Field(description="number of rules that raise alerts")
    started: datetime


class ActionOut(BaseModel):
    """A label with its confidence."""

    action: str
    confidence: float


class ScoreOut(BaseModel):
    """A label with its confidence."""

    label: str
    confidence: float


class BoxOut(BaseModel):
    """A box: left, top and size in pixels of the picture."""

    x: int
    y: int
    width: int
    height: int


class DetectionOut(BaseModel):
    """A detection in a picture."""

    label: str
    confidence: float
    box: BoxOut | None = Field(description="null for a label of the whole picture")
    landmarks: list[tuple[float, float]] = Field(description="points in pixels of the picture")
    scores: list[ScoreOut] = Field(description="best first")


class PredictionOut(BaseModel):
    """The detections of a picture."""

    action: str | None = Field(description="label of the whole picture or of the largest face; null without one")
    confidence: float | None
    all_predictions: list[ActionOut] = Field(description="every label with its confidence, best first")
    detections: list[DetectionOut]
    model: str = Field(description="name and content hash of the classifier")
    width: int = Field(description="of the picture, upright")
    height: int
    detail: str = Field("", description="only where no face was found: says so")


class ClassesOut(RootModel[list[str]]):
    """Labels of the classifier, in the order of the model's outputs."""
