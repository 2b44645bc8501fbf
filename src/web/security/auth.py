"""A password before every page, deny by default."""

from __future__ import annotations

import hmac
from typing import Final

from flask import Flask, request
from flask_httpauth import HTTPBasicAuth
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from framewatch.web.security.rate import RateLimit

MAX_FAILURES: Final = 20  # of one client, a minute

_REALM: Final = "Framewatch server"  # with a space, so that werkzeug quotes it, as RFC 9110 (11.5) demands


def protect(app: Flask, user: str, password: str, failures: RateLimit | None = None) -> None:
    """Ask for user and password on every address of the application, those of later blueprints too.

    Args:
        app: whose every request is looked at, whatever its method.
        user: name that is right.
        password: that is right.
        failures: how often one client may get it wrong: 20 times a minute unless given.
    """
    auth = HTTPBasicAuth(realm=_REALM)
    failed = failures or RateLimit(MAX_FAILURES)

    def known(given_user: str, given_password: str) -> str | None:
        # Both are compared, in constant time, so that neither can be guessed a letter at a time.
        same_user = hmac.compare_digest(given_user.encode(), user.encode())
        same_password = hmac.compare_digest(given_password.encode(), password.encode())
        return user if same_user and same_password else None

    auth.verify_password(known)

    @app.before_request
    def ask() -> None:
        """Raise where the password is not right.

        Raises:
            TooManyRequests: it was wrong too often, so it is not even looked at.
            Unauthorized: it is wrong or not there.
        """
        client, given = request.remote_addr or "", auth.get_auth()
        if given is not None:  # a browser asks without one first: that is no failure
            failed.check(client, "wrong passwords", counts=False)
            if auth.authenticate(given, None):
                return
            failed.wait_s(client)
        raise Unauthorized(www_authenticate=WWWAuthenticate("basic", {"realm": _REALM}))
