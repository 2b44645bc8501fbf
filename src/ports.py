"""Ports: which are free, who has one that is not, and whether something answers."""

from __future__ import annotations

import socket

import psutil

from framewatch.errors import ServiceError

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


def check_port(host: str, port: int) -> None:
    """Return when the port can be listened on.

    Raises:
        ServiceError: it is taken or may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ServiceError(port_problem(host, port, error)) from None


def port_problem(host: str, port: int, error: OSError) -> str:
    """One line for a port that cannot be listened on: who has it, and what to do."""
    if isinstance(error, socket.gaierror):
        return f"--host: got {host!r}: {error.strerror}"
    if "in use" not in str(error).lower() and "No socket could be created" not in str(error):
        return f"cannot listen on {host}:{port}: {error.strerror or error}; choose another by --port"
    holder = _holder(port)
    return f"port {port} is taken{f' by {holder}' if holder else ''}; choose another by --port"


def _holder(port: int) -> str | None:
    """Name and id of the process that listens on the port, where it can be seen."""
    try:
        for connection in psutil.net_connections("tcp"):
            if (
                connection.laddr
                and connection.laddr.port == port
                and connection.pid
                and connection.status == "LISTEN"
            ):
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return None
