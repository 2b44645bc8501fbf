"""Whether a Kafka client still knows a broker.

librdkafka drops the brokers that a cluster no longer names. A cluster that names none for a moment, such as a single
broker that was paused and is let in again, can leave a client without a single address that it would ever connect
to: it then asks nobody and says nothing, for ever (https://github.com/confluentinc/librdkafka/issues/5301, seen with
2.10 to 2.16). What helps is a new client; so those that live long are asked here whether they are lost.
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
    """What one client says of its brokers, once a second. Made for one client, and told by it."""

    def __init__(self) -> None:
        self._alone_since_us: int | None = None
        self.lost = False
        """Whether it has had no broker to turn to for three seconds: it never will again."""

    def options(self) -> Mapping[str, int | Callable[[str], None]]:
        """Client settings by which it is told; the client must be polled."""
        return {"statistics.interval.ms": _EVERY_MS, "stats_cb": self.note}

    def note(self, statistics: str) -> None:
        """Take in the client's statistics, in JSON. Their own time counts: several may be told late, at once."""
        said = json.loads(statistics)
        idle = said["type"] == "producer" and not said["msg_cnt"]  # then it need not turn to anybody
        if idle or any(map(_is_turned_to, said["brokers"].values())):
            self._alone_since_us = None
        elif self._alone_since_us is None:
            self._alone_since_us = said["ts"]
        self.lost = self._alone_since_us is not None and said["ts"] - self._alone_since_us >= _PATIENCE_US


def _is_turned_to(broker: Mapping[str, Any]) -> bool:
    """Whether the client is connected to the broker, or tries to be. One that it has dropped may linger unused."""
    unused = broker["state"] == "INIT" and broker["stateage"] >= _BETWEEN_TRIES_US
    return broker["source"] in _WITH_ADDRESS and not unused
