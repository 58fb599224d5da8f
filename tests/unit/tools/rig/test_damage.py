# SPDX-License-Identifier: Apache-2.0
"""A database is damaged so that SQLite finds it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tools.rig.damage import corrupt_database


def test_damaged_database_is_no_longer_whole(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, v TEXT)")
    database.executemany("INSERT INTO t (v) VALUES (?)", [("x" * 100,)] * 500)
    database.commit()
    corrupt_database(path)
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT count(*) FROM t").fetchone()
    database.close()


def test_no_database_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        corrupt_database(tmp_path / "station.db")
