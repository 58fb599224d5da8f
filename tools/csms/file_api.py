# SPDX-License-Identifier: Apache-2.0
"""The part of the API about files and firmware.

GET    /api/files                      addresses, folder and files of the file servers; each file is at /files/{path}
GET    /api/firmware                   ?file= &over=https|ftp -> `firmware` of an UpdateFirmwareRequest, signed
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from tools.csms.api import PKI, ApiError, as_json
from tools.csms.files import FileSide
from tools.image.build import request_fields

__all__ = ["FILES", "ROUTES"]

FILES: web.AppKey[FileSide | None] = web.AppKey("files")


async def _files(request: web.Request) -> web.Response:
    side = request.app[FILES]
    if side is None:
        return as_json({"https": None, "ftp": None, "folder": None, "files": []})
    folder = str(side.folder.absolute())
    return as_json({"https": side.https, "ftp": side.ftp, "folder": folder, "files": side.entries()})


async def _firmware(request: web.Request) -> web.Response:
    """Signed by the bench's manufacturer over the whole file in its present state (L01.FR.04)."""
    side, pki = request.app[FILES], request.app[PKI]
    name, over = request.query.get("file", ""), request.query.get("over", "https")
    if side is None:
        raise ApiError(404, "no_files", "the bench was started without a folder of files")
    if over not in ("https", "ftp"):
        raise ApiError(400, "malformed", "over must be https or ftp")
    image = side.find(name)
    if image is None:
        raise ApiError(404, "unknown_file", f"there is no file {name[:60]!r}")
    fields = await asyncio.to_thread(request_fields, image, certificate=pki.signer, key=pki.signer_key)
    return as_json({"location": (side.https if over == "https" else side.ftp) + name, **fields})


ROUTES = [
    web.get("/api/files", _files),
    web.get("/api/firmware", _firmware),
]
