"""A file in the body of a request, as multipart/form-data or as the body itself: streamed, within limits.

A request is refused before its body is read where its headers are reason enough.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from flask import Request
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    HTTPException,
    LengthRequired,
    RequestEntityTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)
from werkzeug.formparser import FormDataParser

from framewatch.web.http.body_reader import ALLOW_BODY, BodyTooLarge

FIELD: Final = "file"
FORM_BYTES: Final = 64 * 1024  # that a body may have beside its file

_MULTIPART: Final = "multipart/form-data"
_FILE: Final = {"type": "object", "properties": {FIELD: {"type": "string", "format": "binary"}}, "required": [FIELD]}
_OCTETS: Final = "application/octet-stream"
_MAX_PARTS: Final = 16
_MAX_TEXT_BYTES: Final = 256 * 1024  # of a form's text and headers; a file in it is no text
_TRANSFER: Final = "Transfer-Encoding"
_PIECE: Final = 64 * 1024


def body_schema(*mimetypes: str) -> dict[str, Any]:
    """For the documentation of an operation: a form with the file, or the file itself as one of these types."""
    content = {_MULTIPART: {"schema": _FILE}, **{mimetype: {} for mimetype in mimetypes}}
    return {"requestBody": {"required": True, "content": content}}


class Writable(Protocol):
    """A binary stream, as far as it is written to."""

    def write(self, data: bytes, /) -> Any:
        """Take all of it."""


def check_headers(
    request: Request, max_bytes: int, what: str, kinds: tuple[str, ...], needs_length: bool = False
) -> None:
    """Refuse a request whose headers say that its body cannot be used.

    Args:
        request: whose body is not read yet.
        max_bytes: of the file.
        what: the file should be, for messages: ``a picture``.
        kinds: top-level media types that a bare body may have, such as ``image``.
        needs_length: whether a Content-Length is needed.

    Raises:
        HTTPException: it cannot be used.
    """
    kind = request.mimetype
    if kind not in {_MULTIPART, _OCTETS} and kind.partition("/")[0] not in kinds:
        raise UnsupportedMediaType(
            f"got Content-Type {kind[:80]!r}: send {what} as {_MULTIPART} in the field {FIELD!r}, "
            f"or as the body with its own Content-Type: {', '.join(f'{kind}/…' for kind in kinds)}"
        )
    if kind == _MULTIPART and not request.mimetype_params.get("boundary"):
        raise BadRequest("the Content-Type multipart/form-data names no boundary")
    if (request.content_length or 0) > max_bytes + FORM_BYTES:
        raise too_large(max_bytes, what)
    chunked = _TRANSFER in request.headers
    if chunked and needs_length:
        raise LengthRequired("send a Content-Length: an upload may not be chunked")
    if not chunked and not request.content_length:
        raise BadRequest(f"the request has no body: {what} is needed")


def too_large(max_bytes: int, what: str, more: str = "") -> HTTPException:
    """A 413 that says how much is allowed."""
    return RequestEntityTooLarge(f"{what} may have at most {max_bytes / 1e6:g} MB{more}")


def read_file(request: Request, max_bytes: int, what: str, into: Writable) -> str | None:
    """Write the request's one file into a binary stream, as it comes.

    Args:
        request: checked by ``check_headers``.
        max_bytes: of the file.
        what: it is, for messages: ``a picture``.
        into: written to. Its exceptions are passed on.

    Returns:
        The file's name as the client gave it; None for a bare body.

    Raises:
        HTTPException: it does not come as it should.
    """
    request.max_content_length = max_bytes + FORM_BYTES
    # By our own server, which else lets bodies be small. Not of chunks: each is held in memory until it is whole.
    if ALLOW_BODY in request.environ and _TRANSFER not in request.headers:
        request.environ[ALLOW_BODY](max_bytes + 2 * FORM_BYTES)
    target, noun = _Once(into, max_bytes, what), what.removeprefix("a ")
    try:
        if request.mimetype == _MULTIPART:
            name: str | None = _file_of_form(request, target)
        else:
            name = None
            _whole_body(request, target)
    except ClientDisconnected as error:  # werkzeug's name for every way in which a body ends early
        if isinstance(error.__context__, TimeoutError):
            raise RequestTimeout(f"{what} came too slowly") from None
        if isinstance(error.__context__, BodyTooLarge):
            raise too_large(max_bytes, what) from None
        raise BadRequest(f"the connection ended before the whole {noun} came") from None
    except RequestEntityTooLarge as error:
        if target.refused:
            raise
        more = f", its form {_MAX_PARTS} parts and {_MAX_TEXT_BYTES // 1024} kB of text"
        raise too_large(max_bytes, what, more if request.mimetype == _MULTIPART else "") from error
    if not target.count:
        raise BadRequest(f"the file is empty: {what} is needed")
    return name


class _Once:
    """The one file that a request may have, with its bytes counted."""

    def __init__(self, into: Writable, max_bytes: int, what: str) -> None:
        self._into = into
        self._max_bytes, self._what = max_bytes, what
        self.count = 0
        self.files = 0
        self.refused = False  # by us or by whom it is written to, which says why

    def begin(self) -> _Once:
        self.files += 1
        if self.files > 1:
            raise BadRequest(f"got {self.files} files: send one at a time")
        return self

    def write(self, data: bytes) -> int:
        self.count += len(data)
        self.refused = True
        if self.count > self._max_bytes:
            raise too_large(self._max_bytes, self._what)
        self._into.write(data)
        self.refused = False
        return len(data)

    def seek(self, _offset: int) -> None:
        """Asked for by werkzeug at the end of each file."""


def _whole_body(request: Request, target: _Once) -> None:
    target.begin()
    while data := request.stream.read(_PIECE):
        target.write(data)
    if target.count < (request.content_length or 0):
        raise ClientDisconnected


def _file_of_form(request: Request, target: _Once) -> str:
    """The name of the one file of a form.

    Raises:
        BadRequest: the form is damaged or has no such file, or several.
        RequestEntityTooLarge: it has too many parts, or too long ones that are no file.
    """
    parser = FormDataParser(
        stream_factory=lambda *_args, **_kwargs: target.begin(),  # type: ignore[arg-type]  # all it uses
        max_form_memory_size=_MAX_TEXT_BYTES,
        max_form_parts=_MAX_PARTS,
        silent=False,
    )
    try:
        _, form, files = parser.parse(
            request.stream, _MULTIPART, request.content_length, dict(request.mimetype_params)
        )
    except ValueError as error:
        raise BadRequest(f"the form is damaged: {error}") from None
    found = files.getlist(FIELD)
    if len(found) == 1:
        return found[0].filename or ""
    if FIELD in form:
        raise BadRequest(f"the field {FIELD!r} holds text: send it as a file, with a file name")
    others = ", ".join(repr(name)[:40] for name in [*files, *form][:_MAX_PARTS]) or "none"
    raise BadRequest(f"no file in a field {FIELD!r}; fields: {others}")
