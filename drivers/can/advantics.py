# SPDX-License-Identifier: Apache-2.0
"""Frames of the ADVANTICS Generic EVSE protocol v3.6 between an ADM-CS-SECC board and its host: bytes and values.

29-bit ids, little-endian. Bits 28 to 24 of the id are the index of the board's plug, 1 to 31, both ways; the rest is
0x6Bxxx from the board and 0x63xxx from the host. Voltages and currents are in tenths, temperatures have an offset of
40. A frame may be longer than this version knows; a shorter one is refused.

Source: ADVANTICS documentation, charge-controllers/can_v3 and databases_v3.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Final, TypeAlias

from msgspec import Struct

__all__ = [
    "BASE_MASK",
    "FROM_SECC",
    "FROM_SECC_MASK",
    "INDEX_MASK",
    "STATUS",
    "BatteryState",
    "ChargeLimits",
    "ControllerState",
    "EmergencyOrigin",
    "EmergencyStop",
    "FromSecc",
    "Function",
    "Identity",
    "Inputs",
    "ModulesStatus",
    "NewSession",
    "Parameters",
    "PilotLevel",
    "PilotState",
    "PowerControl",
    "SequenceControl",
    "SessionFinished",
    "Status",
    "VehicleVoltages",
    "decode",
    "index_of",
]

FROM_SECC: Final = 0x6B000
FROM_SECC_MASK: Final = 0x00FFF000
"""Selects the board's frames of any index."""
INDEX_MASK: Final = 0x1F000000
BASE_MASK: Final = 0x00FFFFFF
STATUS: Final = 0x6B000
MODULES_STATUS: Final = 0x63000
PARAMETERS: Final = 0x63001
SEQUENCE_CONTROL: Final = 0x63002

_OFFSET_C: Final = 40
_GOOD_KOHM: Final = 510.0
"""The highest insulation resistance that the frame can carry; it means `good`."""


class ControllerState(IntEnum):
    INITIALISING = 0
    WAITING_FOR_EV = 1
    NEGOTIATING = 2
    CONNECTED = 3
    INSULATION_TEST = 4
    PRECHARGE = 5
    WAITING_FOR_CHARGE = 6
    CHARGING = 7
    ENDING_CHARGE = 8
    WELDING_DETECTION = 9
    CLOSING = 10
    AUTHORISATION = 11
    NOT_AVAILABLE = 12
    PAUSE = 13


class Function(IntEnum):
    """What the power side shall do."""

    OFF = 0
    STANDBY = 1
    INSULATION_TEST = 2
    PRECHARGE = 4
    POWER_TRANSFER = 8


class PilotLevel(IntEnum):
    """The upper voltage of the control pilot; its value on the wire is that voltage."""

    A = 12
    B = 9
    C = 6
    D = 3
    E_OR_F = 0


class EmergencyOrigin(Enum):
    STATION = 1
    VEHICLE = 3


# --- from the board -------------------------------------------------------------------------------------------


class Status(Struct, frozen=True):
    state: ControllerState


class NewSession(Struct, frozen=True):
    """`protocol`: 0 DIN 70121, 1 and 2 ISO 15118-2, 3 to 5 CHAdeMO, 6 PWM, 7 ISO 15118-20; `pins`: 0 and 1 DC."""

    protocol: int
    pins: int


class PowerControl(Struct, frozen=True):
    """What the vehicle requests of the power side, at the vehicle's own pace."""

    target_v: float
    max_a: float
    min_a: float
    function: Function
    range_mode: bool
    contactor_closed: bool
    lower_output: bool


class SessionFinished(Struct, frozen=True):
    rushed: bool


class EmergencyStop(Struct, frozen=True):
    """Repeated every 100 ms while its cause lasts."""

    origin: EmergencyOrigin


class BatteryState(Struct, frozen=True):
    soc_percent: float | None
    """None: not a percentage."""


class VehicleVoltages(Struct, frozen=True):
    max_v: float
    present_v: float


class ChargeLimits(Struct, frozen=True):
    max_a: float
    max_w: float


class Identity(Struct, frozen=True):
    """The EVCCID of a vehicle that speaks DIN 70121 or ISO 15118-2; None: it has none."""

    evcc_id: str | None


class Inputs(Struct, frozen=True):
    """The two temperature sensors of the plug; None for one that is not connected."""

    plug_c: tuple[float | None, float | None]


class PilotState(Struct, frozen=True):
    level: PilotLevel


FromSecc: TypeAlias = (
    Status
    | NewSession
    | PowerControl
    | SessionFinished
    | EmergencyStop
    | BatteryState
    | VehicleVoltages
    | ChargeLimits
    | Identity
    | Inputs
    | PilotState
)


def index_of(can_id: int) -> int:
    return can_id >> 24


