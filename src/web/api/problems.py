"""All errors as problem details (RFC 9457), without secrets.

Of what a client sent only a short part is repeated, so an error is small whatever was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from inspect import signature
from typing import Any, Final, NoReturn

from flask import Flask, Response, jsonify, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, ServiceUnavailable, UnprocessableEntity

from framewatch.errors import StoreRefused, Unavailable

_log = logging.getLogger(__name__)

MIMETYPE: Final = "application/problem+json"

# Endpoints that ignore all parameters: pages and pictures are reloaded by one, probes add their own.
ANY_PARAMETERS: Final = frozenset({
    "static", "home", "icon", "health_page", "metrics.metrics", "live.video", "live.video_of", "live.snapshot",
    "events.crop", "events.frame", "docs.page", "docs.openapi", "docs.swagger-ui_css", "docs.swagger-ui-bundle_js",
})  # fmt: skip

_KEPT: Final = ("Allow", "Content-Range", "Retry-After", "WWW-Authenticate")
_MAX_ERRORS: Final = 20
_MAX_NAME: Final = 80  # characters of a name that the client chose
_MAX_TEXT: Final = 400
_TRY_AGAIN_S: Final = 2


class Invalid(UnprocessableEntity):
    """Parameters that cannot be used: a 422 that names each."""

    def __init__(self, errors: Sequence[tuple[Sequence[str | int], str]]) -> None:
        """Say what is wrong.

        Args:
            errors: where each value is that cannot be used, and why it cannot.
        """
        first = errors[:_MAX_ERRORS]
        self.errors = [{"loc": [_short(part) for part in loc], "msg": msg[:_MAX_TEXT]} for loc, msg in first]
        super().__init__("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in self.errors[:3]))


def answer_with_problems(app: Flask) -> None:
    """Every error of the application as problem details, those of later blueprints too."""

    @app.before_request
    def refuse_repeated() -> None:
        """Refuse a parameter given twice: else only the first would count, unnoticed."""
        twice = [name for name, values in request.args.lists() if len(values) > 1]
        if twice:
            raise Invalid([([name], "given more than once") for name in twice])

    @app.before_request
    def refuse_unknown() -> None:
        """Refuse parameters where there are none: whoever sends one expects an effect."""
        view = app.view_functions.get(request.endpoint or "")
        if view is None or request.method == "OPTIONS" or request.endpoint in ANY_PARAMETERS:
            return
        if request.args and "query" not in signature(view).parameters:
            raise Invalid([([name], "there is no such parameter here") for name in request.args])

    @app.errorhandler(HTTPException)
    def problem(error: HTTPException) -> Response:
        status = error.code or 500
        body: dict[str, Any] = {"type": "about:blank", "title": error.name, "status": status}
        body["detail"] = (error.description or error.name)[: 4 * _MAX_TEXT]
        if isinstance(error, Invalid):
            body["errors"] = error.errors
        response = jsonify(body)
        response.status_code, response.content_type = status, MIMETYPE
        response.headers.extend([(name, value) for name, value in error.get_headers() if name in _KEPT])
        return response

    @app.errorhandler(Unavailable)
    def unavailable(error: Unavailable) -> Response:
        """Without the error's own text: it may hold addresses of servers."""
        _log.debug("%s %s: %s", request.method, request.path[:_MAX_NAME], error)
        text = "the store or Kafka does not answer now: try again"
        return problem(ServiceUnavailable(text, retry_after=_TRY_AGAIN_S))

    @app.errorhandler(StoreRefused)
    def refused(error: StoreRefused) -> Response:
        """Without the error's own text, which is in the log."""
        _log.error("%s %s: %s", request.method, request.path[:_MAX_NAME], error)
        return problem(ServiceUnavailable("the store refuses what this needs: the server's log says why"))


def raise_invalid(error: ValidationError) -> NoReturn:
    """Raise the errors that pydantic found in a request.

    Raises:
        Invalid: always.
    """
    # Neither the input nor the context: the one may be huge, the other no JSON.
    found = error.errors(include_url=False, include_context=False, include_input=False)
    raise Invalid([(one["loc"] or ("request",), one["msg"].removeprefix("Value error, ")) for one in found])


def _short(part: str | int) -> str | int:
    return part[:_MAX_NAME] if isinstance(part, str) else part
