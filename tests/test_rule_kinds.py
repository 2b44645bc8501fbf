"""A new kind of rule is one class with a timer: from the file of rules to the alert and the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import pytest
from pydantic import Field

from framewatch.activity.breaches import Breaches
from framewatch.activity.durations import format_duration
from framewatch.activity.kinds import KINDS
from framewatch.activity.kinds.seen import SeenRule
from framewatch.activity.rule import Duration, Rule
from framewatch.activity.rules import parse_rules
from framewatch.activity.timers import NEVER, Timer
from framewatch.errors import SettingError
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode

S = 1_000_000
NOON_S = round(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp())


class AbsenceTimer(Timer):
    __slots__ = ("_need_us",)
    counts_unseen = True

    def __init__(self, need_s: float) -> None:
        super().__init__()
        self._need_us = round(need_s * S)

    def unseen(self, first_us: int, last_us: int) -> None:
        self.end_us = max(first_us, last_us)
        if self.broken_us is None and self.counted_us() >= self._need_us:
            self.broken_us = self.since_us + self._need_us

    def seen(self, first_us: int, last_us: int) -> None:
        self._start_anew(last_us, ended_us=first_us)

    def pause(self, last_us: int) -> None:
        self._start_anew(last_us, ended_us=self.end_us)

    def due_us(self) -> int:
        return NEVER if self.broken_us is not None else self.since_us + self._need_us

    def _start_anew(self, since_us: int, ended_us: int) -> None:
        self.since_us = since_us
        if self.broken_us is not None:
            self.broken_us, self.ended_us = None, ended_us


class AbsenceRule(Rule):
    kind: Literal["absence"] = Field(default="absence", description="a label that must be seen")
    not_seen_for: Duration

    def timer(self) -> Timer:
        return AbsenceTimer(self.not_seen_for)

    def condition(self) -> str:
        return f"not seen for {format_duration(self.not_seen_for)}"

    def breach(self, seconds: float) -> str:
        return f"not seen for {format_duration(seconds)}"

    def memory_s(self) -> float:
        return self.not_seen_for


WITH_ABSENCE: Mapping[str, type[Rule]] = {**KINDS, "absence": AbsenceRule}


def parse(text: str) -> tuple[Rule, ...]:
    return parse_rules(text.encode(), "rules.yaml", WITH_ABSENCE)


def observed(breaches: Breaches, first_s: int, last_s: int, *labels: str) -> list[Alert]:
    """A frame a second with the labels, the last second included."""
    return [
        alert
        for now_s in range(first_s, last_s + 1)
        for alert in breaches.observe("cam", (NOON_S + now_s) * S, dict.fromkeys(labels, 0.9))
    ]


def times(alerts: list[Alert]) -> list[tuple[int, int | None]]:
    """Start and end of each, in seconds after noon."""
    return [(a.start_us // S - NOON_S, None if a.until_us is None else a.until_us // S - NOON_S) for a in alerts]


def absence(**more: object) -> AbsenceRule:
    return AbsenceRule.model_validate({"name": "gone", "label": "person", "not_seen_for": 60, **more})


def test_a_file_of_rules_has_rules_of_all_kinds() -> None:
    assert parse(
        "rules:\n- {name: gone, kind: absence, label: person, not seen for: 1m}\n- {name: no, label: smoking}"
    ) == (absence(), SeenRule(name="no", label="smoking"))


WRONG = {
    "kind: absense": "rule 1 (a), line 1: kind: got 'absense': is 'absence' meant?",
    "kind: absence": "rule 1 (a), line 1: the key 'not seen for' is missing",
    "kind: absence, not seen for: soon": "not seen for: got 'soon': expected a time",
    "kind: absence, not seen for: 1m, within: 1h": "within: is a key of rules with kind: seen",
    "kind: absence, not sen for: 1m": "got the unknown key 'not sen for': is 'not seen for' meant?",
    "not seen for: 1m": "not seen for: is a key of rules with kind: absence",
}


@pytest.mark.parametrize("keys", WRONG)
def test_what_is_wrong_with_a_rule_is_named_by_its_kind(keys: str) -> None:
    with pytest.raises(SettingError) as error:
        parse(f"rules: [{{name: a, label: b, {keys}}}]")
    assert WRONG[keys] in str(error.value)


def test_time_out_of_sight_counts_while_frames_come() -> None:
    breaches = Breaches([absence()])
    assert observed(breaches, 0, 59, "face") == []
    [alert] = observed(breaches, 60, 60)
    assert (times([alert]), alert.seconds) == ([(60, None)], 60)
    assert alert.text == "person not seen for 1 min on cam (rule gone)"
    assert observed(breaches, 61, 99) == []
    assert observed(breaches, 100, 110, "person") == [replace(alert, until_us=(NOON_S + 100) * S)]
    assert times(observed(breaches, 111, 200)) == [(170, None)]  # a minute after the last it was seen


def test_a_stream_that_stands_still_shows_no_absence() -> None:
    breaches = Breaches([absence()])
    assert observed(breaches, 0, 50) == []
    assert observed(breaches, 5000, 5059) == []
    assert times(observed(breaches, 5060, 5070)) == [(5060, None)]
    assert times(observed(breaches, 9000, 9000)) == [(5060, 5070)]


def test_outside_its_hours_an_absence_counts_nothing_and_their_end_ends_the_breach() -> None:
    breaches = Breaches([absence(between_hours="12:10-12:20", timezone="UTC")])
    assert times(observed(breaches, 0, 1300)) == [(660, None), (660, 1200)]


def test_an_absence_has_one_alert_through_a_restart() -> None:
    before = Breaches([absence()])
    alerts = observed(before, 0, 10, "person") + observed(before, 11, 100)
    assert times(alerts) == [(70, None)]
    past = [Episode("cam", "person", NOON_S * S, (NOON_S + 10) * S, 11, 0.9)]
    past += [Episode("cam", "chair", NOON_S * S, (NOON_S + 100) * S, 101, 0.9)]
    after = Breaches([absence()])
    after.resume("cam", alerts, past)
    assert observed(after, 101, 119, "chair") == []
    assert times(observed(after, 120, 125, "person")) == [(70, 120)]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (absence(), "person not seen for 1 min"),
        (SeenRule(name="a", label="smoking"), "smoking at all"),
        (
            SeenRule(name="a", label="sitting", for_at_least=1800, within=3600, on_stream=("a", "b"), confidence=0.8),
            "sitting for at least 30 min within 1 h, on a, b, with a confidence of 0.8 or more",
        ),
        (
            SeenRule(name="a", label="up", between_hours=("22:00-06:00", "12:00-13:00"), timezone="UTC"),
            "up at all, between 22:00-06:00 and 12:00-13:00 UTC",
        ),
    ],
)
def test_a_rule_is_put_in_words_for_the_api(rule: Rule, text: str) -> None:
    assert rule.in_words() == text
    assert rule.model_dump(mode="json")["text"] == text
    schema = type(rule).model_json_schema(mode="serialization")
    assert set(schema["required"]) == set(schema["properties"]) == set(rule.model_dump())


def test_the_table_of_kinds_is_by_the_names_that_rules_give() -> None:
    assert {kind: each.model_fields["kind"].default for kind, each in KINDS.items()} == {kind: kind for kind in KINDS}
    for each in KINDS.values():
        assert all(field.description for field in each.model_fields.values())
