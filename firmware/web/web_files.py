# SPDX-License-Identifier: Apache-2.0
"""The files of a page, and how long a browser may keep each.

A page itself is asked for each time, with its ETag. Within a page, the addresses of its parts begin with a version,
a hash of all parts: `/look/look.css` becomes `/v/0123456789abcdef/look/look.css`. What has such an address never
changes, and the browser keeps it (`immutable`, RFC 8246): the next visit loads the page alone. Modules import one
another by relative addresses, so that these have the version, too.

    files = WebFiles({"static": PAGE, "look": LOOK})
    files.page(PAGE / "index.html")         # with the version in the addresses of its parts
    files.find("/look/look.css")            # with or without a version; None: there is no such file
    file.is_known_to(header)                # answer with 304, without a body

An address of another version, from a page that was loaded before an update, gets the present file, asked for each time.
So does a file that was changed on disk after the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

__all__ = ["WebFile", "WebFiles"]

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_VERSION_CHARS = 16
_ASK_EACH_TIME = "no-cache"
_KEEP = "max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class WebFile:
    """What is sent for a file; `etag` with its quotes."""

    body: bytes
    content_type: str
    etag: str
    cache_control: str

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Those that an answer of 200 and one of 304 have (RFC 9110, 15.4.5)."""
        return (("Cache-Control", self.cache_control), ("ETag", self.etag))

    def is_known_to(self, if_none_match: str | None) -> bool:
        """Whether a browser that sends this header has the file (RFC 9110, 13.1.2)."""
        tags = (tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(","))
        return any(tag in ("*", self.etag) for tag in tags)


class WebFiles:
    """The files of some folders, by the first segment of their address; pages (`.html`) are sent by `page` alone.

    The list is closed, and made here: nothing of an address reaches the file system.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """Raises `OSError`."""
        self._places = tuple(folders)
        self._files = {
            f"/{place}/{file.name}": file
            for place, folder in folders.items()
            for file in sorted(folder.iterdir())
            if file.suffix in _TYPES and file.suffix != ".html"
        }
        self._digests = {file: _digest(file.read_bytes()) for file in self._files.values()}
        self._version = f"/v/{_digest(''.join(self._digests.values()).encode())}"

    def find(self, path: str) -> WebFile | None:
        """Raises `OSError` for a file that has been removed."""
        plain = path
        if path.startswith("/v/"):
            plain = "/" + path.removeprefix("/v/").partition("/")[2]
        file = self._files.get(plain)
        if file is None:
            return None
        body = file.read_bytes()
        fixed = path == f"{self._version}{plain}" and _digest(body) == self._digests[file]
        return _web_file(body, file, _KEEP if fixed else _ASK_EACH_TIME)

    def page(self, file: Path) -> WebFile:
        """A page, with versions in the addresses of its parts. Raises `OSError`."""
        body = file.read_bytes()
        for place in self._places:
            body = body.replace(f'="/{place}/'.encode(), f'="{self._version}/{place}/'.encode())
        return _web_file(body, file, _ASK_EACH_TIME)


def _web_file(body: bytes, file: Path, cache_control: str) -> WebFile:
    return WebFile(body, _TYPES[file.suffix], f'"{_digest(body)}"', cache_control)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:_VERSION_CHARS]
