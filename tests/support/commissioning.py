# SPDX-License-Identifier: Apache-2.0
"""A client of the commissioning API, as the page in a browser is one; and the server of a test, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp

__all__ = ["Answer", "Browser"]


@dataclass(frozen=True)
class Answer:
    """What the API has answered."""

    status: int
    content: Any
    headers: Mapping[str, str]

    @property
    def error(self) -> str | None:
        """The word of the error; None if there was none."""
        return None if self.status < 400 else self.content["error"]


class Browser:
    """Keeps cookie and CSRF token; does not check the certificate, as an installer at the first visit."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        self.csrf = ""
        self._more = headers or {}

    async def __aenter__(self) -> Browser:
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address, too
        self._client = aiohttp.ClientSession(cookie_jar=jar, connector=aiohttp.TCPConnector(ssl=False))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    @property
    def session_id(self) -> str:
        return next((cookie.value for cookie in self._client.cookie_jar if cookie.key == "__Host-baywatt"), "")

    async def call(
        self, method: str, path: str, content: object = None, *, headers: dict[str, str] | None = None
    ) -> Answer:
        sent = {"Origin": self.url, "X-CSRF-Token": self.csrf, **self._more, **(headers or {})}
        async with self._client.request(method, self.url + path, json=content, headers=sent) as response:
            text = await response.read()
            found = await response.json() if response.content_type == "application/json" else text
            return Answer(response.status, found, response.headers)

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def post(self, path: str, content: object = None) -> Answer:
        return await self.call("POST", path, {} if content is None else content)

    async def sign_in(self, user: str, password: str) -> dict[str, Any]:
        """What the station says of the new session."""
        return self._session(await self.post("/api/session", {"user": user, "password": password}))

    async def change_password(self, current: str, new: str) -> dict[str, Any]:
        return self._session(await self.post("/api/session/password", {"current": current, "new": new}))

    def _session(self, answer: Answer) -> dict[str, Any]:
        assert answer.status == 200, answer.content
        session: dict[str, Any] = answer.content
        self.csrf = session["csrf_token"]
        return session
