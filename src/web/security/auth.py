"""A password on every page, deny by default.

Guessing is slowed down by a limit on the failures of each address. While an address is over it, the right password
from there is refused, too: if it were accepted, guessing would go on at full speed. So that somebody who guesses does
not lock out people who share the address (a company's, or a proxy that is not listed), a browser that has once logged
in gets a cookie, and its failures are counted for itself and not for its address (OWASP, "Slow Down Online Guessing
Attacks with Device Cookies"). The cookie opens nothing: the password is still needed.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from typing import Final

from flask import Flask, Response, g, request
from flask_httpauth import HTTPBasicAuth
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from framewatch.web.security.rate import RateLimit

MAX_FAILURES: Final = 20  # of one client, a minute
COOKIE: Final = "framewatch-device"

_log = logging.getLogger(__name__)

_REALM: Final = "Framewatch server"  # with a space, so that werkzeug quotes it, as RFC 9110 (11.5) demands
_COOKIE_S: Final = 30 * 24 * 3600
_LOG_EACH_S: Final = 60.0


def protect(app: Flask, user: str, password: str, failures: RateLimit | None = None) -> None:
    """Ask for user and password on every address of the application, those of later blueprints too.

    Args:
        app: whose every request is checked, whatever its method.
        user: name that is right.
        password: that is right.
        failures: how often an address may get it wrong: 20 times a minute unless given.
    """
    auth = HTTPBasicAuth(realm=_REALM)
    devices = _Devices()
    by_address, by_device = failures or RateLimit(MAX_FAILURES), RateLimit(MAX_FAILURES)
    log = _FailureLog()

    def verify(given_user: str, given_password: str) -> str | None:
        # Both are compared, in constant time, so that neither can be guessed a letter at a time.
        same_user = hmac.compare_digest(given_user.encode(), user.encode())
        same_password = hmac.compare_digest(given_password.encode(), password.encode())
        return user if same_user and same_password else None

    auth.verify_password(verify)

    @app.before_request
    def check_password() -> None:
        """Raise unless the password is right.

        Raises:
            TooManyRequests: it was wrong too often, so it is not even compared.
            Unauthorized: it is wrong or missing.
        """
        given = auth.get_auth()
        if given is not None:  # a browser asks without one first: that is no failure
            device = devices.of_request()
            failed, client = (by_device, device) if device else (by_address, request.remote_addr or "")
            failed.check(client, "wrong passwords", counts=False)
            if auth.authenticate(given, None):
                g.is_new_device = device is None
                return
            failed.wait_s(client)
            if failed.wait_s(client, counts=False):
                log.warn(request.remote_addr or "")
        raise Unauthorized(www_authenticate=WWWAuthenticate("basic", {"realm": _REALM}))

    @app.after_request
    def remember_device(response: Response) -> Response:
        """Give a browser that logged in its cookie, with a page: programs have no use for one."""
        if g.get("is_new_device") and response.mimetype == "text/html" and response.status_code == 200:
            response.set_cookie(COOKIE, devices.new(), max_age=_COOKIE_S, httponly=True, samesite="Strict")
        return response


class _Devices:
    """Browsers that have logged in, by a signed cookie; the key is this process's, so a restart voids all of them."""

    def __init__(self) -> None:
        self._serializer = URLSafeTimedSerializer(secrets.token_bytes(32))

    def new(self) -> str:
        """The cookie of a new one."""
        return self._serializer.dumps(secrets.token_hex(8))

    def of_request(self) -> str | None:
        """Its id, if the request has a valid cookie."""
        try:
            return f"device {self._serializer.loads(request.cookies.get(COOKIE, ''), max_age=_COOKIE_S)}"
        except BadData:
            return None


class _FailureLog:
    """Says which address is over the limit, once a minute: else who guesses could fill the disk."""

    def __init__(self) -> None:
        self._again_s = 0.0

    def warn(self, address: str) -> None:
        """Log a warning, unless there was one just now."""
        if time.monotonic() >= self._again_s:
            self._again_s = time.monotonic() + _LOG_EACH_S
            _log.warning("more than %d wrong passwords a minute from %s", MAX_FAILURES, address or "a socket")
