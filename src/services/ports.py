"""Free ports on the loopback address."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"
_ANY = ("0.0.0.0", "::")


def is_free(port: int) -> bool:
    """Whether the port can be listened on now, on the loopback address."""
    with socket.socket() as probe:
        # As servers do, so that a port whose last connections linger counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose_port(*liked: int | None) -> int:
    """The first of the liked ports that is free, else any free one."""
    for port in liked:
        if port and is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def accepts(port: int, host: str = LOOPBACK, timeout_s: float = 0.3) -> bool:
    """Whether something answers on the port."""
    try:
        socket.create_connection((LOOPBACK if host in _ANY else host, port), timeout_s).close()
    except OSError:
        return False
    return True
