"""Events, episodes and alerts as the web answers with them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Self
from urllib.parse import quote

from pydantic import BaseModel, Field

from framewatch.activity.kinds import AnyRule
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode
from framewatch.model.event import Event
from framewatch.model.times import written


class EventScore(BaseModel):
    """A label with its score."""

    label: str
    score: float


class EventOut(BaseModel):
    """One thing seen in one frame."""

    id: str = Field(description="stream/run/frame/model/index")
    stream: str
    run: str = Field(description="id of the producer's run")
    frame: int = Field(description="number of the frame in the run")
    file: str | None = Field(description="name of the picture's own file; null for a frame of a video or camera")
    index: int = Field(description="of this among what is seen in the frame, from 0")
    timestamp: str = Field(description="capture time, ISO 8601 in UTC")
    time_us: int = Field(description="capture time, microseconds since 1970 UTC")
    label: str
    confidence: float = Field(description="0 to 1")
    boundingbox: tuple[int, int, int, int] | None = Field(
        description="left, top, width, height in pixels of the frame; null for a label of the whole frame"
    )
    landmarks: list[tuple[float, float]] | None = Field(description="points in pixels of the frame")
    scores: list[EventScore] = Field(description="best labels, best first, at most five")
    model: str = Field(description="name and content hash of the classifier")
    partition: int = Field(description="of the frame in Kafka")
    offset: int = Field(description="of the frame in Kafka")
    url: str = Field(description="of this event by itself")
    crop_url: str = Field(description="of the picture of what was seen")
    frame_url: str = Field(description="of the whole frame, while Kafka keeps it")

    @classmethod
    def of(cls, event: Event) -> Self:
        """The event, with where to ask for more."""
        parts = (event.stream, event.run, event.frame, event.model, event.index)
        url = "/events/" + "/".join(quote(str(part), safe="@") for part in parts)
        return cls.model_construct(
            id=event.id,
            stream=event.stream,
            run=event.run,
            frame=event.frame,
            file=event.file,
            index=event.index,
            timestamp=written(event.time_us),
            time_us=event.time_us,
            label=event.label,
            confidence=event.confidence,
            boundingbox=event.boundingbox,
            landmarks=list(event.landmarks) or None,
            scores=[EventScore.model_construct(label=label, score=score) for label, score in event.scores],
            model=event.model,
            partition=event.partition,
            offset=event.offset,
            url=url,
            crop_url=f"{url}/crop.jpg",
            frame_url=f"{url}/frame.jpg",
        )


class EventPageOut(BaseModel):
    """Events, newest first."""

    events: list[EventOut]
    next_cursor: str | None = Field(description="asks for the next page; null at the end")


class ErasedOut(BaseModel):
    """What was deleted."""

    events: int
    episodes: int
    alerts: int


class EpisodeOut(BaseModel):
    """One unbroken stretch of one label on one stream."""

    id: str
    stream: str
    label: str
    start: str = Field(description="ISO 8601 in UTC")
    end: str = Field(description="ISO 8601 in UTC; of one that lasts, its newest frame")
    start_us: int
    end_us: int
    seconds: float
    frames: int = Field(description="in which it was seen")
    peak: float = Field(description="highest confidence, 0 to 1")

    @classmethod
    def of(cls, episode: Episode) -> Self:
        """The episode."""
        return cls.model_construct(
            **asdict(episode),
            id=episode.id,
            start=written(episode.start_us),
            end=written(episode.end_us),
            seconds=episode.seconds,
        )


class EpisodePageOut(BaseModel):
    """Episodes, newest first."""

    episodes: list[EpisodeOut]
    next_cursor: str | None = Field(description="asks for the next page; null at the end")


class AlertOut(BaseModel):
    """A rule that was broken."""

    id: str
    rule: str = Field(description="its name")
    stream: str
    label: str
    start: str = Field(description="when the rule was first broken, ISO 8601 in UTC")
    start_us: int
    since_us: int = Field(description="start of the stretch that broke it")
    until: str | None = Field(description="when that was over, ISO 8601 in UTC; null while it lasts")
    until_us: int | None
    seconds: float = Field(description="of the label that counted when the rule was broken")
    text: str = Field(description="one line for people")
    webhook: str = Field(description="none, waiting, sent or failed")
    attempts: int = Field(description="to tell the webhook")
    error: str = Field(description="of the last attempt")

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """The alert."""
        return cls.model_construct(
            **asdict(alert),
            id=alert.id,
            start=written(alert.start_us),
            until=None if alert.until_us is None else written(alert.until_us),
        )


class AlertPageOut(BaseModel):
    """Alerts, newest first."""

    alerts: list[AlertOut]
    next_cursor: str | None = Field(description="asks for the next page; null at the end")


class ShareOut(BaseModel):
    """How long a label was seen on a stream."""

    stream: str
    label: str
    seconds: float
    share: float = Field(description="of the whole period, 0 to 1")
    of_seen: float = Field(description="of the time in which anything was seen on that stream, 0 to 1")


class StatsOut(BaseModel):
    """What a period was made of."""

    since_us: int
    until_us: int
    events: dict[str, int] = Field(description="of each label, most first")
    shares: list[ShareOut] = Field(description="of each stream and label")


class RulesOut(BaseModel):
    """What raises alerts."""

    rules: list[AnyRule]


class FeedOut(BaseModel):
    """What ``event: events`` of the live feed carries."""

    events: list[EventOut]
    left_out: int = Field(
        description="more of the same since the last one: one a second of each stream and label is told"
    )
