# SPDX-License-Identifier: Apache-2.0
"""The shelf of each family of power modules, as `hal/registry.py` names it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from drivers.can.infypower import Infypower
from drivers.can.shelf import CanShelf
from drivers.can.shelf_options import ShelfOptions
from drivers.can.uugreen import Uugreen
from firmware.clock import Clock, SystemClock

__all__ = ["InfypowerShelf", "UugreenShelf"]


class InfypowerOptions(ShelfOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of Infypower modules."""

    controller: Annotated[int, Meta(ge=0xF0, le=0xF8, description="address of this controller, 240 to 248")] = 0xF0
    believe_external: bool = True
    """Whether the voltage behind a module's diode (command 0x0C) is that of the outlet while the module is off."""


class InfypowerShelf(CanShelf):
    """Infypower REG, CEG and LRG modules; `clock` is for tests."""

    Options = InfypowerOptions

    def __init__(self, options: InfypowerOptions, clock: Clock | None = None) -> None:
        family = Infypower(options.controller, believe_external=options.believe_external)
        super().__init__(options, family, clock or SystemClock())


class UugreenOptions(ShelfOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of UUGreenPower modules."""

    monitor: Annotated[int, Meta(ge=1, le=15, description="address of this controller, 1 to 15")] = 1


class UugreenShelf(CanShelf):
    """UUGreenPower UR1000x0 modules; `clock` is for tests."""

    Options = UugreenOptions

    def __init__(self, options: UugreenOptions, clock: Clock | None = None) -> None:
        super().__init__(options, Uugreen(options.monitor), clock or SystemClock())
