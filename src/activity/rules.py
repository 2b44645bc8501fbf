"""Rules that streams are held to: what each says, and the file that they are read from."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from framewatch.activity.durations import parse_duration, spoken
from framewatch.activity.hours import Hours, parse_hours
from framewatch.activity.rulefile import Written, read_rule_file
from framewatch.errors import SettingError
from framewatch.model.names import checked_stream_name

_MAX_LABEL: Final = 200
_MAX_COMPLAINTS: Final = 5


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


def _listed(value: object) -> object:
    """One alone as a list of one."""
    return (value,) if isinstance(value, str) else value


Name = Annotated[str, AfterValidator(checked_stream_name)]
Duration = Annotated[float, BeforeValidator(parse_duration)]


class Rule(BaseModel):
    """What must not be seen, and for how long, when and where.

    Attributes:
        name: of the rule, unlike those of the others.
        label: what must not be seen.
        for_at_least: seconds of it that are too much; None: at all.
        within: seconds of the sliding window in which they add up; None: they must be one unbroken stretch.
        between_hours: hours such as 22:00-06:00, outside of which nothing counts; none: always.
        timezone: of the hours; None is that of this machine.
        on_stream: names of the streams that the rule is for; none: all.
        confidence: 0 to 1; less sure looks do not count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    label: Annotated[str, AfterValidator(_checked_label)]
    for_at_least: Duration | None = None
    within: Duration | None = None
    between_hours: Annotated[
        tuple[Annotated[str, AfterValidator(_checked_hours)], ...], BeforeValidator(_listed)
    ] = ()
    timezone: Annotated[str, AfterValidator(_checked_zone)] | None = None
    on_stream: Annotated[tuple[Name, ...], BeforeValidator(_listed)] = ()
    confidence: float = Field(default=0, ge=0, le=1, allow_inf_nan=False)

    @field_validator("within")
    @classmethod
    def _holds_the_time(cls, within: float | None, info: ValidationInfo) -> float | None:
        wanted = info.data.get("for_at_least")
        if within is not None and "for_at_least" in info.data:
            if wanted is None:
                raise ValueError("expected 'for at least' beside it: how much of that time is too much")
            if wanted > within:
                raise ValueError(f"expected no less than 'for at least', which is {spoken(wanted)}")
        return within

    @field_validator("timezone")
    @classmethod
    def _has_hours(cls, timezone: str | None, info: ValidationInfo) -> str | None:
        if timezone is not None and info.data.get("between_hours") == ():
            raise ValueError("expected 'between hours' beside it, whose time zone it is")
        return timezone

    def is_for(self, stream: str) -> bool:
        """Whether the rule is for the stream."""
        return not self.on_stream or stream in self.on_stream

    def hours(self) -> Hours | None:
        """The hours that count, or None where all do."""
        zone = ZoneInfo(self.timezone) if self.timezone else None
        return Hours([parse_hours(text) for text in self.between_hours], zone) if self.between_hours else None

    def memory_s(self) -> float:
        """Seconds of the past that say whether the rule is broken."""
        return max(self.for_at_least or 0, self.within or 0)


def load_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a YAML file, as docs/activity.md describes it.

    Raises:
        SettingError: the file cannot be used; one line names it, the rule, the key, what was got and what is allowed.
    """
    rules: list[Rule] = []
    complaints: list[str] = []
    places: dict[str, str] = {}
    for written in read_rule_file(path, Rule.model_fields):
        try:
            rule = Rule.model_validate(written.values)
        except ValidationError as error:
            complaints.append(_complaint(written, error))
            continue
        if rule.name in places:
            complaints.append(f"{written.place}: name: got {rule.name!r} once more: expected each name once")
        places[rule.name] = written.place
        rules.append(rule)
    if complaints:
        more = len(complaints) - _MAX_COMPLAINTS
        raise SettingError("; ".join(complaints[:_MAX_COMPLAINTS]) + (f"; and {more} more" if more > 0 else ""))
    return tuple(rules)


def unknown_labels(rules: Iterable[Rule], labels: Collection[str]) -> list[str]:
    """A line for each rule that nothing can break, since its label is none of these, with the nearest one.

    Args:
        rules: to look at.
        labels: all that the classifier can see; none of them stands for a classifier that does not say.
    """
    lines = []
    for rule in rules:
        if labels and rule.label not in labels:
            near = difflib.get_close_matches(rule.label, labels, n=1)
            hint = f"is {near[0]!r} meant?" if near else f"it has {', '.join(sorted(labels)[:20])}"
            lines.append(f"rule {rule.name!r}: label: got {rule.label!r}, which the model has not: {hint}")
    return lines


def _complaint(written: Written, error: ValidationError) -> str:
    """The first thing wrong with a rule: its key as written, what was got, what is allowed."""
    problem = error.errors()[0]
    key = str(problem["loc"][0])
    if problem["type"] == "missing":
        return f"{written.place}: the key {key.replace('_', ' ')!r} is missing"
    text = problem["msg"].removeprefix("Value error, ")
    got = str(problem["input"])
    got = got if len(got) <= 80 else f"{got[:80]}…"
    return f"{written.place}: {written.keys.get(key, key)}: got {got!r}: {text[:1].lower()}{text[1:]}"
