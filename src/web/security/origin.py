"""Protection against pages of other sites (CSRF), and against DNS rebinding.

Browsers add a saved password to every request to this server, whichever page it comes from. They also say which page
that is: by Sec-Fetch-Site (W3C Fetch Metadata, 2.3), older ones by Origin (RFC 6454). A client that sends neither is
not a browser.

A page whose name was made to resolve to this machine's address (DNS rebinding) is same-origin to its browser. Only
the Host that the browser sends tells it apart.
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
    """Refuse requests from pages of other sites.

    Methods that change or cost something (all but GET, HEAD and OPTIONS) are for this server's own pages. Pages of
    other sites may link here, but not embed anything.

    Args:
        app: whose every request is checked, those of later blueprints too.
        origins: of pages that are allowed all the same, such as ``https://example.org:8443``, in small letters.
    """
    listed = frozenset(origins)

    @app.before_request
    def refuse_other_sites() -> None:
        """Raise where the request comes from a page of another site.

        Raises:
            Forbidden: it does.
        """
        safe = request.method in _SAFE
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site in _OURS or origin_of(request) in listed:
            return
        if safe and (site is None or request.headers.get("Sec-Fetch-Mode") != "no-cors"):
            return  # a link; or the browser hides the response from the page unless CORS allows it
        if not safe and site is None and (origin is None or _authority(origin) == request.host.lower()):
            return
        raise Forbidden(
            f"a page of {(origin or 'another site')[:300]} may not send this: use the page of this server, or list "
            "that page's origin in FRAMEWATCH_ORIGINS"
        )


def origin_of(sent: Request) -> str | None:
    """Origin of the page that sent the request, in small letters, if the browser says it; a page cannot forge it."""
    origin = sent.headers.get("Origin")
    if origin is not None:
        return origin.lower()
    try:
        page = urlsplit(sent.headers.get("Referer", ""))
    except ValueError:
        return None
    return f"{page.scheme}://{page.netloc}".lower() if page.netloc else None


def protect_hosts(app: Flask, hosts: Collection[str] | None = (), password: bool = False) -> None:
    """Answer only under this server's names, against DNS rebinding; to be called before the password is checked.

    ``localhost``, ``127.0.0.1`` and ``[::1]`` always are its names, with any port.

    Args:
        app: whose every request is checked.
        hosts: further names, without a port, in small letters. None where they are unknown, because the server
            listens on more than loopback and none are listed.
        password: whether there is one. Then, with ``hosts=None``, any name is accepted, for a browser does not send
            the password of another name; without one only IP addresses are, which no page can have as its name.
    """
    names = _LOOPBACK | frozenset(hosts or ())

    @app.before_request
    def refuse_other_names() -> None:
        """Raise where the request is for another name.

        Raises:
            BadRequest: it is not a name.
            Forbidden: it is not one of this server's.
        """
        given = request.headers.get("Host")
        if given is None:  # HTTP/1.0; not a browser
            return
        matched = _HOST.fullmatch(given)
        if matched is None:
            raise BadRequest(f"got the Host {given[:80]!r}: expected a name or address, with or without a port")
        name = matched[1].lower()
        if name in names or (hosts is None and (password or _is_address(name))):
            return
        raise Forbidden(f"{name[:80]!r} is not a name of this server: add it to FRAMEWATCH_HOSTS if it should be")


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
