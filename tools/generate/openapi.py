# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document of the commissioning page's API, from its routes: `python -m tools.generate.openapi`.

https://spec.openapis.org/oas/v3.1.0.html; the shapes are JSON Schema, made of the structs by msgspec.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from firmware.version import VERSION
from services.commissioning.app import OPENAPI
from services.commissioning.routes import ROUTES
from services.commissioning.site import Access, Route

__all__ = ["document", "text"]

_REFERENCE = "#/components/schemas/{name}"
_ABOUT = (
    "What the commissioning page does, for scripts. Every operation but signing in needs a session (the cookie of"
    " `POST /api/session`, and the header `X-CSRF-Token` for all but GET) or a token (`Authorization: Bearer`)."
    " Every error is an object with `error`, a word, and `detail`, a sentence."
)
_WHO = {
    Access.ANYONE: "Anybody.",
    Access.SIGNED_IN: "Who is signed in.",
    Access.VIEWER: "Viewer or installer.",
    Access.INSTALLER: "Installer.",
}


class Error(Struct, frozen=True):
    """Why a request was not carried out. Some have more members, such as `retry_after_s` and `holder`."""

    error: str
    detail: str


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document, in the order of the routes."""
    routes = list(routes)
    shapes = [kind for route in routes for kind in (route.answer, route.body, *route.events) if kind is not None]
    _, components = msgspec.json.schema_components([*dict.fromkeys(shapes), Error], ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "baywatt commissioning", "version": VERSION, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-baywatt"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    who = _WHO[route.access]
    name = re.sub(r"[^a-z0-9]+", "_", f"{route.method} {route.path.removeprefix('/api')}".lower())
    if route.access is Access.INSTALLER and route.method != "GET" and route.changes:
        who = "Installer with the seat, or a token of an installer."
    operation: dict[str, Any] = {
        "operationId": name.strip("_"),
        "summary": route.summary,
        "description": who,
        "security": [] if route.access is Access.ANYONE else [{"session": []}, {"token": []}],
        "parameters": [*_path_parameters(route.path), *_query_parameters(route.query)],
        "responses": {"200": _answer(route), "default": _response("An error", _reference(Error))},
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(_reference(route.body))}
    return operation


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(kind: type[Struct] | None) -> list[dict[str, Any]]:
    if kind is None:
        return []
    (_, components) = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    shape = components[kind.__name__]
    required = shape.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in shape["properties"].items()
    ]


def _answer(route: Route) -> dict[str, Any]:
    if route.stream:
        schema = {"schema": {"anyOf": [_reference(kind) for kind in route.events]}} if route.events else {}
        return {"description": "A stream", "content": {route.stream: schema}}
    return _response("Done", {"type": "object"} if route.answer is None else _reference(route.answer))


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": _json(schema)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _reference(kind: type[Struct]) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def text() -> str:
    """The file as it should be."""
    return msgspec.json.format(msgspec.json.encode(document(ROUTES)), indent=1).decode() + "\n"


if __name__ == "__main__":
    OPENAPI.write_text(text(), encoding="utf-8")
