# SPDX-License-Identifier: Apache-2.0
"""The slow half of a log upload: putting the file together, and bringing it to where the CSMS wants it.

The block (`blocks/diagnostics.py`) decides. News of a `log.upload` job: `attempt` and `waiting` from the transfer, in
the end `done`, or `failed` with the kind of `TransferError`. The file lies in a folder of our own for no longer than
the upload.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.ocpp import transfer
from services.ocpp.diagnostics.archive import Period, write_diagnostics, write_security_log
from services.ocpp.transfer.threads import in_thread

if TYPE_CHECKING:
    from services.ocpp.background import Worker
    from services.ocpp.security_log import SecurityLog
    from services.ocpp.transfer.trust import Trust

__all__ = ["LogJobs", "LogOrder"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogOrder:
    """`retries` after the first attempt. Location and secrets never show in a log."""

    name: str
    security: bool
    """The security log, and not the diagnostics."""
    location: str = field(repr=False)
    retries: int
    retry_interval_s: float
    period: Period
    documents: dict[str, Any] = field(repr=False)
    """What goes into the archive besides the log files, by name."""
    secrets: tuple[str, ...] = field(repr=False)


class LogJobs:
    """The worker. `folder` is for the files to upload alone; `logs` is where our processes log, if to files at all."""

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

    def workers(self) -> dict[str, Worker]:
        """For the `JobRunner`."""
        return {"log.upload": self._upload}

    async def _upload(self, order: LogOrder, news: Callable[[str, Any], None]) -> tuple[str, Any]:
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
                progress=lambda word: news(word, None),
                rules=self._rules(),
            )
        except transfer.TransferError as error:
            _log.warning("%s not uploaded: %s", order.name, error)
            return "failed", error.kind
        except OSError as error:
            _log.warning("%s not uploaded: %s", order.name, error.strerror)
            return "failed", "broken"
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        _log.info("%s uploaded", order.name)
        return "done", None

    def _build(self, order: LogOrder, path: Path) -> None:
        with contextlib.suppress(OSError):
            for left_over in self._folder.iterdir():
                left_over.unlink()
        if order.security:
            write_security_log(path, self._security_log.files(), period=order.period)
        else:
            write_diagnostics(path, self._logs, order.documents, secrets=order.secrets, period=order.period)
