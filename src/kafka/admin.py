"""An admin client that lives long, and is replaced when it gets no answer for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka.admin import AdminClient

_LASTS_S: Final = 10.0


class ResilientAdmin:
    """The client, and the next one. See ``kafka.broker_health`` for why one may never get an answer again."""

    def __init__(self, make: Callable[[], AdminClient], clock: Callable[[], float] = time.monotonic) -> None:
        """Make the first one.

        Args:
            make: a new client.
            clock: seconds that never jump.
        """
        self._make = make
        self._clock = clock
        self._begin()

    def report_timeout(self) -> None:
        """Make a new client, at most every ten seconds: this one got no answer, or none of use."""
        if self._clock() - self._made_s >= _LASTS_S:
            self._begin()

    def _begin(self) -> None:
        self.client = self._make()
        self._made_s = self._clock()
