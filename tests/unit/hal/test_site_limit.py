# SPDX-License-Identifier: Apache-2.0
"""The limit that an installer sets: lower than the settings', kept, in force from the next start."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from firmware.contract import Permit, Problem, SetSiteLimit, SiteLimit, Withdraw
from firmware.errors import ConfigError
from hal.site_limit import KeptSiteLimit
from tests.support.hardware import CabinetDouble


def test_it_counts_from_the_next_start(tmp_path: Path) -> None:
    file = tmp_path / "site_limit.json"
    limit = KeptSiteLimit(file, 400_000.0)
    limit.set(150_000.0)
    assert limit.report == SiteLimit(in_force_w=400_000.0, settings_w=400_000.0, next_w=150_000.0)
    assert file.stat().st_mode & 0o777 == 0o600
    again = KeptSiteLimit(file, 400_000.0)
    assert again.report == SiteLimit(in_force_w=150_000.0, settings_w=400_000.0, next_w=150_000.0)
    again.set(None)
    assert not file.exists()
    assert KeptSiteLimit(file, 400_000.0).in_force_w == 400_000.0


def test_settings_that_are_lowered_later_count(tmp_path: Path) -> None:
    KeptSiteLimit(tmp_path / "l").set(150_000.0)
    assert KeptSiteLimit(tmp_path / "l", 100_000.0).in_force_w == 100_000.0


def test_without_any_there_is_none(tmp_path: Path) -> None:
    limit = KeptSiteLimit(tmp_path / "l")
    assert limit.in_force_w == math.inf
    assert limit.report == SiteLimit(in_force_w=None, settings_w=None, next_w=None)


@pytest.mark.parametrize("power_w", [0.0, -1.0, 999.0, 400_001.0, math.nan, math.inf, -math.inf])
def test_what_is_no_limit_is_refused(tmp_path: Path, power_w: float) -> None:
    assert KeptSiteLimit(tmp_path / "l", 400_000.0).objection(power_w) == (
        "expected 1000 W to 400000 W, what the settings allow"
    )


@pytest.mark.parametrize("content", [b"", b"{}", b'{"power_w": "1"}', b"\xff"])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "l").write_bytes(content)
    with pytest.raises(ConfigError, match="is damaged: remove it"):
        KeptSiteLimit(tmp_path / "l")


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    limit = KeptSiteLimit(tmp_path / "gone" / "l", 400_000.0)
    with pytest.raises(OSError, match="No such file"):
        limit.set(5000.0)
    assert limit.report.next_w is None


def test_not_while_energy_is_permitted() -> None:
    fake = CabinetDouble()
    fake.cabinet.start()
    assert fake.cabinet.execute(Permit(1, "S", 15.0)) is None
    refused = fake.cabinet.execute(SetSiteLimit(50_000.0))
    assert refused is not None
    assert refused[0] is Problem.NOT_ALLOWED
    assert fake.cabinet.execute(Withdraw(1)) is None
    assert fake.cabinet.execute(SetSiteLimit(50_000.0)) is None
    assert fake.cabinet.site_limit().next_w == 50_000.0
    refused = fake.cabinet.execute(SetSiteLimit(10.0))
    assert refused is not None
    assert refused[0] is Problem.BAD_REQUEST
