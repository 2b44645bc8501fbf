"""Times as people write them, on the command line and in addresses."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from framewatch.model.times import parse_moment, written

T0 = 1_795_000_000_000_000  # 2026-11-18T11:06:40Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-18T11:06:40Z", T0),
        ("2026-11-18T11:06:40.000001Z", T0 + 1),
        ("2026-11-18T16:36:40+05:30", T0),
        ("2026-11-18 11:06:40+00:00", T0),
        ("20261118T110640Z", T0),
        ("1970-01-01T00:00Z", 0),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ],
)
def test_a_time_with_its_zone_is_what_it_says(text: str, expected: int) -> None:
    assert parse_moment(text) == expected
    assert parse_moment(text, timezone(timedelta(hours=-7))) == expected


def test_a_time_without_a_zone_is_of_the_zone_that_is_meant() -> None:
    assert parse_moment("2026-11-18T11:06:40", UTC) == T0
    assert parse_moment("2026-11-18T16:36:40", timezone(timedelta(hours=5, minutes=30))) == T0
    local = datetime(2026, 11, 18, 11, 6, 40).astimezone()
    assert parse_moment("2026-11-18T11:06:40") == round(local.timestamp()) * 1_000_000
    assert parse_moment("2026-11-18", UTC) == T0 - (11 * 3600 + 6 * 60 + 40) * 1_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("7d", 604_800),
        ("1w", 604_800),
        ("99999w", 99_999 * 604_800),
    ],
)
def test_an_age_is_counted_back_from_now(text: str, seconds: int) -> None:
    before = time.time()
    got = parse_moment(text) / 1e6
    assert before - seconds - 0.01 <= got <= time.time() - seconds + 0.01


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "15", "m", "-15m", "1.5h", "15 m", "15M", "1000000s", "٣m", "999999w", "2026-02-30",
     "2026-11-18T25:00", "2026-11-18T11:06:40Zulu", "\0", "x" * 10_000, "0001-01-01T00:00+23:00"],
)  # fmt: skip
def test_what_is_no_time_is_refused_in_one_short_line(text: str) -> None:
    with pytest.raises(
        ValueError, match="expected a time such as 2026-11-21T10:15:00Z, or an age such as 90s"
    ) as caught:
        parse_moment(text, UTC)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("time_us", [0, 1, T0, T0 + 400_000, 253_402_300_799_999_999])
def test_what_is_written_is_read_as_the_same(time_us: int) -> None:
    assert parse_moment(written(time_us)) == time_us
    assert written(T0 + 400_000) == "2026-11-18T11:06:40.400000Z"
