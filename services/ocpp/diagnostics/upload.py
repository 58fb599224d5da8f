# SPDX-License-Identifier: Apache-2.0
"""The worker of a log upload: it writes the file and transfers it to the server that the CSMS has named.

The block (`blocks/diagnostics.py`) decides. The worker reports each `UploadAttempt`, and at the end `Uploaded` or
`NotUploaded`. The file lies in a folder of its own for no longer than the upload.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.ocpp.background import Order, Outcome, Progress
from services.ocpp.diagnostics.period import Period
from services.ocpp.transfer import Kind, Remote, TransferError, Transfers, disk_errors
from services.ocpp.transfer.threads import in_thread

if TYPE_CHECKING:
    from services.ocpp.message_log import MessageLog
    from services.ocpp.security_log import SecurityLog

__all__ = ["LogUpload", "LogUploads", "NotUploaded", "UploadAttempt", "Uploaded"]

_log = logging.getLogger(__name__)


class LogUpload(Order, frozen=True):
    """Upload a log. URL, documents and secrets are not in its text."""

    name: str
    security: bool
    """The security log; otherwise the diagnostics."""
    remote: Remote
    period: Period
    documents: dict[str, Any]
    """The contents of the archive besides the log files, by name."""
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"LogUpload({self.name!r})"


class UploadAttempt(Progress, frozen=True):
    """An attempt begins."""


class Uploaded(Outcome, frozen=True):
    """The server has the whole file."""


class NotUploaded(Outcome, frozen=True):
    """The file could not be written, or the last attempt failed."""

    kind: Kind


class LogUploads:
    """The worker. `folder` is for the files to upload alone; `logs` is where the processes log, if to files at all.

    What `messages` holds in memory is written before it is uploaded.
    """

    orders = (LogUpload,)

    def __init__(
        self,
        folder: Path,
        *,
        logs: Path | None,
        messages: MessageLog,
        security_log: SecurityLog,
        transfers: Transfers,
    ) -> None:
        self._folder = folder
        self._logs = logs
        self._messages = messages
        self._security_log = security_log
        self._transfers = transfers

    async def run(self, order: Order, progress: Callable[[Progress], None]) -> Outcome:
        if not isinstance(order, LogUpload):
            raise TypeError(order)
        path = self._folder / order.name
        try:
            if not order.security:
                await self._messages.flush()
            with disk_errors():
                await in_thread(self._build, order, path)
            await self._transfers.upload(
                path, order.remote, name=order.name, on_attempt=lambda: progress(UploadAttempt())
            )
        except TransferError as error:
            _log.warning("%s not uploaded: %s", order.name, error)
            return NotUploaded(error.kind)
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        _log.info("%s uploaded", order.name)
        return Uploaded()

    def _build(self, order: LogUpload, path: Path) -> None:
        with contextlib.suppress(OSError):
            for left_over in self._folder.iterdir():
                left_over.unlink()
        if order.security:
            from services.ocpp.diagnostics.archive import write_security_log

            write_security_log(path, self._security_log.files(), period=order.period)
        else:
            self._diagnostics(path, order.documents, order.secrets, order.period)

    def _diagnostics(self, path: Path, documents: dict[str, Any], secrets: tuple[str, ...], period: Period) -> None:
        from services.ocpp.diagnostics.archive import write_diagnostics  # `tarfile` is needed only here

        write_diagnostics(path, self._logs, documents, messages=self._messages.paths, secrets=secrets, period=period)

    async def pack(self, path: Path, documents: dict[str, Any], secrets: tuple[str, ...]) -> None:
        """Write the diagnostics of all time to `path`; raises `OSError`."""
        await self._messages.flush()
        await in_thread(self._diagnostics, path, documents, secrets, Period())
