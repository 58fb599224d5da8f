# SPDX-License-Identifier: Apache-2.0
"""What the settings say of a shelf of power modules (`drivers/can/shelf.py` has an example)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from drivers.can.bus import CanBus
from drivers.can.module import Rating
from drivers.gpio.lines import Lines, LineSpec

__all__ = ["GroupOptions", "RelayOptions", "ShelfOptions"]

_Volts = Annotated[float, Meta(gt=0, le=2000)]
_Amps = Annotated[float, Meta(gt=0, le=1000)]
_Number = Annotated[int, Meta(ge=1, le=99)]


class GroupOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Modules that change EVSEs together: each an address, or a bar code as 16 hexadecimal digits."""

    modules: Annotated[list[int | str], Meta(min_length=1)]
    bus: Annotated[int, Meta(ge=1, le=16, description="place in `buses`, from 1")] = 1
    evse: _Number | None = None
    """The EVSE that it is wired to, if it can't change."""


class RelayOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The output relay that joins a group (its place in `groups`, from 1) to an EVSE."""

    group: _Number
    evse: _Number
    line: LineSpec


class ShelfOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of every family; ratings are of one module, as its data sheet has them."""

    buses: Annotated[list[CanBus], Meta(min_length=1)]
    groups: Annotated[list[GroupOptions], Meta(min_length=1, max_length=99)]
    lines: Lines | None = None
    relays: list[RelayOptions] = []
    relay_pause_s: Annotated[float, Meta(ge=0.0, le=5.0)] = 0.2
    module_power_w: Annotated[float, Meta(gt=0, le=200_000)] = 40_000.0
    module_current_a: _Amps = 133.3
    max_voltage_v: _Volts = 1000.0
    min_voltage_v: _Volts = 150.0
    silent_after_s: Annotated[float, Meta(gt=10, le=60, description="longer than the modules' own 10 s")] = 15.0
    warm_c: float = 70.0
    """From this temperature of a module on it counts less, at `hot_c` not at all."""
    hot_c: float = 85.0
    believe_available: bool = True
    """Whether the current that a module says is available is a limit."""
    group_frames: bool = True
    """Whether modules get group numbers and are commanded by them; the number is that of the EVSE."""
    idle_group: Annotated[int, Meta(ge=0, le=59)] = 0
    """The group number of modules that are joined to no EVSE."""

    def __post_init__(self) -> None:
        if self.min_voltage_v >= self.max_voltage_v:
            raise ValueError("min_voltage_v is not below max_voltage_v")
        if self.warm_c >= self.hot_c:
            raise ValueError("warm_c is not below hot_c")
        self._check_groups()
        self._check_relays()

    def _check_groups(self) -> None:
        if len({len(group.modules) for group in self.groups}) > 1:
            raise ValueError("groups: all must have the same number of modules")
        places = [(group.bus, module) for group in self.groups for module in group.modules]
        if len(set(places)) != len(places):
            raise ValueError("groups: a module is in two groups")
        for group in self.groups:
            if group.bus > len(self.buses):
                raise ValueError(f"groups: there is no bus {group.bus} in buses")

    def _check_relays(self) -> None:
        if self.relays and self.lines is None:
            raise ValueError("relays: `lines` is missing")
        paths = [(relay.group, relay.evse) for relay in self.relays]
        if len(set(paths)) != len(paths):
            raise ValueError("relays: a group has two relays to one EVSE")
        for relay in self.relays:
            if relay.group > len(self.groups):
                raise ValueError(f"relays: there is no group {relay.group} in groups")
            if self.idle_group == relay.evse:
                raise ValueError("idle_group is the number of an EVSE")

    def rating(self) -> Rating:
        """What is expected of each module."""
        return Rating(
            self.max_voltage_v,
            self.min_voltage_v,
            self.module_current_a,
            self.module_power_w,
            silent_after_s=self.silent_after_s,
            warm_c=self.warm_c,
            hot_c=self.hot_c,
            believe_available=self.believe_available,
        )
