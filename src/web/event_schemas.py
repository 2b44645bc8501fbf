"""Events, episodes and alerts as the web answers with them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from pydantic import BaseModel, Field, create_model

from framewatch.activity.kinds import AnyRule
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode
from framewatch.model.event import Event
from framewatch.model.event_fields import JSON_FIELDS
from framewatch.model.times import written


class _Event(BaseModel):
    @classmethod
    def of(cls, event: Event) -> Self:
        """The event, with where to ask for more."""
        parts = (event.stream, event.run, event.frame, event.model, event.index)
        url = "/events/" + "/".join(quote(str(part), safe="@") for part in parts)
        fields = {field.name: field.value(event) for field in JSON_FIELDS}
        links = {"url": url, "crop_url": f"{url}/crop.jpg", "frame_url": f"{url}/frame.jpg"}
        return cls.model_construct(**fields | links)


_LINKS: Final = {
    "url": "of this event by itself",
    "crop_url": "of the picture of what was seen",
    "frame_url": "of the whole frame, while Kafka keeps it",
}

if TYPE_CHECKING:
    EventOut = _Event
else:
    EventOut = create_model(
        "EventOut",
        __base__=_Event,
        __doc__="One thing seen in one frame.",
        **{field.name: (field.type, Field(description=field.description or None)) for field in JSON_FIELDS},
        **{name: (str, Field(description=description)) for name, description in _LINKS.items()},
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
