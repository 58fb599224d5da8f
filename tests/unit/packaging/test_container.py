# SPDX-License-Identifier: Apache-2.0
"""A machine that can't boot a container says why; it never looks as if it had been tried."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tools.package.container import ContainerError, debian_root


def test_root_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ContainerError, match="needs root"):
        debian_root(tmp_path)


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ContainerError, match="not installed: iproute2 mmdebstrap systemd-container util-linux"):
        debian_root(tmp_path)
