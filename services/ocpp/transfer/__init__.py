# SPDX-License-Identifier: Apache-2.0
"""Files over HTTPS and FTP: firmware images down (L01), logs up (N01).

The URL comes from the CSMS and so is not trusted: `rules.py` says which are accepted and where they may lead.

Importing this is cheap: aiohttp and aioftp are loaded, in a thread, when there is something to transfer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from services.ocpp.transfer.part import PartFile, disk_errors
from services.ocpp.transfer.rules import DEFAULT_RULES, Kind, Place, Rules, TransferError, check_name, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firmware.product import Limits
    from services.ocpp.transfer.trust import Trust

__all__ = ["DEFAULT_RULES", "Kind", "Place", "Remote", "Rules", "TransferError", "Transfers", "disk_errors", "parse"]


class Remote(Struct, frozen=True):
    """A file on a server. The URL may hold credentials and is not shown.

    `retries` counts the attempts after the first; `retry_interval_s` is from the start of one to the start of the next.
    """

    url: str
    retries: int
    retry_interval_s: float

    def __repr__(self) -> str:
        return f"Remote(retries={self.retries}, retry_interval_s={self.retry_interval_s:g})"

    def excess(self, limits: Limits) -> str | None:
        """Why these are too many attempts, or take too long, for a request that may not be cancelled; None: they are
        not."""
        if self.retries > limits.transfer_retries:
            return f"at most {limits.transfer_retries} retries are allowed"
        if self.retries * self.retry_interval_s > limits.transfer_hours * 3600:
            return f"the retries may take {limits.transfer_hours} hours in all"
        return None


def _silent() -> None:
    """No observer."""


class Transfers:
    """The station's transfers. `rules` gives the rules in force; `trust` the authorities that certify file servers.

    Both directions raise `TransferError` when the last attempt has failed, or the station's own disk, and call
    `on_attempt` at the start of each attempt.
    """

    def __init__(self, trust: Trust, rules: Callable[[], Rules]) -> None:
        self._trust = trust
        self._rules = rules

    def problem(self, url: str) -> str | None:
        """Why nothing is transferred from or to this URL; None if it is tried."""
        try:
            parse(url, self._rules())
        except TransferError as error:
            return error.text
        return None

    async def download(
        self, remote: Remote, target: Path, *, limit_bytes: int, on_attempt: Callable[[], None] = _silent
    ) -> None:
        """Fetch a file into `target`, which appears when it is whole; an older one there is deleted first.

        An interrupted download is continued, even by a later call.
        """
        from services.ocpp.transfer import attempts, ftp, http

        rules = self._rules()
        place = parse(remote.url, rules)
        part = PartFile(target, remote.url, limit_bytes)

        async def attempt(_number: int) -> None:
            if place.scheme == "ftp":
                await ftp.fetch(place, part, rules)
            else:
                await http.fetch(place, part, await self._trust.context(), rules)

        with disk_errors():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            interval_s = rules.interval_s(remote.retry_interval_s)
            await attempts.run(attempt, remote.retries, interval_s, on_attempt=on_attempt)

    async def upload(
        self, source: Path, remote: Remote, *, name: str, on_attempt: Callable[[], None] = _silent
    ) -> None:
        """Store `source` under `name`.

        HTTPS: PUT to the URL, with `name` appended if its path ends with a slash; POST as a form (N01.FR.19) where PUT
        is not allowed. FTP: into the directory that the path names, or under the path itself if that looks like a file.
        Raises `ValueError` if `name` is no plain file name.
        """
        from services.ocpp.transfer import attempts, ftp, http

        check_name(name)
        rules = self._rules()
        place = parse(remote.url, rules)

        async def attempt(number: int) -> None:
            if place.scheme == "ftp":
                await ftp.put(place, source, name, rules, again=number > 0)
            else:
                await http.put(place, source, name, await self._trust.context(), rules)

        with disk_errors():
            interval_s = rules.interval_s(remote.retry_interval_s)
            await attempts.run(attempt, remote.retries, interval_s, on_attempt=on_attempt)
