"""The address of the client behind reverse proxies.

Rates and log lines are by client address. Behind a proxy every connection comes from the proxy, which appends the
address of its own client to ``X-Forwarded-For``; anybody else can write that header, too. So it is read only where
the connection comes from a listed proxy, and from the right, only as far as listed proxies have written it.

werkzeug's ProxyFix counts hops instead, whoever the connection comes from: with it, one who reaches the port directly
could choose an address. ``X-Forwarded-Host`` and ``X-Forwarded-Proto`` are not read: nothing here depends on the
scheme, and a host that a proxy passes on from its client would undo the check of names (see ``origin``), so proxies
have to pass ``Host`` itself. ``Forwarded`` (RFC 7239) is not read either: few proxies write it, and the others pass
on whatever their client has written.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from flask import Flask, request

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_FORWARDED: Final = "X-Forwarded-For"
_MAX_HOPS: Final = 32  # of a longer list only the end counts
# An address with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80.
_ENTRY: Final = re.compile(
    r"\[([0-9a-f]*:[0-9a-f:.]{1,45})\](?::[0-9]{1,5})?|([0-9.]{7,15})(?::[0-9]{1,5})?|([0-9a-f:.]{2,45})", re.I
)


def trust(app: Flask, proxies: Collection[Network]) -> None:
    """Set the client's address on every request that comes through one of these proxies; to be called first of all.

    Args:
        app: whose ``request.remote_addr`` is set.
        proxies: networks of the proxies. Whoever is in them can choose the address it is known by.
    """
    if not proxies:
        return
    networks = tuple(proxies)

    @app.before_request
    def set_client_address() -> None:
        request.remote_addr = client_address(request.remote_addr, request.headers.get(_FORWARDED, ""), networks)


def client_address(peer: str | None, forwarded_for: str, proxies: Collection[Network]) -> str | None:
    """The address of the client: the rightmost one that is not a trusted proxy's.

    Where an entry is no address the proxy that passed it on counts as the client, and where all are proxies the
    leftmost one does.

    Args:
        peer: address that the connection comes from, None where it has none.
        forwarded_for: value of ``X-Forwarded-For``, several of them joined by commas; empty without one.
        proxies: networks of the trusted proxies.

    Example:
        >>> proxies = [ipaddress.ip_network("10.0.0.0/8")]
        >>> client_address("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2", proxies)
        '198.51.100.7'
        >>> client_address("192.0.2.1", "198.51.100.7", proxies)
        '192.0.2.1'
    """
    client = _parsed(peer or "")
    if client is None:
        return peer
    entries = forwarded_for.rsplit(",", _MAX_HOPS)[-_MAX_HOPS:] if forwarded_for else []
    while entries and any(client in network for network in proxies):
        before = _parsed(entries.pop().strip())
        if before is None:
            break
        client = before
    return str(client)


def _parsed(entry: str) -> Address | None:
    """The address of an entry, an IPv4 one where it is mapped into IPv6; None for anything else."""
    matched = _ENTRY.fullmatch(entry)
    if matched is None:
        return None
    try:
        address = ipaddress.ip_address(matched[1] or matched[2] or matched[3])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
