# SPDX-License-Identifier: Apache-2.0
"""Log files as the processes write them, and what an uploaded archive holds."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

__all__ = ["contents", "write_logs"]


def contents(archive: bytes) -> dict[str, str]:
    """The text of each file in a tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        files = {entry.name: opened.extractfile(entry) for entry in opened.getmembers()}
        return {name: file.read().decode() for name, file in files.items() if file is not None}


def write_logs(folder: Path) -> Path:
    """The log folder of a station, with one older file."""
    folder.mkdir()
    (folder / "hal.log").write_text("2026-11-24T00:00:00.000Z INFO hal: started\n")
    (folder / "ocpp.log").write_text("2026-11-24T00:00:01.000Z INFO ocpp: started\n")
    (folder / "ocpp.log.1").write_text("2026-11-23T00:00:01.000Z INFO ocpp: older\n")
    return folder
