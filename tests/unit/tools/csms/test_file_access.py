# SPDX-License-Identifier: Apache-2.0
"""The file servers' ports and password over starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from firmware.errors import ConfigError
from tools.csms.file_access import FileAccess, keep, kept
from tools.csms.server import running
from tools.csms.settings import Settings


def _settings(folder: Path, *, https: int | None = None, ftp: int | None = None) -> Settings:
    return Settings(folder / "csms.sqlite3", port=0, files=folder / "files", https_port=https, ftp_port=ftp)


async def _start(settings: Settings) -> tuple[str, str]:
    async with running(settings) as bench:
        assert bench.files is not None
        return bench.files.https, bench.files.ftp


async def test_addresses_stay_the_same_between_starts(tmp_path: Path) -> None:
    first = await _start(_settings(tmp_path))
    assert await _start(_settings(tmp_path)) == first
    assert (tmp_path / "files.json").stat().st_mode & 0o777 == 0o600


async def test_a_named_port_is_kept_for_the_next_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    https, ftp = await _start(_settings(tmp_path, https=port))
    assert f":{port}/" in https
    assert await _start(_settings(tmp_path)) == (https, ftp)


@pytest.mark.parametrize("option", ["https", "ftp"])
async def test_a_port_that_is_taken_is_named(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--{option}-port {port}: another program listens there"):
            await _start(_settings(tmp_path, **{option: port}))
    assert not (tmp_path / "files.json").exists()


def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "files.json"
    file.write_text('{"https_port": "x"')
    with pytest.raises(ConfigError, match=r"files\.json: .*without it"):
        kept(file, None, None)
    keep(file, FileAccess(1, 2, "p"))
    assert kept(file, None, 0) == FileAccess(1, 0, "p")
