"""How often one client may do what is costly, or what is wrong.

Flask-Limiter is the library for it; but its store in memory has no bound on the clients it remembers, and starts
timer threads to drop them. This is a table of bounded size that drops them when it is used.
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
    """A bucket of tokens for each client, full at first, refilled at a steady pace.

    Stored as the one time at which the client's bucket will be full again (the generic cell rate algorithm,
    ITU-T I.371, A.1).
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow each client this many a minute, all of them at once if it likes."""
        self._per_minute = per_minute
        self._each_s = 60 / per_minute
        self._full_s = 60.0
        self._clock = clock
        self._lock = threading.Lock()
        self._full_at_s: OrderedDict[str, float] = OrderedDict()  # by client, the longest unseen first

    def check(self, client: str, what: str, counts: bool = True) -> None:
        """Return if the client may go on.

        Args:
            client: its address, or another name of it; all of one IPv6 network of 64 bits are one client.
            what: is counted, such as "pictures".
            counts: whether this call counts, too.

        Raises:
            TooManyRequests: it did so too often; the error says when to try again.
        """
        if wait_s := self.wait_s(client, counts):
            source = f" from {client}" if _network(client) else ""
            seconds = math.ceil(wait_s)
            text = f"more than {self._per_minute} {what} a minute{source}: try again in {seconds} s"
            raise TooManyRequests(text, retry_after=seconds)

    def wait_s(self, client: str, counts: bool = True) -> float:
        """0 if the client may go on; else the seconds until it may.

        Args:
            client: its address, or another name of it; all of one IPv6 network of 64 bits are one client.
            counts: whether this call counts, too.
        """
        client, now_s = _network(client) or client, self._clock()
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
    """The network that counts as one client; empty where it is no address, as on a socket in the file system."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((int(parsed), _IPV6_PREFIX), strict=False))
