"""A password before every page, deny by default."""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

from flask import Flask
from flask.typing import ResponseReturnValue
from flask_httpauth import HTTPBasicAuth
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

_REALM: Final = "Framewatch server"  # with a space, so that werkzeug quotes it, as RFC 9110 (11.5) demands


def protect(app: Flask, user: str, password: str) -> None:
    """Ask for user and password on every address of the application, those of later blueprints too."""
    auth = HTTPBasicAuth(realm=_REALM)

    def known(given_user: str, given_password: str) -> str | None:
        # Both are compared, in constant time, so that neither can be guessed a letter at a time.
        same_user = hmac.compare_digest(given_user.encode(), user.encode())
        same_password = hmac.compare_digest(given_password.encode(), password.encode())
        return user if same_user and same_password else None

    def let_in() -> ResponseReturnValue | None:
        return None

    def refused(status: int) -> NoReturn:
        del status
        # Raised, not answered, so that it looks like every other problem.
        raise Unauthorized(www_authenticate=WWWAuthenticate("basic", {"realm": _REALM}))

    auth.verify_password(known)
    auth.error_handler(refused)
    app.before_request(auth.login_required(let_in))
