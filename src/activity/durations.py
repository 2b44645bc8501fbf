"""Lengths of time as people write them and as they read them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from pydantic import TypeAdapter, ValidationError

MAX_S: Final = 30 * 86_400

_EXPECTED: Final = "expected a time such as 90s, 30m, 1h30m, PT30M or a number of seconds"
_NUMBER: Final = r"([0-9]+(?:\.[0-9]+)?)"
_UNITS: Final = (("d", "days?"), ("h", "hours?"), ("m", "min|minutes?"), ("s", "sec|seconds?"))
_WRITTEN: Final = re.compile(r"\s*".join(rf"(?:{_NUMBER}\s*(?:{short}|{long}))?" for short, long in _UNITS), re.I)
_PER_UNIT: Final = (86_400, 3600, 60, 1)
_ISO: Final = TypeAdapter(timedelta)


def parse_duration(value: object) -> float:
    """Seconds of a length of time: 90s, 30m, 1h30m, ISO 8601 such as PT30M, or seconds; above 0, up to 30 days.

    >>> parse_duration("1h30m"), parse_duration("PT1M"), parse_duration("2 hours"), parse_duration(90)
    (5400.0, 60.0, 7200.0, 90.0)

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str) and len(value) <= 100:
        seconds = _of_text(value.strip())
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise ValueError(_EXPECTED)
    if not 0 < seconds <= MAX_S:
        raise ValueError(f"expected more than 0 and at most {MAX_S // 86_400} days")
    return seconds


def format_duration(seconds: float) -> str:
    """A length of time for people to read, rounded down to two units.

    >>> [format_duration(seconds) for seconds in (1860, 5400, 3600, 90, 0.5, 180000)]
    ['31 min', '1 h 30 min', '1 h', '1 min 30 s', '0.5 s', '2 d 2 h']
    """
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = int(seconds)
    parts = [(whole // 86_400, "d"), (whole % 86_400 // 3600, "h"), (whole % 3600 // 60, "min"), (whole % 60, "s")]
    first = next(at for at, (count, _) in enumerate(parts) if count)
    # Seconds matter only beside a few minutes.
    units = 1 if parts[first][1] == "min" and parts[first][0] >= 10 else 2
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + units] if count)


def _of_text(text: str) -> float:
    if text[:1] in {"P", "p"}:
        try:
            return _ISO.validate_python(text.upper()).total_seconds()
        except ValidationError:
            raise ValueError(_EXPECTED) from None
    if re.fullmatch(_NUMBER, text):
        return float(text)
    found = _WRITTEN.fullmatch(text)
    if not text or not found:
        raise ValueError(_EXPECTED)
    return sum(float(part) * unit for part, unit in zip(found.groups(), _PER_UNIT, strict=True) if part)
