"""Uploads: pictures and videos that become streams of their own, and how far each is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from flask import Response, request, url_for
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import (
    HTTPException,
    NotFound,
    RequestEntityTooLarge,
    ServiceUnavailable,
    UnsupportedMediaType,
)

from framewatch.model.upload import Kind, State, Upload
from framewatch.uploads.folder import UploadRefused
from framewatch.uploads.service import Uploads
from framewatch.web.api.forms import body_schema, check_headers, read_file
from framewatch.web.api.responses import json_response
from framewatch.web.event_schemas import ErasedOut
from framewatch.web.schemas import Problem
from framewatch.web.security.rate import RateLimit

_TAG: Final = Tag(name="uploads", description="Pictures and videos that become streams of their own.")
_WHAT: Final = "a picture or video"
_KINDS: Final = ("image", "video")
_TRY_AGAIN_S: Final = 10
_BODY: Final = body_schema("image/*", "video/*")


class UploadPath(BaseModel):
    """An upload in a path."""

    model_config = ConfigDict(extra="forbid")

    upload_id: str = Field(max_length=64, description="id of the upload")


class UploadOut(BaseModel):
    """An upload, and how far it is."""

    id: str = Field(description="chosen by the server")
    stream: str = Field(description="name of its stream: the same as the id")
    title: str = Field(description="the file's own name")
    kind: Kind = Field(description="by its content")
    time_us: int = Field(
        description="when it was received, microseconds since 1970 UTC; a video's frames end about then"
    )
    state: State = Field(description="waiting, sending, classifying, and in the end done or failed")
    total: int | None = Field(description="frames that it has; null while that is unknown")
    sent: int = Field(description="frames that are on the topic")
    classified: int = Field(description="frames that are classified, with their events stored")
    error: str = Field(description="why it failed, or will fail; else empty")
    bytes: int = Field(description="size of the file")
    url: str


class UploadsOut(BaseModel):
    """The newest uploads, newest first."""

    uploads: list[UploadOut]


class InsufficientStorage(HTTPException):
    """A 507, which werkzeug does not have (RFC 4918, 11.5)."""

    code = 507
    description = "the server's disk has no space for it"

    @property
    def name(self) -> str:
        """Of the status."""
        return "Insufficient Storage"


def blueprint(uploads: Uploads) -> APIBlueprint:
    """The section of the uploads."""
    section = APIBlueprint("uploads", __name__, abp_tags=[_TAG], abp_responses={"503": Problem})
    limits = uploads.limits
    most = max(limits.image_bytes, limits.video_bytes)
    rate = RateLimit(limits.per_minute)
    taken: ResponseDict = {202: UploadOut, **dict.fromkeys((400, 408, 411, 413, 415, 429, 507), Problem)}

    @section.post("/uploads", summary="Send a picture or video", responses=taken, openapi_extensions=_BODY)
    def upload() -> Response:
        """It becomes a stream of its own. The response comes once the file is received; `url` tells how far it is."""
        check_headers(request, most, _WHAT, _KINDS, needs_length=True)
        rate.check(request.remote_addr or "", "files")
        try:
            with uploads.receiving(request.content_length or 0) as file:
                name = read_file(request, most, _WHAT, file)
                made = uploads.accept(file, name or "")
        except UploadRefused as error:
            raise _refusal(error) from None
        out = _out(made)
        response = json_response(out)
        response.status_code, response.headers["Location"] = 202, out.url
        return response

    @section.get("/uploads", summary="Newest uploads", responses={200: UploadsOut})
    def newest() -> Response:
        """Newest first, about fifty."""
        return json_response(UploadsOut(uploads=[_out(upload) for upload in uploads.newest()]))

    @section.get("/uploads/<upload_id>", summary="State of an upload", responses={200: UploadOut, 404: Problem})
    def one(path: UploadPath) -> Response:
        """All its events are stored once its state is done."""
        found = uploads.get(path.upload_id)
        if found is None:
            raise _not_found(path.upload_id)
        return json_response(_out(found))

    @section.delete("/uploads/<upload_id>", summary="Delete an upload", responses={200: ErasedOut, 404: Problem})
    def remove(path: UploadPath) -> Response:
        """With its events, crops, episodes and alerts. One that is not finished is stopped."""
        erased = uploads.remove(path.upload_id)
        if erased is None:
            raise _not_found(path.upload_id)
        return json_response(ErasedOut(**asdict(erased)))

    return section


def _refusal(error: UploadRefused) -> HTTPException:
    if error.reason == "kind":
        return UnsupportedMediaType(str(error))
    if error.reason == "size":
        return RequestEntityTooLarge(str(error))
    if error.reason == "disk":
        return InsufficientStorage(str(error))
    return ServiceUnavailable(str(error), retry_after=_TRY_AGAIN_S)


def _not_found(upload_id: str) -> HTTPException:
    return NotFound(f"no upload {upload_id!r} here")


def _out(upload: Upload) -> UploadOut:
    return UploadOut(**asdict(upload), url=url_for("uploads.one", upload_id=upload.id))
