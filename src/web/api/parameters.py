"""Query parameters as pydantic types: names, times, limits and cursors. Anything else is refused."""

from __future__ import annotations

import base64
import re
import time
from datetime import UTC
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from framewatch.model.event import is_storable
from framewatch.model.filters import EventFilter
from framewatch.model.names import checked_stream_name
from framewatch.model.times import EXPECTED, parse_moment
from framewatch.storage.interface import MAX_PAGE

_PLUS_LOST: Final = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d(?::?\d\d)?)$")  # a + of an address is a space
_MOST_US: Final = 2**63 - 1
_MAX_TEXT: Final = 200  # characters of a label


def _moment(given: Any) -> int:
    if not isinstance(given, str):
        raise ValueError(f"expected {EXPECTED}")
    return parse_moment(_PLUS_LOST.sub(r"\1+\2", given), UTC)


def _storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("no event has empty text, or text with a NUL or half a character")
    return text


def _cursor(given: Any) -> int:
    """The time that a cursor encodes, if it is exactly one of ours."""
    if isinstance(given, str) and given.isascii() and len(given) <= 40:
        try:
            time_us = int(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
        except ValueError:
            time_us = -1
        if 0 <= time_us <= _MOST_US and cursor_of(time_us) == given:
            return time_us
    raise ValueError("expected the next_cursor of the previous page, unchanged")


def cursor_of(time_us: int) -> str:
    """The time as a cursor: opaque text."""
    return base64.urlsafe_b64encode(str(time_us).encode()).decode().rstrip("=")


_TIME = {"type": "string", "examples": ["2026-11-21T10:15:00Z", "15m", "7d"]}

StreamName = Annotated[str, AfterValidator(checked_stream_name), WithJsonSchema({"type": "string", "maxLength": 64})]
Text = Annotated[str, Field(min_length=1, max_length=_MAX_TEXT), AfterValidator(_storable)]
Moment = Annotated[int, BeforeValidator(_moment), WithJsonSchema(_TIME)]
Cursor = Annotated[int, BeforeValidator(_cursor), WithJsonSchema({"type": "string", "maxLength": 40})]
Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]


class Query(BaseModel):
    """Parameters of a request; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Period(Query):
    """A period of capture time."""

    since: Moment | None = Field(
        None, description="captured at or after: ISO 8601 (UTC unless it names a zone), or an age such as 15m, 2h, 7d"
    )
    until: Moment | None = Field(None, description="captured before")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("got a since that is not before until: that period is empty")
        return self


class Filters(Period):
    """Stream, label and period."""

    stream: StreamName | None = Field(None, description="of this stream")
    label: Text | None = Field(None, description="with this label")

    def where(self) -> EventFilter:
        """The filter for the store."""
        return EventFilter(self.stream, self.label, self.since, self.until)


class EventFilters(Filters):
    """Filters of events."""

    min_confidence: Confidence | None = Field(None, description="with at least this confidence, 0 to 1")

    def where(self) -> EventFilter:
        """The filter for the store."""
        return EventFilter(self.stream, self.label, self.since, self.until, self.min_confidence)


class Paged(Query):
    """One page of a list."""

    limit: Limit = Field(50, description="rows; more where several have the same time, which stay on one page")
    cursor: Cursor | None = Field(None, description="next_cursor of the previous page")


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000
