"""One alert for each breach, by the time of the frames: held against a count second by second."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from framewatch.activity.breaches import Breaches
from framewatch.activity.episodes import EpisodeTracker
from framewatch.activity.kinds.seen import SeenRule
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode

S = 1_000_000
GAP_S = 2
NOON_S = round(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp())
Frame = tuple[int, Mapping[str, float]]  # seconds after noon, and what is seen
Times = tuple[int, int | None]


def rule(label: str = "sitting", name: str = "rule", **more: Any) -> SeenRule:
    return SeenRule(name=name, label=label, **more)


def seen(first_s: int, last_s: int, *labels: str, confidence: float = 0.9) -> Iterator[Frame]:
    """A frame a second with the labels, the last second included."""
    for now_s in range(first_s, last_s + 1):
        yield now_s, dict.fromkeys(labels, confidence)


def told(breaches: Breaches, *frames: Iterable[Frame], stream: str = "cam") -> list[Alert]:
    return [
        alert
        for some in frames
        for now_s, labels in some
        for alert in breaches.observe(stream, (NOON_S + now_s) * S, labels)
    ]


def times(alerts: Iterable[Alert]) -> list[Times]:
    """Start and end of each, in seconds after noon."""
    return [(a.start_us // S - NOON_S, None if a.until_us is None else a.until_us // S - NOON_S) for a in alerts]


def test_what_is_not_allowed_at_all_is_alerted_with_its_first_frame_and_once() -> None:
    breaches = Breaches([rule("smoking", "no-smoking")])
    alerts = told(breaches, seen(0, 9, "face"), seen(10, 60, "smoking", "face"))
    assert times(alerts) == [(10, None)]
    assert alerts[0].id == f"no-smoking/cam/{(NOON_S + 10) * S}"
    assert alerts[0].text == "smoking on cam (rule no-smoking)"
    assert (alerts[0].label, alerts[0].since_us, alerts[0].seconds) == ("smoking", alerts[0].start_us, 0)
    assert told(breaches, seen(61, 70)) == [replace(alerts[0], until_us=(NOON_S + 60) * S)]
    assert times(told(breaches, seen(71, 72, "smoking"))) == [(71, None)]


def test_an_unbroken_stretch_is_alerted_when_it_is_long_enough_and_ends_where_it_broke_off() -> None:
    breaches = Breaches([rule(for_at_least="30s")])
    # Broken after 28 s; then two seconds out of sight, which belong to the stretch.
    frames = [seen(0, 28, "sitting"), seen(29, 31), seen(32, 40, "sitting"), seen(41, 41), seen(42, 61, "sitting")]
    assert told(breaches, *frames) == []
    alerts = told(breaches, seen(62, 90, "sitting"))
    assert times(alerts) == [(62, None)]
    assert alerts[0].since_us == (NOON_S + 32) * S
    assert (alerts[0].seconds, alerts[0].text) == (30, "sitting for 30 s on cam (rule rule)")
    assert told(breaches, seen(91, 92)) == []
    assert times(told(breaches, seen(93, 99))) == [(62, 90)]


def test_time_adds_up_within_a_window_and_the_breach_is_over_when_the_sum_falls() -> None:
    breaches = Breaches([rule("sitting", "long-sitting", for_at_least="31m", within="1h")])
    minutes = [seen(0, 20 * 60, "sitting"), seen(20 * 60 + 1, 30 * 60), seen(30 * 60 + 1, 45 * 60, "sitting")]
    alerts = told(breaches, *minutes, stream="ward-2")
    assert times(alerts) == [(41 * 60 + 1, None)]  # 20 min, then 11 from the second after half past
    assert alerts[0].text == "sitting for 31 min within 1 h on ward-2 (rule long-sitting)"
    assert alerts[0].since_us == (NOON_S + 30 * 60 + 1) * S
    # 20 min and 14:59 in all, so 3:59 of the first part may leave the window.
    assert times(told(breaches, seen(45 * 60 + 1, 70 * 60), stream="ward-2")) == [(41 * 60 + 1, 63 * 60 + 59)]


def test_a_stream_that_stops_ends_its_breach_with_the_stretch_once_it_comes_back() -> None:
    breaches = Breaches([rule(for_at_least="10s"), rule(name="window", for_at_least="10s", within="20s")])
    assert times(told(breaches, seen(0, 15, "sitting"))) == [(10, None), (10, None)]
    assert times(told(breaches, seen(5000, 5000, "sitting"))) == [(10, 15), (10, 15)]


def test_only_looks_as_sure_as_the_rule_wants_count() -> None:
    breaches = Breaches([rule("smoking", confidence=0.8)])
    assert told(breaches, seen(0, 9, "smoking", confidence=0.79)) == []
    assert times(told(breaches, seen(10, 19, "smoking", confidence=0.8))) == [(10, None)]
    assert times(told(breaches, seen(20, 29, "smoking", confidence=0.5))) == [(10, 19)]


def test_a_rule_is_for_its_streams_and_each_stream_has_alerts_of_its_own() -> None:
    breaches = Breaches([rule(on_stream=["a", "b"])])
    found = [told(breaches, seen(0, 9, "sitting"), stream=stream) for stream in ("a", "b", "c")]
    assert [[alert.stream for alert in alerts] for alerts in found] == [["a"], ["b"], []]


def test_outside_its_hours_a_rule_counts_nothing_and_their_end_ends_the_breach() -> None:
    breaches = Breaches([rule("sleeping", for_at_least="1m", between_hours="12:01-12:10", timezone="UTC")])
    alerts = told(breaches, seen(0, 119, "sleeping"))
    assert alerts == []
    alerts = told(breaches, seen(120, 660, "sleeping"))
    assert times(alerts) == [(120, None), (120, 600)]
    assert alerts[0].since_us == (NOON_S + 60) * S
    assert alerts[0].text == "sleeping for 1 min between 12:01-12:10 on cam (rule rule)"
    day = 86_400  # one stretch, and the hours come again
    assert times(told(breaches, seen(661, day + 200, "sleeping"))) == [(day + 120, None)]


def test_frames_that_come_twice_or_late_change_nothing() -> None:
    rules = [rule(), rule(name="long", for_at_least="10s"), rule(name="sum", for_at_least="10s", within="30s")]
    frames = [*seen(0, 20, "sitting"), *seen(21, 40), *seen(41, 60, "sitting"), *seen(61, 100)]
    expected = told(Breaches(rules), frames)
    chance = random.Random(3)
    again = [frame for at, frame in enumerate(frames) for frame in (frame, frames[chance.randint(0, at)])]
    assert told(Breaches(rules), again) == expected
    assert len(expected) == 2 * (2 + 2 + 2)


def test_streams_not_seen_for_long_are_forgotten_and_go_on_when_resumed() -> None:
    breaches = Breaches([rule()], max_streams=2)
    alerts = [told(breaches, seen(0, 1, "sitting"), stream=stream)[0] for stream in ("a", "b", "c")]
    breaches.resume("a", alerts, [Episode("a", "sitting", NOON_S * S, (NOON_S + 1) * S, 2, 0.9)])
    assert told(breaches, seen(2, 3, "sitting"), stream="a") == []
    assert told(breaches, seen(2, 3, "sitting"), stream="c") == []


def test_alerts_of_rules_that_are_gone_are_ended_with_the_next_frame() -> None:
    [alert] = told(Breaches([rule(name="old")]), seen(0, 5, "sitting"))
    breaches = Breaches([rule("smoking", "new")])
    breaches.resume("cam", [alert], [Episode("cam", "sitting", NOON_S * S, (NOON_S + 5) * S, 6, 0.9)])
    assert told(breaches, seen(6, 6, "sitting")) == [replace(alert, until_us=(NOON_S + 5) * S)]
    assert told(breaches, seen(7, 9, "sitting")) == []


def test_a_rule_that_is_new_is_held_to_the_past_as_well() -> None:
    past = [Episode("cam", "sitting", (NOON_S - 1200) * S, NOON_S * S, 2, 0.9)]
    breaches = Breaches([rule(name="new", for_at_least="15m"), rule(name="more", for_at_least="25m", within="2h")])
    breaches.resume("cam", [], past)
    assert times(told(breaches, seen(1, 2, "sitting"))) == [(-300, None)]
    gone = Breaches([rule(name="new", for_at_least="15m")])
    gone.resume("cam", [], past)
    assert told(gone, seen(10, 20)) == []  # it was over before anybody could be told


def test_the_past_that_is_needed_reaches_back_to_the_stretches_of_open_alerts() -> None:
    breaches = Breaches([rule(for_at_least="1m", within="5m"), rule("smoking", "none")], GAP_S * S)
    [alert] = told(Breaches([rule("smoking", "none")]), seen(0, 0, "smoking"))
    back_us = (2 * 300 + GAP_S) * S
    now_us = (NOON_S + 9000) * S
    assert breaches.needed_since_us("cam", now_us, []) == now_us - back_us
    assert breaches.needed_since_us("cam", now_us, [alert]) == NOON_S * S - back_us
    assert breaches.needed_since_us("other", now_us, [alert]) == now_us - back_us
    assert breaches.needed_since_us("cam", 5, []) == 0


def test_a_label_that_flickers_for_hours_is_summed_up_rightly_enough() -> None:
    # 4 s of each 10 s: 5184 s within the 3.6 hours, from the 12,960th second on.
    breaches, watched = Breaches([rule(for_at_least="5183s", within="12960s")]), 0
    for first in range(0, 40_000, 10):
        alerts = told(breaches, seen(first, first + 4, "sitting"), seen(first + 5, first + 9, "face"))
        watched += len(alerts)
        assert all(12_900 < a.start_us // S - NOON_S < 13_100 for a in alerts)
    assert watched == 1
    [ended] = told(breaches, seen(40_000, 40_600))
    assert ended.until_us is not None
    assert 39_990 <= ended.until_us // S - NOON_S < 40_100


# What follows counts second by second, in another way: from the end, knowing all.


def in_hours(hours: str | None) -> Callable[[int], bool]:
    if hours is None:
        return lambda now_s: True
    first, last = hours.split("-")

    def inside(now_s: int) -> bool:
        clock = datetime.fromtimestamp(NOON_S + now_s, UTC).strftime("%H:%M")
        return first <= clock < last

    return inside


def runs(sights: Sequence[int], inside: Callable[[int], bool]) -> Iterator[tuple[int, int, bool]]:
    """Each piece of time that counts: start, end, and whether the stretch goes on after it."""
    stretches: list[list[int]] = []
    for now_s in sights:
        if stretches and now_s - stretches[-1][1] <= GAP_S:
            stretches[-1][1] = now_s
        else:
            stretches.append([now_s, now_s])
    for first, last in stretches:
        start = None
        for now_s in range(first, last + 1):
            if inside(now_s):
                start = now_s if start is None else start
            elif start is not None:
                yield start, now_s, True
                start = None
        if start is not None:
            yield start, last, False


def by_the_second(one: SeenRule, frames: Sequence[Frame], hours: str | None) -> list[Times]:
    """Start and end of each breach."""
    last_frame = frames[-1][0]
    sights = [now_s for now_s, labels in frames if one.label in labels]
    over = not sights or last_frame - sights[-1] > GAP_S
    need = round(one.for_at_least or 0)
    pieces = list(runs(sights, in_hours(hours)))
    if not one.within:
        return [(a + need, b if more or over or b < sights[-1] else None) for a, b, more in pieces if b - a >= need]
    counted = {now_s for first, last, _ in pieces for now_s in range(first, last)}
    found: list[Times] = []
    known_until = last_frame if over else sights[-1]
    sums = {
        now_s: sum(second in counted for second in range(now_s - round(one.within), now_s))
        for now_s in range(-1, known_until + 1)
    }
    for before, now in pairwise(sorted(sums)):
        if sums[before] < need <= sums[now]:
            found.append((now, None))
        elif sums[now] < need <= sums[before]:
            watched = before - max(now_s for now_s, _ in frames if now_s <= before) <= GAP_S
            last = max(min(last, before) for first, last, _ in pieces if first <= before)
            found[-1] = found[-1][0], before if watched else max(found[-1][0], last)
    return found


def some_frames(chance: random.Random, length_s: int) -> list[Frame]:
    """A label that comes and goes, looks that fail, and a stream that stops now and then."""
    frames: list[Frame] = []
    now_s, there = 0, False
    while now_s < length_s:
        for _ in range(chance.randint(1, chance.choice([2, 6, 30, 60]))):
            if chance.random() < 0.9:
                frames.append((now_s, {"sitting": 0.9} if there and chance.random() < 0.85 else {"face": 0.9}))
            now_s += 1
        if chance.random() < 0.1:
            now_s += chance.randint(1, 60)
        there = not there
    return frames or [(0, {})]


def some_rule(chance: random.Random) -> tuple[SeenRule, str | None]:
    need = chance.randint(1, 40)
    hours = chance.choice([None, None, "12:01-12:03", "12:02-12:05", "12:00-12:04"])
    more: dict[str, Any] = {"between_hours": hours, "timezone": "UTC"} if hours else {}
    kind = chance.choice(["at all", "unbroken", "within", "within"])
    if kind != "at all":
        more["for_at_least"] = need
    if kind == "within":
        more["within"] = need + chance.choice([0, 1, chance.randint(0, 90)])
    return rule(**more), hours


def kept(stored: dict[str, Alert], alerts: Iterable[Alert]) -> None:
    """As a store would."""
    for alert in alerts:
        if alert.until_us is None:
            stored.setdefault(alert.id, alert)
        elif alert.id in stored:
            stored[alert.id] = replace(stored[alert.id], until_us=alert.until_us)


@pytest.mark.parametrize("seed", range(150))
def test_breaches_are_those_of_a_count_by_the_second(seed: int) -> None:
    chance = random.Random(seed)
    one, hours = some_rule(chance)
    frames = some_frames(chance, 420)
    breaches, stored = Breaches([one], GAP_S * S), dict[str, Alert]()
    for at, (now_s, labels) in enumerate(frames):
        alerts = breaches.observe("cam", (NOON_S + now_s) * S, labels)
        assert all((a.until_us or a.start_us) <= (NOON_S + now_s) * S for a in alerts)
        kept(stored, alerts)
        if chance.random() < 0.1:
            assert told(breaches, [frames[chance.randint(0, at)]]) == []
        if chance.random() < 0.02:
            assert times(stored.values()) == by_the_second(one, frames[: at + 1], hours)
    assert times(stored.values()) == by_the_second(one, frames, hours)


@pytest.mark.parametrize("seed", range(150))
def test_a_breach_has_one_alert_through_any_number_of_deaths(seed: int) -> None:
    chance = random.Random(seed)
    one, hours = some_rule(chance)
    rules = [one, rule("face", "other")]
    frames = some_frames(chance, 420)
    stored, episodes = dict[str, Alert](), dict[str, Episode]()
    committed = 0
    alive: tuple[EpisodeTracker, Breaches] | None = None
    while committed < len(frames):
        batch = frames[committed : committed + chance.randint(1, 20)]
        if alive is None:
            tracker, breaches = alive = EpisodeTracker(GAP_S * S), Breaches(rules, GAP_S * S)
            past = list(episodes.values())
            tracker.resume("cam", past)
            breaches.resume("cam", [a for a in stored.values() if a.until_us is None], past)
        raised: list[Alert] = []
        for now_s, labels in batch:
            tracker.observe("cam", (NOON_S + now_s) * S, labels)
            raised += breaches.observe("cam", (NOON_S + now_s) * S, labels)
        dies = chance.choice(["in alerts", "before episodes", "before commit", "after commit", "", "", "", ""])
        kept(stored, raised[: chance.randint(0, len(raised))] if dies == "in alerts" else raised)
        if dies not in {"in alerts", "before episodes"}:
            episodes |= {episode.id: episode for episode in tracker.changed()}
        if dies in {"after commit", ""}:
            committed += len(batch)
        if dies:
            alive = None
    expected = by_the_second(one, frames, hours)
    found = times(a for a in stored.values() if a.rule == one.name)
    assert [start for start, _ in found] == [start for start, _ in expected]
    for (_, until), (_, wanted) in zip(found, expected, strict=True):
        # Where a sum falls right at a restart: whether somebody looked just before is not known any more.
        assert until == wanted or (one.within and None not in (until, wanted))
