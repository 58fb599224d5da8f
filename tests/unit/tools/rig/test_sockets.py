# SPDX-License-Identifier: Apache-2.0
"""Unix sockets at paths of any length, and paths that are in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.errors import ConfigError
from tools.rig.sockets import connect_unix, listen_unix


@pytest.mark.parametrize("depth", [0, 4])
def test_socket_at_any_depth(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*("x" * 60 for _ in range(depth)))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "control.sock"
    listening = listen_unix(path)
    client = connect_unix(path)
    with pytest.raises(ConfigError, match="another process"):
        listen_unix(path)
    client.close()
    listening.close()
    listen_unix(path).close()


def test_other_file_at_the_path_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(ConfigError, match="not a socket"):
        listen_unix(tmp_path / "precious")
    assert (tmp_path / "precious").read_text() == "mine"


def test_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none"):
        listen_unix(tmp_path / "none" / "control.sock")
