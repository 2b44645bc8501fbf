"""Numbers of stored documents, which any program may have written."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128

Number = int | float | Decimal


def number_of(value: Any) -> Number | None:
    """The value, or None where it is no number, or none that can be ordered: text, an array, NaN, infinity.

    >>> number_of(5), number_of([5, 6]), number_of(float("nan")), number_of(Decimal128("5.5"))
    (5, None, None, Decimal('5.5'))
    """
    number = value.to_decimal() if isinstance(value, Decimal128) else value
    return number if isinstance(number, int | float | Decimal) and math.isfinite(number) else None


def whole_number_of(value: Any) -> int | None:
    """The same without its fraction."""
    number = number_of(value)
    return None if number is None else math.floor(number)
