"""Whether a Kafka client still knows a broker.

librdkafka drops the brokers that a cluster no longer names. A cluster that names none for a moment, such as a single
broker that was paused and is let in again, can leave a client without a single address that it would ever connect
to: it then asks nobody and says nothing, for ever (https://github.com/confluentinc/librdkafka/issues/5301, seen with
2.10 to 2.16). What helps is a new client; so those that live long are checked here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

_EVERY_MS: Final = 1_000
_PATIENCE_US: Final = 3_000_000
_BETWEEN_TRIES_US: Final = 2_000_000  # twice the longest wait of a client that tries to connect
_WITH_ADDRESS: Final = frozenset({"configured", "learned"})


class BrokerHealth:
    """Reads one client's statistics, which come once a second."""

    def __init__(self) -> None:
        self._alone_since_us: int | None = None
        self.is_stuck = False
        """Whether the client has had no broker to connect to for three seconds: it never will again."""

    def options(self) -> Mapping[str, int | Callable[[str], None]]:
        """Client settings by which the client reports here; it must be polled."""
        return {"statistics.interval.ms": _EVERY_MS, "stats_cb": self.update}

    def update(self, statistics: str) -> None:
        """Take in the client's statistics, in JSON. Their own time counts: several may come late, at once."""
        stats = json.loads(statistics)
        idle = stats["type"] == "producer" and not stats["msg_cnt"]  # then it needs no broker
        if idle or any(map(_is_in_use, stats["brokers"].values())):
            self._alone_since_us = None
        elif self._alone_since_us is None:
            self._alone_since_us = stats["ts"]
        self.is_stuck = self._alone_since_us is not None and stats["ts"] - self._alone_since_us >= _PATIENCE_US


def _is_in_use(broker: Mapping[str, Any]) -> bool:
    """Whether the client is connected to the broker, or tries to be. One that it has dropped may linger unused."""
    unused = broker["state"] == "INIT" and broker["stateage"] >= _BETWEEN_TRIES_US
    return broker["source"] in _WITH_ADDRESS and not unused