def decode(can_id: int, data: bytes) -> FromSecc | None:
    """The meaning of a frame of a board; None for one that is of no use to the HAL.

    Raises:
        ValueError: the frame is too short, or has a value that the protocol does not have.
    """
    known = _DECODERS.get(can_id & BASE_MASK)
    if known is None:
        return None
    size, decoder = known
    if len(data) < size:
        raise ValueError(f"frame {can_id & BASE_MASK:05X} of {len(data)} bytes, expected {size}")
    return decoder(data)


def _power_control(data: bytes) -> PowerControl:
    target, highest, lowest, flags = struct.unpack_from("<HhhB", data)
    return PowerControl(
        target_v=target / 10,
        max_a=highest / 10,
        min_a=lowest / 10,
        function=Function(flags & 0x0F),
        range_mode=bool(flags & 0x20),
        contactor_closed=bool(flags & 0x40),
        lower_output=bool(flags & 0x80),
    )


def _voltages(data: bytes) -> VehicleVoltages:
    _lowest, highest, present = struct.unpack_from("<HHH", data)
    return VehicleVoltages(highest / 10, present / 10)


def _charge_limits(data: bytes) -> ChargeLimits:
    _lowest_a, highest_a, _lowest_kw, highest_kw = struct.unpack_from("<HHHH", data)
    return ChargeLimits(highest_a / 10, highest_kw * 1000.0)


def _identity(data: bytes) -> Identity:
    address = data[:6]
    return Identity(None if address in (bytes(6), b"\xff" * 6) else address.hex().upper())


def _temperature(raw: int) -> float | None:
    return float(raw - _OFFSET_C) if raw else None


_DECODERS: dict[int, tuple[int, Callable[[bytes], FromSecc]]] = {
    STATUS: (1, lambda data: Status(ControllerState(data[0]))),
    0x6B001: (2, lambda data: NewSession(data[0], data[1])),
    0x6B003: (7, _power_control),
    0x6B004: (1, lambda data: SessionFinished(bool(data[0]))),
    0x6B005: (1, lambda data: EmergencyStop(EmergencyOrigin(data[0]))),
    0x6B100: (6, lambda data: BatteryState(float(data[2]) if data[2] <= 100 else None)),
    0x6B101: (6, _voltages),
    0x6B102: (8, _charge_limits),
    0x6B105: (6, _identity),
    0x6B201: (8, lambda data: Inputs((_temperature(data[6]), _temperature(data[7])))),
    0x6B203: (1, lambda data: PilotState(PilotLevel(data[0]))),
}
"""The least size and the decoder of each frame."""


# --- to the board ---------------------------------------------------------------------------------------------


class ModulesStatus(Struct, frozen=True):
    """The present output; every 100 ms."""

    voltage_v: float
    current_a: float
    enabled: bool
    """The power side may deliver. False during a session is an emergency stop."""
    insulation_kohm: float | None
    """None: not measured; 510 kΩ and more are `good`."""
    module_c: float
    cabinet_c: float

    def frame(self, index: int) -> tuple[int, bytes]:
        kohm = 0.0 if self.insulation_kohm is None else self.insulation_kohm
        data = struct.pack(
            "<HhBBBB",
            _tenths(self.voltage_v, 0xFFFF),
            _tenths(self.current_a, 0x7FFF),
            _raw_c(self.module_c),
            _raw_c(self.cabinet_c),
            self.enabled,
            int(min(max(kohm, 0.0), _GOOD_KOHM) / 2),
        )
        return _id(index, MODULES_STATUS), data


class Parameters(Struct, frozen=True):
    """What the station can give now; at least 100 ms apart. A current of zero is sent as the least that is not zero:
    zero on the wire means the board's configured value.
    """

    max_v: float
    max_a: float

    def frame(self, index: int) -> tuple[int, bytes]:
        data = struct.pack("<HHHh", _tenths(self.max_v, 0xFFFF), max(1, _tenths(self.max_a, 0xFFFF)), 0, 0)
        return _id(index, PARAMETERS), data


class SequenceControl(Struct, frozen=True):
    """What the board waits for."""

    start: bool
    """Vehicles may begin."""
    authorisation_done: bool
    authorisation_valid: bool
    parameters_done: bool
    user_stop: bool

    def frame(self, index: int) -> tuple[int, bytes]:
        flags = self.authorisation_done | self.authorisation_valid << 1 | self.parameters_done << 2
        return _id(index, SEQUENCE_CONTROL), bytes((self.start, flags, self.user_stop))


def _id(index: int, base: int) -> int:
    return index << 24 | base


def _tenths(value: float, highest: int) -> int:
    """Rounded down, so that a limit is never sent higher than it is."""
    return min(max(int(value * 10 + 1e-6), 0), highest)


def _raw_c(value_c: float) -> int:
    """At least 1: zero means `not connected`."""
    return min(max(round(value_c) + _OFFSET_C, 1), 0xFF)
