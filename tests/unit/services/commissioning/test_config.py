# SPDX-License-Identifier: Apache-2.0
"""The settings file that is shipped has every key, with its default."""

from __future__ import annotations

import re
from pathlib import Path

from firmware.config import load
from services.commissioning.config import CommissioningConfig

SHIPPED = Path("packaging/etc/commissioning.toml")


def test_the_shipped_file_has_the_defaults() -> None:
    assert load(SHIPPED, CommissioningConfig) == CommissioningConfig()


def test_every_key_is_explained_in_it(tmp_path: Path) -> None:
    keys = re.findall(r"^(?:# )?\[?([a-z_]+)(?: = |\])", SHIPPED.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(set(keys) - {"hal"}) == sorted(CommissioningConfig.__struct_fields__)
