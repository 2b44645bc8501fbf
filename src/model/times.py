"""Times as people write them: ISO 8601, or an age such as 15m."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

EXPECTED: Final = "a time such as 2026-11-21T10:15:00Z, or an age such as 90s, 15m, 2h, 7d"

_AGE: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment(text: str, zone: tzinfo | None = None) -> int:
    """The time in microseconds since 1970 UTC; before 1970 it is negative.

    Args:
        text: ISO 8601, or how long ago: 90s, 15m, 2h, 7d, 1w.
        zone: of a time that names none; None is the zone of this machine.

    Raises:
        ValueError: it is no time.
    """
    try:
        if age := _AGE.fullmatch(text):
            moment = datetime.now(UTC) - timedelta(seconds=int(age[1]) * _UNITS_S[age[2]])
        else:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None and zone is not None:
                moment = moment.replace(tzinfo=zone)
            moment = moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):  # the last: the machine's zone at a time it knows nothing of
        raise ValueError(f"got {text[:80]!r}: expected {EXPECTED}") from None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def written(time_us: int) -> str:
    """The time as ISO 8601 in UTC with its microseconds, such as ``2026-11-21T10:15:00.400000Z``."""
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")
