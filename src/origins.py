"""Hosts, origins and proxies as people write them in settings.

A host is a name of this server, an origin is another site whose pages may use the API, and a proxy stands before
this server.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

_HOST: Final = re.compile(r"[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]", re.IGNORECASE)
_ORIGIN: Final = re.compile(rf"https?://({_HOST.pattern})(:[0-9]{{1,5}})?", re.IGNORECASE)


def checked_host(text: str) -> str:
    """The same in small letters, or a ValueError that says what a host may be."""
    if not _HOST.fullmatch(text):
        raise ValueError("a host is a name or address without scheme, port or path, such as cam.example.org")
    return text.lower()


def checked_origin(text: str) -> str:
    """The same in small letters, or a ValueError that says what an origin may be."""
    if not _ORIGIN.fullmatch(text):
        raise ValueError("an origin is scheme, host and port without a path, such as https://example.org:8443")
    return text.lower()


def checked_network(text: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The network or single address, or a ValueError that says what may be listed."""
    try:
        network = ipaddress.ip_network(str(text))
    except ValueError as error:
        raise ValueError(
            f"a proxy is an address or a network of addresses, such as 127.0.0.1 or 10.0.0.0/8 ({error})"
        ) from None
    if network.prefixlen == 0:
        raise ValueError("that is every address: everybody could choose the address they are known by")
    return network


def _listed(value: object) -> object:
    """The items of a text with commas between them."""
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


# NoDecode: else an environment variable would have to be JSON.
Hosts = Annotated[tuple[Annotated[str, AfterValidator(checked_host)], ...], NoDecode, BeforeValidator(_listed)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(checked_origin)], ...], NoDecode, BeforeValidator(_listed)]
Networks = Annotated[
    tuple[Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(checked_network)], ...],
    NoDecode,
    BeforeValidator(_listed),
]
