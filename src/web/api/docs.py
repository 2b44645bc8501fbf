"""The API's documentation: ``/openapi.json`` (OpenAPI 3.1), and ``/docs``, a page on which to read and try it.

The page is Swagger UI, from an installed package and served from here; nothing of it comes from another host.
flask-openapi3's own page is not used: its script is inline, and it loads every such package that happens to be
installed.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from flask import Response, jsonify, render_template, send_from_directory
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from flask_openapi3.utils import HTTP_STATUS, parse_rule

from framewatch.web.api.problems import ANY_PARAMETERS, MIMETYPE

TAG: Final = Tag(name="pages", description="The dashboard and this documentation.")

_SWAGGER: Final = Path(str(files("flask_openapi3_swagger") / "templates" / "swagger"))
_FILES: Final = {"swagger-ui.css": "css", "swagger-ui-bundle.js": "js"}
_MAX_AGE_S: Final = 24 * 3600
_POLICY: Final = (
    # Stricter than elsewhere, but for its icons, which are in its style sheet.
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SECTIONS: Final = re.compile(r"^(Args|Raises|Returns|Yields):.*", re.MULTILINE | re.DOTALL)
_SAFE: Final = frozenset({"get", "head", "options"})
_RETRY: Final = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}


def blueprint(document: dict[str, Any]) -> APIBlueprint:
    """The section of the documentation.

    Args:
        document: the answer of ``/openapi.json``; it may be filled after this.
    """
    section = APIBlueprint("docs", __name__, abp_tags=[TAG])

    @section.get("/docs", summary="API documentation", responses={200: html()})
    def page() -> Response:
        response = Response(render_template("docs.html"))
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    @section.get("/openapi.json", summary="OpenAPI document", responses={200: of_kind("application/json")})
    def openapi() -> Response:
        return jsonify(document)

    def add(name: str) -> None:
        kind = "text/css" if name.endswith(".css") else "text/javascript"

        @section.get(
            f"/docs/{name}",
            summary="Script or style sheet of /docs",
            endpoint=name.replace(".", "_"),
            responses={200: of_kind(kind)},
        )
        def part() -> Response:
            return send_from_directory(_SWAGGER / _FILES[name], name, max_age=_MAX_AGE_S)

    for name in _FILES:
        add(name)
    return section


def of_kind(*mimetypes: str, description: str = "OK") -> dict[str, Any]:
    """A response of these media types, for the documentation of an operation."""
    return {"description": description, "content": {mimetype: {} for mimetype in mimetypes}}


def html() -> dict[str, Any]:
    """A response that is a page."""
    return of_kind("text/html")


def complete_document(app: OpenAPI, password: bool) -> dict[str, Any]:
    """The application's OpenAPI document, with what is the same for all operations.

    Args:
        app: with all its sections.
        password: whether it needs one.
    """
    document: dict[str, Any] = app.api_doc
    endpoints = {
        (parse_rule(rule.rule), method.lower()): rule.endpoint
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    for path, item in document["paths"].items():
        for method, operation in item.items():
            endpoint = endpoints[path, method]
            operation["operationId"] = _operation_id(endpoint)
            _tidy_texts(operation)
            for parameter in operation.get("parameters", ()):
                _without_null(parameter["schema"])
            _complete_responses(operation, method, password, endpoint in ANY_PARAMETERS)
    if password:
        document["components"]["securitySchemes"] = {"basic": {"type": "http", "scheme": "basic"}}
        document["security"] = [{"basic": []}]
    else:
        document["components"].pop("securitySchemes", None)
    return document


def _operation_id(endpoint: str) -> str:
    """``events.delete`` becomes ``events_delete``, and ``events.events`` just ``events``."""
    return re.sub(r"\W", "_", re.sub(r"^(\w+)\.(?=\1)", "", endpoint))


def _without_null(schema: dict[str, Any]) -> None:
    """Remove null from the schema of an optional parameter: it can be left out, but not be null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.update(kinds[0])
    if schema.get("default", ...) is None:
        del schema["default"]


def _tidy_texts(operation: dict[str, Any]) -> None:
    """Keep of the docstrings what is for users of the API."""
    text = operation.pop("description", "").replace("<br/>", "\n")
    operation["summary"] = operation.get("summary", "").rstrip(".")
    text = _SECTIONS.sub("", text).strip()
    if text.rstrip(".") not in {"", operation["summary"]}:
        operation["description"] = text


def _complete_responses(operation: dict[str, Any], method: str, password: bool, any_parameters: bool) -> None:
    """Add the errors that every operation has, all of them as problems in JSON."""
    responses = operation["responses"]
    if any_parameters and "parameters" not in operation:
        responses.pop("422", None)  # which the library adds to all
    common = {"401": password, "403": method not in _SAFE}
    for status in [status for status, there in common.items() if there]:
        responses.setdefault(status, {"description": HTTP_STATUS[status]})
    responses["default"] = {"description": "Any other error"}
    for status, response in responses.items():
        if status == "default" or (status >= "400" and "application/json" not in _other_content(response)):
            name = "InvalidRequest" if status == "422" else "Problem"
            response["content"] = {MIMETYPE: {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        if status in {"429", "503"}:
            response.setdefault("headers", _RETRY)
    operation["responses"] = dict(sorted(responses.items()))


def _other_content(response: dict[str, Any]) -> dict[str, Any]:
    """Content of an error response that is not a problem, such as bad health."""
    content: dict[str, Any] = response.get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    reference = schema.get("$ref") or schema.get("items", {}).get("$ref", "")
    return {} if reference.endswith(("/Problem", "/InvalidRequest")) else content
