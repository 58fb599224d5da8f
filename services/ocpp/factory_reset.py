# SPDX-License-Identifier: Apache-2.0
"""The factory reset: everything that this station has learned since it left the factory is removed.

The order is a file beside the database, written before it is answered. The next start carries it out before it reads
anything, and removes the order last: after a power cut in between it begins again, and the end is the same.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from firmware import files
from firmware.errors import StorageError
from services.ocpp import product_choice

if TYPE_CHECKING:
    from services.ocpp.config import ServiceConfig

__all__ = ["ORDER", "carry_out", "order"]

ORDER = "factory-reset"
_log = logging.getLogger(__name__)


def order(config: ServiceConfig) -> None:
    """From now on the next start forgets everything; raises `StorageError`."""
    try:
        files.replace(_order(config), b"")
    except OSError as error:
        raise StorageError(f"the factory reset can't be ordered: {error.strerror}") from error


def carry_out(config: ServiceConfig) -> None:
    """At the start, before anything is read: does nothing unless it is ordered. Raises `StorageError`."""
    marker = _order(config)
    if not marker.exists():
        return
    _log.warning("factory reset: settings, certificates, keys and queued messages are removed")
    try:
        for path in _forgotten(config):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for folder in {path.parent for path in _forgotten(config) if path.parent.is_dir()} | {marker.parent}:
            files.sync_folder(folder)
        marker.unlink()
        files.sync_folder(marker.parent)
    except OSError as error:
        raise StorageError(f"the factory reset can't be completed: {error.filename}: {error.strerror}") from error


def _order(config: ServiceConfig) -> Path:
    return Path(config.database).with_name(ORDER)


def _forgotten(config: ServiceConfig) -> Iterable[Path]:
    """The database with what SQLite and a repair leave beside it, and all that belongs to it; not the security log."""
    from firmware.message_log import FILE_NAME as MESSAGE_LOG

    database = Path(config.database)
    messages = Path(config.log_file or config.database).with_name(MESSAGE_LOG)
    return [
        *database.parent.glob(f"{database.name}*"),
        database.with_name("uploads"),
        database.with_name("bundle"),
        database.with_name(product_choice.FILE_NAME),
        messages,
        messages.with_name(f"{MESSAGE_LOG}.1"),
        Path(config.certificates),
        Path(config.images),
    ]
