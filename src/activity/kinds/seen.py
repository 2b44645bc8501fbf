"""The kind ``seen``: a label that must not be seen at all, or for too long."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from framewatch.activity.durations import format_duration
from framewatch.activity.rule import Duration, Rule
from framewatch.activity.timers import StretchTimer, Timer, WindowTimer


class SeenRule(Rule):
    """What must not be seen, and for how long, when and where."""

    kind: Literal["seen"] = Field(default="seen", description="a label that must not be seen")
    for_at_least: Duration | None = Field(default=None, description="seconds of it that are too much; null: at all")
    within: Duration | None = Field(
        default=None, description="seconds in which they add up; null: they must be one unbroken stretch"
    )

    def timer(self) -> Timer:
        """A timer of one stretch, or of all in a window."""
        need_s = self.for_at_least or 0
        return WindowTimer(need_s, self.within) if self.within else StretchTimer(need_s)

    def condition(self) -> str:
        """Such as ``for at least 30 min within 1 h``."""
        if not self.for_at_least:
            return "at all"
        return f"for at least {format_duration(self.for_at_least)}{self._window()}"

    def breach(self, seconds: float) -> str:
        """Such as ``for 31 min within 1 h``; nothing where any length is too much."""
        return f"for {format_duration(seconds)}{self._window()}" if self.for_at_least else ""

    def memory_s(self) -> float:
        """The longer of the two times."""
        return max(self.for_at_least or 0, self.within or 0)

    @field_validator("within")
    @classmethod
    def _holds_the_time(cls, within: float | None, info: ValidationInfo) -> float | None:
        needed = info.data.get("for_at_least")
        if within is not None and "for_at_least" in info.data:
            if needed is None:
                raise ValueError("expected 'for at least' beside it: how much of that time is too much")
            if needed > within:
                raise ValueError(f"expected no less than 'for at least', which is {format_duration(needed)}")
        return within

    def _window(self) -> str:
        return f" within {format_duration(self.within)}" if self.within else ""
