# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.support.can_shelf import ShelfWorld

FAMILIES = pytest.mark.parametrize("family", ["infypower", "uugreen"])
MATRICES = pytest.mark.parametrize("matrix", ["relays", "numbers", "fixed"])


@FAMILIES
@MATRICES
async def test_a_battery_is_charged(family: str, matrix: str) -> None:
    world = ShelfWorld(family=family, matrix=matrix).ready()
    world.join(5, 5)
    world.charge(300.0)
    assert sum(module.current_a for module in world.sim.modules) == pytest.approx(300.0, rel=0.02)
    assert world.shelf.reading(2).voltage_v == 0.0
    assert not world.violations()
