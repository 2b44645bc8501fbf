"""Rules are read as people write them, and what is wrong with them is said in one line that names it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from conftest import REPOSITORY
from framewatch.activity.durations import format_duration, parse_duration
from framewatch.activity.hours import Hours, parse_hours
from framewatch.activity.kinds import KINDS
from framewatch.activity.kinds.seen import SeenRule
from framewatch.activity.rule import Rule
from framewatch.activity.rules import unknown_labels
from framewatch.errors import SettingError
from framewatch.wiring.rules import load_rules

S = 1_000_000
Load = Callable[[str], tuple[Rule, ...]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str) -> tuple[Rule, ...]:
        path = tmp_path / "rules.yaml"
        path.write_text(text, encoding="utf-8")
        return load_rules(path)

    return load


def test_the_rules_in_the_docs_say_what_the_docs_say(load: Load) -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs" / "activity.md").read_text(), re.S)
    assert load(block) == (
        SeenRule(name="long-sitting", label="sitting", for_at_least=1800, within=3600),
        SeenRule(
            name="sleeping-by-day",
            label="sleeping",
            for_at_least=600,
            between_hours=("06:00-22:00",),
            timezone="Europe/Berlin",
            on_stream=("ward-1", "ward-2"),
        ),
        SeenRule(name="no-smoking", label="smoking", confidence=0.8),
    )


def test_every_key_is_in_the_docs() -> None:
    page = (REPOSITORY / "docs" / "activity.md").read_text()
    keys = {key for kind in KINDS.values() for key in kind.model_fields}
    assert [key for key in keys if f"| `{key.replace('_', ' ')}` |" not in page] == []


@pytest.mark.parametrize("key", ["for at least", "for-at-least", "for_at_least", "For At Least", "for  at_least"])
def test_keys_are_written_in_any_way(load: Load, key: str) -> None:
    assert load(f"rules:\n- name: a\n  label: b\n  {key}: 30m") == (SeenRule(name="a", label="b", for_at_least=1800),)


def test_values_are_text_as_it_stands(load: Load) -> None:
    [rule] = load("rules:\n- {name: on, label: no, between hours: 22:00-06:00, on stream: 007}")
    assert (rule.name, rule.label, rule.on_stream) == ("on", "no", ("007",))
    assert rule.between_hours == ("22:00-06:00",)


def test_a_file_without_rules_has_none(load: Load) -> None:
    assert load("rules: []") == ()


WRONG = {
    "": "got nothing: expected the key rules:",
    "- name: a": "got a list: expected the key rules:",
    "rules:": "rules: got nothing: expected a list",
    "rules: {a: b}": "rules: got keys with values: expected a list",
    "rule: []": "got the unknown key 'rule': is 'rules' meant?",
    "rules: [a]": "rule 1, line 1: got 'a': expected keys",
    "rules: [": "line 1: not YAML",
    "rules: []\n---\nrules: []": "not YAML",
    "rules: []\nrules: []": "rules: got this key twice",
    "rules: &a [*a]": "rule 1, line 1: got a list",
    "rules: [{name: a}]": "rule 1 (a), line 1: the key 'label' is missing",
    "rules: [{label: a}]": "rule 1, line 1: the key 'name' is missing",
    "rules: [{name: a/b, label: c}]": "rule 1 (a/b), line 1: name: got 'a/b': a name is",
    "rules: [{name: a, label: }]": "label: got nothing",
    'rules: [{name: a, label: "b\\0"}]': "label: got 'b\\x00': expected a label",
    "rules: [{name: a, label: [b]}]": "label: got",
    "rules: [{name: a, label: {b: c}}]": "label: got keys with values: expected a text",
    "rules: [{name: a, label: b}, {name: a, label: c}]": "rule 2 (a), line 1: name: got 'a' once more",
    "rules: [{name: a, label: b, withn: 1h}]": "got the unknown key 'withn': is 'within' meant?",
    "rules: [{name: a, label: b, zzz: 1h}]": "got the unknown key 'zzz': expected one of between hours, confidence",
    "rules: [{name: a, label: b, kind: sean}]": "rule 1 (a), line 1: kind: got 'sean': is 'seen' meant?",
    "rules: [{name: a, label: b, kind: zzz}]": "kind: got 'zzz': expected one of seen",
    "rules: [{name: a, label: b, kind: [seen]}]": "kind: got a list: expected a text",
    "rules: [{name: a, label: b, kind: seen, Kind: seen}]": "Kind: got this key twice",
    "rules: [{name: a, label: b, kind: }]": "kind: got nothing",
    "rules: [{name: a, label: b, text: c}]": "got the unknown key 'text'",
    "rules: [{name: a, label: b, <<: {within: 1h}}]": "got the unknown key '<<'",
    "rules: [{name: a, label: b, for at least: 1h, for-at-least: 1h}]": "for-at-least: got this key twice",
    "rules: [{name: a, label: b, for at least: soon}]": "for at least: got 'soon': expected a time such as 90s",
    "rules: [{name: a, label: b, for at least: 1:30}]": "for at least: got '1:30': expected a time",
    "rules: [{name: a, label: b, for at least: 0}]": "for at least: got '0': expected more than 0",
    "rules: [{name: a, label: b, for at least: 31d}]": "expected more than 0 and at most 30 days",
    "rules: [{name: a, label: b, for at least: -5}]": "for at least: got '-5'",
    "rules: [{name: a, label: b, within: 1h}]": "within: got '1h': expected 'for at least' beside it",
    "rules: [{name: a, label: b, for at least: 2h, within: 1h}]": "no less than 'for at least', which is 2 h",
    "rules: [{name: a, label: b, between hours: night}]": "between hours: got 'night': expected hours such as 22:00",
    "rules: [{name: a, label: b, between hours: 25:00-26:00}]": "expected hours from 00:00 to 24:00",
    "rules: [{name: a, label: b, between hours: 06:00-06:00}]": "all day is 00:00-24:00",
    "rules: [{name: a, label: b, between hours: []}]": "between hours: got 0 items",
    "rules: [{name: a, label: b, timezone: UTC}]": "timezone: got 'UTC': expected 'between hours' beside it",
    "rules: [{name: a, label: b, between hours: 1:00-2:00, timezone: ../x}]": "timezone: got '../x': expected",
    "rules: [{name: a, label: b, on stream: [x, y/z]}]": "on stream: got 'y/z': a name is",
    "rules: [{name: a, label: b, confidence: 1.5}]": "confidence: got '1.5': input should be less than or equal to 1",
    "rules: [{name: a, label: b, confidence: .nan}]": "confidence: got '.nan'",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named(load: Load, text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError) as error:
        load(text)
    message = str(error.value)
    assert message.startswith(str(tmp_path / "rules.yaml"))
    assert WRONG[text] in message
    assert "\n" not in message


def test_several_wrong_rules_are_named_together(load: Load) -> None:
    with pytest.raises(SettingError, match=r"rule 1 .*; .*rule 3 .*; and 4 more"):
        load("rules:\n- {name: a}\n- {name: b, label: c}\n" + "- {name: d}\n" * 8)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none\.yaml: cannot be read"):
        load_rules(tmp_path / "none.yaml")
    with pytest.raises(SettingError, match="cannot be read"):
        load_rules(tmp_path)
    (tmp_path / "bytes").write_bytes(b"rules: []\xff")
    with pytest.raises(SettingError, match="no UTF-8, from byte 9"):
        load_rules(tmp_path / "bytes")
    (tmp_path / "large").write_bytes(b"#" * 1_000_001)
    with pytest.raises(SettingError, match="more than 1000000 bytes"):
        load_rules(tmp_path / "large")


def test_hostile_files_are_refused_at_once_and_run_nothing(load: Load, tmp_path: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(20)
    )
    made = tmp_path / "made"
    started_s = time.process_time()  # of this process: others may have the machine meanwhile
    for text in (
        bomb + "rules: *u",
        bomb.replace("a: &a", "rules: &a", 1),
        "[" * 50_000,
        "rules: " + "{a: " * 5_000,
        f"rules: !!python/object/apply:os.mkdir [{made}]",
        f"rules: [!!python/object/new:os.mkdir [{made}]]",
        f"rules: [{{name: a, label: !!python/object/apply:os.mkdir [{made}]}}]",
    ):
        with pytest.raises(SettingError):
            load(text)
    assert time.process_time() - started_s < 10
    assert not made.exists()


def test_labels_that_the_model_has_not_are_named_with_the_nearest() -> None:
    rules = [
        SeenRule(name="a", label="siting"),
        SeenRule(name="b", label="sitting"),
        SeenRule(name="c", label="zebra"),
    ]
    assert unknown_labels(rules, ["sitting", "sleeping"]) == [
        "rule 'a': label: got 'siting', which the model has not: is 'sitting' meant?",
        "rule 'c': label: got 'zebra', which the model has not: it has sitting, sleeping",
    ]
    assert unknown_labels(rules, []) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("1h30m", 5400),
        ("1 h 30 min", 5400),
        ("2 hours", 7200),
        ("1d", 86400),
        ("PT1H", 3600),
        ("pt90s", 90),
        ("P1DT1S", 86401),
        ("1.5h", 5400),
        ("45", 45),
        ("0.5", 0.5),
        (1800, 1800),
    ],
)
def test_durations(text: str | int, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "m", "30x", "m30", "30m1h", "1:30", "P1Y", "P", "inf", "nan", "1e9", True, None, []]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_duration(text)


def test_durations_are_spoken() -> None:
    assert [format_duration(s) for s in (1, 59, 60, 61, 1859.9, 3600, 3660, 90_000)] == [
        "1 s", "59 s", "1 min", "1 min 1 s", "30 min", "1 h", "1 h 1 min", "1 d 1 h",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", "2026-03-29"),
        ("Europe/Berlin", "2026-10-25"),
        ("America/New_York", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Asia/Kolkata", "2026-06-01"),
        ("Pacific/Kiritimati", "2026-06-01"),
    ],
)
@pytest.mark.parametrize("texts", [["22:00-06:00"], ["02:30-03:30", "01:15-02:15"], ["00:00-24:00"], ["02:00-03:00"]])
def test_hours_are_those_of_the_clock_on_days_when_it_is_set(zone: str, day: str, texts: list[str]) -> None:
    known = ZoneInfo(zone)
    hours = Hours([parse_hours(text) for text in texts], known)
    first = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
    inside: set[int] = set()
    start_s = round(first.timestamp())
    for low, high in hours.spans(start_s * S, (start_s + 3 * 86_400) * S):
        inside |= set(range(low // (60 * S), high // (60 * S)))

    def shown(minute: int) -> bool:
        clock = datetime.fromtimestamp(minute * 60, UTC).astimezone(known).strftime("%H:%M")
        return any(
            (a <= clock < b) if a < b else (clock >= a or clock < b) for a, _, b in (t.partition("-") for t in texts)
        )

    minutes = range(start_s // 60, start_s // 60 + 3 * 1440)
    assert inside == {minute for minute in minutes if shown(minute)}
    edges = [minute for minute in minutes[1:] if shown(minute) != shown(minute - 1)]
    for edge in edges:  # nothing begins or ends before what is said to be the next
        assert hours.next_edge((edge * 60 - 1) * S) == edge * 60 * S


def test_hours_go_by_the_clock_of_the_machine_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        noon_us = round(datetime(2026, 11, 21, 3, tzinfo=UTC).timestamp()) * S
        assert list(Hours([parse_hours("12:00-13:00")], None).spans(noon_us, noon_us)) == [(noon_us, noon_us)]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_ends_of_time_do_no_harm() -> None:
    for zone in (None, ZoneInfo("Europe/Berlin")):
        hours = Hours([parse_hours("22:00-06:00")], zone)
        for now_us in (0, 253_402_300_799_999_999):
            assert hours.next_edge(now_us) > now_us
            list(hours.spans(now_us, now_us))
