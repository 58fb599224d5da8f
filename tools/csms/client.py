# SPDX-License-Identifier: Apache-2.0
"""The client of the API: blocking, for the command line and for scripts."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException, InvalidURL
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from firmware.errors import BaywattError

__all__ = ["ApiRefused", "Client", "Unreachable"]


class Unreachable(BaywattError):
    """No bench CSMS answers at this address."""


class ApiRefused(BaywattError):
    """The API refused a request: `status` is HTTP's, `body` has the reason."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{body.get('error', status)}: {body.get('detail', '')}")
        self.status = status
        self.body = body


class Client:
    """Talks to one bench CSMS."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        # The bench is on this machine or this network: no proxy.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str, **query: object) -> Any:
        parameters = urlencode({name: value for name, value in query.items() if value is not None})
        return self._request("GET", f"{path}?{parameters}" if parameters else path)

    def call(
        self,
        station: str,
        action: str,
        payload: dict[str, Any],
        *,
        raw: bool = False,
        timeout_s: float | None = None,
    ) -> Any:
        """Sends a request to a station; the answer has `result` or `call_error`."""
        body = {"action": action, "payload": payload, "raw": raw, "timeout_s": timeout_s}
        return self._request("POST", f"/api/stations/{quote(station, safe='')}/call", body)

    def put_token(self, id_token: str, *, status: str, type: str, group_id_token: str | None) -> Any:
        body = {"status": status, "type": type, "group_id_token": group_id_token}
        return self._request("PUT", f"/api/tokens/{quote(id_token, safe='')}", body)

    def delete_token(self, id_token: str) -> Any:
        return self._request("DELETE", f"/api/tokens/{quote(id_token, safe='')}")

    def put_behaviour(self, changes: dict[str, Any]) -> Any:
        """Change how stations are answered; what is not named stays."""
        return self._request("PUT", "/api/behaviour", changes)

    def _request(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(self._url + path, data=data, headers=headers, method=method)
            with self._opener.open(request, timeout=self._timeout_s) as response:
                return msgspec.json.decode(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise ApiRefused(error.code, _decoded(error.read())) from None
        except (OSError, ValueError, HTTPException) as error:
            raise Unreachable(f"no bench CSMS answers at {self._url}: {_why(error)}") from error


def _why(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return "it does not answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    if isinstance(reason, msgspec.DecodeError | HTTPException) and not isinstance(reason, InvalidURL):
        return "something else answers there"
    return "expected a URL like http://127.0.0.1:9000"


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {"detail": body[:200].decode("utf-8", "replace")}
