"""Which pages may ask this server for what, and under which names it answers.

Browsers add the password they know to every request to this server, whichever page it comes from. They also say
which one that is: by Sec-Fetch-Site (W3C Fetch Metadata, 2.3), older ones by Origin (RFC 6454). What sends neither is
no browser.

A page that makes its own name lead to this machine's address (DNS rebinding) is a page of this server as its browser
sees it. Only the Host that it sends tells it apart.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Request, request
from werkzeug.exceptions import BadRequest, Forbidden

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1
_OURS: Final = frozenset({"same-origin", "none"})  # none: typed by a person
_HOST: Final = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::[0-9]{1,5})?", re.IGNORECASE)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


def protect(app: Flask, origins: Collection[str] = ()) -> None:
    """Refuse what pages of other sites ask for, to later blueprints too.

    What changes or costs something (every method but GET, HEAD and OPTIONS) is for this server's own pages.
    Others' pages may link here, but put nothing of it into themselves.

    Args:
        app: whose every request is looked at.
        origins: of pages that may all the same, such as ``https://example.org:8443``, in small letters.
    """
    listed = frozenset(origins)

    @app.before_request
    def refuse_other_sites() -> None:
        """Raise where another site's page asks.

        Raises:
            Forbidden: it does.
        """
        safe = request.method in _SAFE
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site in _OURS or asking_origin(request) in listed:
            return
        if safe and (site is None or request.headers.get("Sec-Fetch-Mode") != "no-cors"):
            return  # a link; or the browser keeps the answer from the page unless it is told not to
        if not safe and site is None and (origin is None or _authority(origin) == request.host.lower()):
            return
        raise Forbidden(
            f"a page of {(origin or 'another site')[:300]} may not send this: use the page of this server, or list "
            "that page's origin in FRAMEWATCH_ORIGINS"
        )


def asking_origin(asked: Request) -> str | None:
    """Origin of the page that asks, in small letters, where the browser says it; a page cannot say another's."""
    origin = asked.headers.get("Origin")
    if origin is not None:
        return origin.lower()
    try:
        page = urlsplit(asked.headers.get("Referer", ""))
    except ValueError:
        return None
    return f"{page.scheme}://{page.netloc}".lower() if page.netloc else None


def protect_hosts(app: Flask, hosts: Collection[str] | None = (), password: bool = False) -> None:
    """Answer only under names of this server, against DNS rebinding; to be called before a password is asked for.

    ``localhost``, ``127.0.0.1`` and ``[::1]`` always are its names, with any port.

    Args:
        app: whose every request is looked at.
        hosts: further names, without a port, in small letters. None where nobody knows them, because the server
            listens on more than loopback and none are listed.
        password: whether one is asked for. Then, with ``hosts=None``, any name will do, for a browser gives no other
            name's password away; without one only IP addresses, which no page can make its own.
    """
    names = _LOOPBACK | frozenset(hosts or ())

    @app.before_request
    def refuse_other_names() -> None:
        """Raise where another name is asked for.

        Raises:
            BadRequest: it is no name.
            Forbidden: it is none of this server.
        """
        given = request.headers.get("Host")
        if given is None:  # HTTP/1.0; no browser
            return
        matched = _HOST.fullmatch(given)
        if matched is None:
            raise BadRequest(f"got the Host {given[:80]!r}: a name or address, with or without a port, is needed")
        name = matched[1].lower()
        if name in names or (hosts is None and (password or _is_address(name))):
            return
        raise Forbidden(
            f"this server is not known as {name[:80]!r}: list that name in FRAMEWATCH_HOSTS if it should be"
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
