"""How often one client may ask for what costs much.

Flask-Limiter is the library for it; but its store in memory has no bound on the clients it stateful, and starts
timer threads to forget them. This is a table of bounded size that forgets when it is asked.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from werkzeug.exceptions import TooManyRequests

_MAX_CLIENTS: Final = 10_000
_IPV6_PREFIX: Final = 64  # one household's network has all addresses of it


class RateLimit:
    """A bucket of tokens for each client, full at first, filled again at a steady pace.

    Kept as the one time at which the client's bucket will be full again (the generic cell rate algorithm,
    ITU-T I.371, A.1).
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow each client this many a minute, all of them at once if it likes."""
        self._per_minute = per_minute
        self._each_s = 60 / per_minute
        self._full_s = 60.0
        self._clock = clock
        self._lock = threading.Lock()
        self._full_at_s: OrderedDict[str, float] = OrderedDict()  # the longest unseen client first

    def check(self, address: str, what: str, counts: bool = True) -> None:
        """Return when the client may go on.

        Args:
            address: of the client; all of one IPv6 network of 64 bits are one client.
            what: it is that is counted, such as "pictures".
            counts: whether going on counts; without, it is only looked at.

        Raises:
            TooManyRequests: it did so too often. It says when to try again.
        """
        if wait_s := self.wait_s(address, counts):
            source = f" from {address}" if address else ""
            seconds = math.ceil(wait_s)
            text = f"more than {self._per_minute} {what} a minute{source}: try again in {seconds} s"
            raise TooManyRequests(text, retry_after=seconds)

    def wait_s(self, address: str, counts: bool = True) -> float:
        """0 when the client may go on; else the seconds until it may.

        Args:
            address: of the client; all of one IPv6 network of 64 bits are one client.
            counts: whether going on counts; without, it is only looked at.
        """
        client, now_s = _network(address), self._clock()
        with self._lock:
            full_at_s = max(now_s, self._full_at_s.get(client, now_s)) + self._each_s
            wait_s = full_at_s - now_s - self._full_s
            if wait_s > 1e-9:
                return wait_s
            if not counts:
                return 0.0
            self._full_at_s[client] = full_at_s
            self._full_at_s.move_to_end(client)
            if len(self._full_at_s) > _MAX_CLIENTS:
                self._full_at_s.popitem(last=False)
        return 0.0


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # none is known, as on a socket in the file system: all share one bucket
        return ""
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((int(parsed), _IPV6_PREFIX), strict=False))
