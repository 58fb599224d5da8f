# SPDX-License-Identifier: Apache-2.0
"""The worker of a log upload: it writes the file and transfers it to where the CSMS asked for it.

The block (`blocks/diagnostics.py`) decides. The worker reports each `UploadAttempt`, and at the end `Uploaded` or
`NotUploaded`. The file lies in a folder of its own for no longer than the upload.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.ocpp import transfer
from services.ocpp.background import Order, Outcome, Progress
from services.ocpp.diagnostics.archive import Period, write_diagnostics, write_security_log
from services.ocpp.transfer.threads import in_thread

if TYPE_CHECKING:
    from services.ocpp.security_log import SecurityLog
    from services.ocpp.transfer.trust import Trust

__all__ = ["LogUpload", "LogUploads", "NotUploaded", "UploadAttempt", "Uploaded"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogUpload(Order):
    """`retries` after the first attempt. Location and secrets never show in a log."""

    name: str
    security: bool
    """The security log; otherwise the diagnostics."""
    location: str = field(repr=False)
    retries: int
    retry_interval_s: float
    period: Period
    documents: dict[str, Any] = field(repr=False)
    """What goes into the archive besides the log files, by name."""
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class UploadAttempt(Progress):
    """An attempt begins."""


@dataclass(frozen=True, slots=True)
class Uploaded(Outcome):
    """The server has the whole file."""


@dataclass(frozen=True, slots=True)
class NotUploaded(Outcome):
    """The last attempt failed."""

    kind: transfer.Kind


class LogUploads:
    """The worker. `folder` is for the files to upload alone; `logs` is where the processes log, if to files at all."""

    orders = (LogUpload,)

    def __init__(
        self,
        folder: Path,
        *,
        logs: Path | None,
        security_log: SecurityLog,
        trust: Trust,
        rules: Callable[[], transfer.Rules],
    ) -> None:
        self._folder = folder
        self._logs = logs
        self._security_log = security_log
        self._trust = trust
        self._rules = rules

    async def run(self, order: Order, progress: Callable[[Progress], None]) -> Outcome:
        if not isinstance(order, LogUpload):
            raise TypeError(order)
        path = self._folder / order.name
        try:
            await in_thread(self._build, order, path)
            tls = await self._trust.context()
            await transfer.upload(
                order.location,
                path,
                name=order.name,
                retries=order.retries,
                retry_interval_s=order.retry_interval_s,
                tls=tls,
                progress=lambda word: progress(UploadAttempt()) if word == "attempt" else None,
                rules=self._rules(),
            )
        except transfer.TransferError as error:
            _log.warning("%s not uploaded: %s", order.name, error)
            return NotUploaded(error.kind)
        except OSError as error:
            _log.warning("%s not uploaded: %s", order.name, error.strerror)
            return NotUploaded("broken")
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
            write_security_log(path, self._security_log.files(), period=order.period)
        else:
            write_diagnostics(path, self._logs, order.documents, secrets=order.secrets, period=order.period)
