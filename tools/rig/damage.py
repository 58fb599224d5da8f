# SPDX-License-Identifier: Apache-2.0
"""Damages a database file while it is in use, as failing flash does: whole pages have other content."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

__all__ = ["corrupt_database"]

PAGE = 4096
HEADER = 100
"""The headers of SQLite and its write-ahead log stay: a file without them is the easier case."""


def corrupt_database(path: Path) -> None:
    """Overwrite every page but the headers, of the database and of its write-ahead log. Raises `OSError`."""
    rng = Random(7)
    _overwrite(path, rng)
    log = path.with_name(path.name + "-wal")
    if log.exists():
        _overwrite(log, rng)


def _overwrite(path: Path, rng: Random) -> None:
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for start in range(0, size, PAGE):
            begin = max(start, HEADER)
            file.seek(begin)
            file.write(rng.randbytes(max(0, min(start + PAGE, size) - begin)))
        file.flush()
