# SPDX-License-Identifier: Apache-2.0
"""The same sources make the same package: wherever, in whatever time zone, with whatever umask it is built."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from tools.package import deb
from tools.package.commands import run
from tools.package.libraries import MACHINES

pytestmark = [pytest.mark.container, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("architecture", sorted(MACHINES))
def test_a_package_that_is_built_twice_has_the_same_bytes(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From nothing, each time: libraries are fetched, and those without a wheel compiled."""
    packages = []
    for folder, mask, zone in (("one", 0o022, "UTC"), ("another/and/longer", 0o077, "Asia/Kathmandu")):
        monkeypatch.setattr(deb, "BUILD", tmp_path / folder)
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        former = os.umask(mask)
        try:
            packages.append(deb.build(architecture, output=tmp_path / folder / "output", compression="zstd"))
        finally:
            os.umask(former)
    one, two = (run(["dpkg-deb", "--info", str(package), "md5sums"]).splitlines() for package in packages)
    assert sorted(set(one) ^ set(two)) == [], "files that differ"
    assert len({sha256(package.read_bytes()).hexdigest() for package in packages}) == 1
