"""Episodes are the unbroken stretches of what was seen, and shares are what they make of a period."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import pytest

from framewatch.activity.episodes import EpisodeTracker
from framewatch.activity.shares import Share, shares
from framewatch.model.episode import Episode

S = 1_000_000


def episode(start_s: float, end_s: float, label: str = "sitting", stream: str = "cam", frames: int = 1) -> Episode:
    return Episode(stream, label, round(start_s * S), round(end_s * S), frames, 0.5)


def observe(tracker: EpisodeTracker, *seconds: float, label: str = "sitting", stream: str = "cam") -> None:
    for now_s in seconds:
        tracker.observe(stream, round(now_s * S), {label: 0.5})


def test_a_gap_belongs_to_its_episode_and_a_longer_one_begins_the_next() -> None:
    tracker = EpisodeTracker(gap_us=2 * S)
    observe(tracker, 1, 2, 4, 6.000001, 8)
    assert tracker.changed() == [episode(1, 4, frames=3), episode(6.000001, 8, frames=2)]
    assert tracker.changed() == []
    observe(tracker, 9)
    assert tracker.changed() == [episode(6.000001, 9, frames=3)]


def test_labels_and_streams_have_episodes_of_their_own_with_their_best_confidence() -> None:
    tracker = EpisodeTracker()
    for now_s, confidence in ((1, 0.5), (2, 0.9), (3, 0.7)):
        tracker.observe("a", now_s * S, {"sitting": confidence, "laptop": 0.4})
    tracker.observe("b", 3 * S, {"sitting": 0.6})
    tracker.observe("b", 4 * S, {})
    assert tracker.changed() == [
        Episode("a", "sitting", 1 * S, 3 * S, 3, 0.9),
        Episode("a", "laptop", 1 * S, 3 * S, 3, 0.4),
        Episode("b", "sitting", 3 * S, 3 * S, 1, 0.6),
    ]


def test_a_stream_is_known_from_its_first_frame_even_when_nothing_is_in_it() -> None:
    tracker = EpisodeTracker()
    assert not tracker.knows("cam")
    tracker.observe("cam", 0, {})
    assert tracker.knows("cam")
    tracker.resume("other", [])
    assert tracker.knows("other")
    assert tracker.changed() == []


def test_frames_that_come_twice_or_late_change_nothing() -> None:
    once, again, chance = EpisodeTracker(), EpisodeTracker(), random.Random(5)
    frames = [now_s for now_s in range(300) if now_s % 60 < 40]
    for at, now_s in enumerate(frames):
        observe(once, now_s)
        observe(again, now_s, now_s, frames[chance.randint(0, at)])
    assert again.changed() == once.changed() == [episode(s, s + 39, frames=40) for s in range(0, 300, 60)]


@pytest.mark.parametrize("died_at", range(1, 100, 7))
def test_after_a_restart_the_open_episode_goes_on(died_at: int) -> None:
    frames = [now_s for now_s in range(100) if now_s not in range(40, 50)]
    straight, first, second = EpisodeTracker(), EpisodeTracker(), EpisodeTracker()
    observe(straight, *frames)
    observe(first, *(now_s for now_s in frames if now_s < died_at))
    stored = {each.id: each for each in first.changed()}
    second.resume("cam", [*stored.values(), episode(0, 900, stream="other")])
    observe(second, *(now_s for now_s in frames if now_s >= died_at - 20))  # the last ones come once more
    stored |= {each.id: each for each in second.changed()}
    assert list(stored.values()) == straight.changed()


def test_streams_not_seen_for_long_are_forgotten_and_none_of_their_episodes_lost() -> None:
    tracker = EpisodeTracker(max_streams=3)
    for number in range(10):
        observe(tracker, 1, 2, stream=f"s{number}")
    assert [tracker.knows(f"s{number}") for number in (0, 6, 7, 9)] == [False, False, True, True]
    assert sorted(each.stream for each in tracker.changed()) == [f"s{number}" for number in range(10)]


def test_shares_are_the_time_of_a_label_in_the_period() -> None:
    found = shares(
        [
            episode(0, 30),  # 20 s of it in the period
            episode(25, 40),  # overlaps: 10 s more
            episode(70, 200),  # 40 s of it
            episode(60, 80, label="laptop"),
            episode(20, 20, label="smoking"),
            episode(10, 110, label="sleeping", stream="bed"),
            episode(0, 9, label="before"),
            episode(110, 120, label="after"),
        ],
        10 * S,
        110 * S,
    )
    assert found == [
        Share("bed", "sleeping", 100, 1, 1),
        Share("cam", "sitting", 70, 0.7, 70 / 80),
        Share("cam", "laptop", 20, 0.2, 20 / 80),
        Share("cam", "smoking", 0, 0, 0),
    ]


def counted(episodes: Iterable[Episode], since_s: int, until_s: int) -> int:
    return len(
        {second for e in episodes for second in range(e.start_us // S, e.end_us // S) if since_s <= second < until_s}
    )


@pytest.mark.parametrize("seed", range(40))
def test_shares_are_those_of_a_count_by_the_second(seed: int) -> None:
    chance = random.Random(seed)
    episodes: list[Episode] = []
    for _ in range(chance.randint(1, 30)):
        start_s = chance.randint(0, 200)
        episodes.append(episode(start_s, start_s + chance.randint(0, 60), chance.choice("abc"), chance.choice("xy")))
    since_s, until_s = sorted(chance.sample(range(260), 2))
    for share in shares(episodes, since_s * S, until_s * S):
        of_stream: Sequence[Episode] = [each for each in episodes if each.stream == share.stream]
        seconds = counted((each for each in of_stream if each.label == share.label), since_s, until_s)
        seen = counted(of_stream, since_s, until_s)
        assert share.seconds == seconds
        assert share.share == pytest.approx(seconds / (until_s - since_s))
        assert share.of_seen == pytest.approx(seconds / seen if seen else 0)


def test_a_period_of_no_length_has_no_shares() -> None:
    assert shares([episode(0, 30)], 10 * S, 10 * S) == []
    assert shares([episode(0, 30)], 20 * S, 10 * S) == []
