"""What every rule has, whatever its kind: a name, a label, streams, hours and a confidence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    computed_field,
    field_validator,
)

from framewatch.activity.durations import parse_duration
from framewatch.activity.hours import Hours, parse_hours
from framewatch.activity.timers import Timer
from framewatch.model.names import checked_stream_name

_MAX_LABEL: Final = 200


def _checked_label(text: str) -> str:
    if not (0 < len(text) <= _MAX_LABEL and text.isprintable() and text.strip()):
        raise ValueError(f"expected a label of 1 to {_MAX_LABEL} characters that can be printed")
    return text


def _checked_hours(text: str) -> str:
    parse_hours(text)
    return text


def _checked_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, LookupError):  # the last: not found
        raise ValueError(
            "expected the name of a time zone that this machine knows, such as Europe/Berlin or UTC"
        ) from None
    return text


def _as_list(value: object) -> object:
    """One text alone as a list of one."""
    return (value,) if isinstance(value, str) else value


Name = Annotated[str, AfterValidator(checked_stream_name)]
Duration = Annotated[float, BeforeValidator(parse_duration)]
_HoursText = Annotated[str, AfterValidator(_checked_hours)]


class Rule(BaseModel, ABC):
    """What streams are held to. A kind adds its own keys, a timer and two texts."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)

    name: Name = Field(description="name of the rule, unlike those of the others")
    label: Annotated[str, AfterValidator(_checked_label)] = Field(description="label that the rule is about")
    between_hours: Annotated[tuple[_HoursText, ...], BeforeValidator(_as_list)] = Field(
        default=(), description="such as 22:00-06:00, outside of which nothing counts; none: always"
    )
    timezone: Annotated[str, AfterValidator(_checked_zone)] | None = Field(
        default=None, description="time zone of the hours; null: that of the server"
    )
    on_stream: Annotated[tuple[Name, ...], BeforeValidator(_as_list)] = Field(
        default=(), description="streams that the rule is for; none: all"
    )
    confidence: float = Field(
        default=0, ge=0, le=1, allow_inf_nan=False, description="0 to 1; a label that is less sure does not count"
    )

    @abstractmethod
    def timer(self) -> Timer:
        """A new timer, for one stream: it says when the rule comes to be broken and when the breach is over."""

    @abstractmethod
    def condition(self) -> str:
        """What breaks the rule, in words after its label, such as ``for at least 30 min``."""

    @abstractmethod
    def breach(self, seconds: float) -> str:
        """What was seen, in words after its label, such as ``for 31 min``; may be empty.

        Args:
            seconds: that counted when the rule was broken.
        """

    @abstractmethod
    def memory_s(self) -> float:
        """Seconds of the past that say whether the rule is broken."""

    def in_words(self) -> str:
        """What breaks the rule, such as ``sitting for at least 30 min within 1 h, on ward-2``."""
        parts = [f"{self.label} {self.condition()}", *self._hours_text(" and ")]
        if self.on_stream:
            parts.append(f"on {', '.join(self.on_stream)}")
        if self.confidence:
            parts.append(f"with a confidence of {self.confidence:g} or more")
        return ", ".join(parts)

    text = computed_field(description="what breaks the rule, in words")(property(in_words))

    def alert_text(self, seconds: float, stream: str) -> str:
        """One line for people: what was seen where, when so many seconds counted."""
        words = (self.label, self.breach(seconds), *self._hours_text(" or ", with_zone=False))
        return f"{' '.join(filter(None, words))} on {stream} (rule {self.name})"

    def is_for(self, stream: str) -> bool:
        """Whether the rule is for the stream."""
        return not self.on_stream or stream in self.on_stream

    def hours(self) -> Hours | None:
        """The hours that count, or None where all do."""
        zone = ZoneInfo(self.timezone) if self.timezone else None
        return Hours([parse_hours(text) for text in self.between_hours], zone) if self.between_hours else None

    @field_validator("timezone")
    @classmethod
    def _has_hours(cls, timezone: str | None, info: ValidationInfo) -> str | None:
        if timezone is not None and info.data.get("between_hours") == ():
            raise ValueError("expected 'between hours' beside it, whose time zone it is")
        return timezone

    def _hours_text(self, joint: str, with_zone: bool = True) -> list[str]:
        zone = f" {self.timezone}" if self.timezone and with_zone else ""
        return [f"between {joint.join(self.between_hours)}{zone}"] if self.between_hours else []
