# SPDX-License-Identifier: Apache-2.0
"""Files over HTTPS and FTP: firmware images down (L01), logs up (N01).

    await download(url, target, limit_bytes=…, retries=…, retry_interval_s=…, tls=…, progress=…)
    await upload(url, source, name=…, retries=…, retry_interval_s=…, tls=…, progress=…)

The URL is the CSMS's and so is not trusted: `rules.py` says which are taken and where they may lead. Both raise
`TransferError` when the last attempt has failed. `progress` hears `attempt` at the start of each attempt and `waiting`
between two. `retries` counts the attempts after the first; `retry_interval_s` is from the start of one to the start of
the next.

Importing this is cheap: aiohttp and aioftp are loaded, in a thread, when there is something to transfer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ocpp.transfer.rules import DEFAULT_RULES, Kind, Place, Rules, TransferError, parse

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["DEFAULT_RULES", "Kind", "Place", "Rules", "TransferError", "download", "parse", "upload"]


async def download(
    url: str,
    target: Path,
    *,
    limit_bytes: int,
    retries: int,
    retry_interval_s: float,
    tls: ssl.SSLContext | None,
    progress: Callable[[str], None],
    rules: Rules = DEFAULT_RULES,
) -> None:
    """Fetches `url` into `target`, which appears when it is whole; an interrupted file is continued, even later.

    `tls` None trusts the operating system's authorities. Raises `TransferError`.
    """
    from services.ocpp.transfer import attempts, ftp, http
    from services.ocpp.transfer.part import PartFile

    place = parse(url, rules)
    part = PartFile(target, url, limit_bytes)
    fetch = ftp.fetch if place.scheme == "ftp" else http.fetch

    async def attempt(_number: int) -> None:
        await fetch(place, part, tls, rules)

    await attempts.run(attempt, retries=retries, interval_s=retry_interval_s, progress=progress)


async def upload(
    url: str,
    source: Path,
    *,
    name: str,
    retries: int,
    retry_interval_s: float,
    tls: ssl.SSLContext | None,
    progress: Callable[[str], None],
    rules: Rules = DEFAULT_RULES,
) -> None:
    """Puts `source` to `url` under `name`.

    HTTPS: PUT to the URL, with `name` appended when its path ends with a slash; POST as a form (N01.FR.19) where PUT
    is not allowed. FTP: into the directory that the path names, or under the path itself when that looks like a file.
    Raises `TransferError`; `ValueError` when `name` is no plain file name.
    """
    from services.ocpp.transfer import attempts, ftp, http
    from services.ocpp.transfer.rules import check_name

    check_name(name)
    place = parse(url, rules)
    put = ftp.put if place.scheme == "ftp" else http.put

    async def attempt(number: int) -> None:
        await put(place, source, name, tls, rules, number > 0)

    await attempts.run(attempt, retries=retries, interval_s=retry_interval_s, progress=progress)
