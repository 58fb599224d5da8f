# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from drivers.can.bus import CanBus
from drivers.can.shelf import CanShelf
from drivers.can.shelves import InfypowerOptions, InfypowerShelf, UugreenShelf
from firmware.config import convert
from firmware.errors import ConfigError
from tests.support.can_shelf import MemoryBus, MemoryLines
from tests.support.clock import ManualClock

PAGE = Path(__file__).parents[4] / "docs/hardware/power-modules.md"


def settings() -> dict[str, Any]:
    """The example of the page."""
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    table: dict[str, Any] = tomllib.loads(found[1])["shelf"]
    assert table.pop("driver") == "infypower"
    return table


def options(**changes: Any) -> InfypowerOptions:
    buses = {"modules": MemoryBus(ManualClock()), "io": MemoryLines()}

    def bus_named(kind: type, name: object) -> object:
        assert isinstance(name, str)
        assert isinstance(buses[name], kind)
        return buses[name]

    return convert({**settings(), **changes}, InfypowerOptions, "hal.toml: shelf", look_up=bus_named)


async def test_the_page_s_example_makes_a_shelf() -> None:
    shelf: CanShelf = InfypowerShelf(options(), ManualClock())
    assert (shelf.groups, shelf.group_power_w, shelf.reach(1), shelf.reach(2)) == (2, 80_000.0, 2, 2)
    shelf.close()


def test_the_page_names_every_option() -> None:
    page = PAGE.read_text("utf-8")
    for kind in (InfypowerShelf.Options, UugreenShelf.Options):
        for name in kind.__struct_fields__:
            assert f"`{name}`" in page, name


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"groups": [{"modules": [0]}, {"modules": [1, 2]}]}, "groups: all must have the same number of modules"),
        ({"groups": [{"modules": [0]}, {"modules": [0]}]}, "groups: a module is in two groups"),
        ({"groups": [{"modules": [0], "bus": 2}]}, "there is no bus 2 in buses"),
        ({"groups": []}, "groups"),
        ({"lines": None}, "relays: `lines` is missing"),
        ({"relays": [{"group": 3, "evse": 1, "line": 4}]}, "there is no group 3 in groups"),
        ({"relays": 2 * [{"group": 1, "evse": 1, "line": 4}]}, "a group has two relays to one EVSE"),
        ({"idle_group": 1}, "idle_group is the number of an EVSE"),
        ({"silent_after_s": 8.0}, "silent_after_s"),
        ({"min_voltage_v": 1200.0}, "min_voltage_v is not below max_voltage_v"),
        ({"warm_c": 90.0}, "warm_c is not below hot_c"),
        ({"controller": 12}, "controller"),
        ({"modules": 10}, "modules"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options(**changes)
    assert problem in str(caught.value)


async def test_an_address_that_no_module_can_have_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="0 to 59, not 60"):
        InfypowerShelf(options(groups=[{"modules": [60]}], relays=[]), ManualClock())


def test_the_memory_bus_of_tests_is_a_can_bus() -> None:
    assert isinstance(MemoryBus(ManualClock()), CanBus)
