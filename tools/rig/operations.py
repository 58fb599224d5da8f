# SPDX-License-Identifier: Apache-2.0
"""The operations of the control socket as types, and the check of a request line.

`parse` returns a `ControlRequest` with a typed operation, or raises `OperationError` with a code of the closed list and
a text for a person, both with the id as it was sent. Numbers are finite and in a range that the simulation can handle.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from drivers.simulated.world.car import Misbehaviour
from drivers.simulated.world.garage import Amperes, CarOrder, Kilowatts, Percent
from firmware.contract import Fault
from firmware.type_words import decode_json, type_problem
from firmware.words import not_json

__all__ = [
    "NO_ID",
    "OPERATIONS",
    "Car",
    "ClearFault",
    "Clock",
    "ControlRequest",
    "Device",
    "ErrorCode",
    "Firmware",
    "MeterChange",
    "Network",
    "Operation",
    "OperationError",
    "PlugIn",
    "PlugOut",
    "PowerCycle",
    "PowerOff",
    "PowerOn",
    "PresentCard",
    "PressStop",
    "Process",
    "RaiseFault",
    "Reboot",
    "SelectEvse",
    "State",
    "Storage",
    "Subscribe",
    "parse",
]

_T = TypeVar("_T")
NO_ID = Raw(b"null")

ErrorCode: TypeAlias = Literal["bad_request", "unknown_op", "unsupported", "refused", "powered_off"]


class OperationError(Exception):
    """Why an operation was not carried out; `request_id` is its id if that could be read."""

    def __init__(self, code: ErrorCode, detail: str, request_id: Raw = NO_ID) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.request_id = request_id


Evse: TypeAlias = Annotated[int, Meta(ge=1, le=99)]
Uid: TypeAlias = Annotated[
    str, Meta(pattern=r"^([0-9A-Fa-f]{2}){1,10}$", description="1 to 10 bytes as pairs of hexadecimal digits")
]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=3600)]


class _Operation(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class State(_Operation, frozen=True):
    pass


class Subscribe(_Operation, frozen=True):
    pass


class PowerOff(_Operation, frozen=True):
    pass


class PowerOn(_Operation, frozen=True):
    pass


class PowerCycle(_Operation, frozen=True):
    off_s: Seconds = 0.2


class Reboot(_Operation, frozen=True):
    pass


class SelectEvse(_Operation, frozen=True):
    evse: Evse


class PresentCard(_Operation, frozen=True):
    uid: Uid
    evse: Evse | None = None
    hold_s: Seconds = 0.5


class PressStop(_Operation, frozen=True):
    evse: Evse


class PlugIn(_Operation, frozen=True):
    evse: Evse
    car: CarOrder = CarOrder()


class PlugOut(_Operation, frozen=True):
    evse: Evse
    force: bool = False


class Car(_Operation, frozen=True):
    evse: Evse
    ready: bool | UnsetType = UNSET
    suspended: bool | UnsetType = UNSET
    soc_percent: Percent | UnsetType = UNSET
    target_soc_percent: Percent | UnsetType = UNSET
    max_kw: Kilowatts | UnsetType = UNSET
    max_a: Amperes | UnsetType = UNSET
    insulation_kohm: Annotated[float, Meta(ge=0, le=1e6)] | UnsetType = UNSET
    plug_temp_c: Annotated[float, Meta(ge=-60, le=300)] | UnsetType | None = UNSET
    """None: the temperature sensor in the plug is disconnected."""
    misbehave: Misbehaviour | UnsetType = UNSET


class MeterChange(_Operation, frozen=True):
    evse: Evse
    energy_wh: Annotated[float, Meta(ge=0, le=1e12)] | UnsetType = UNSET
    failed: bool | UnsetType = UNSET
    stuck: bool | UnsetType = UNSET
    """True: the register stays where it is; the meter's other values are true."""


class RaiseFault(_Operation, frozen=True):
    code: Fault
    evse: Evse | None = None


class ClearFault(_Operation, frozen=True):
    code: Fault
    evse: Evse | None = None


class Network(_Operation, frozen=True):
    mode: Literal["up", "down", "refuse", "blackhole", "close"] | UnsetType = UNSET
    latency_ms: Annotated[float, Meta(ge=0, le=60_000)] | UnsetType = UNSET
    signal_percent: Annotated[int, Meta(ge=0, le=100)] | UnsetType = UNSET
    """Of the wireless interfaces."""
    interface: Annotated[str, Meta(max_length=20)] | None = None
    """None: all interfaces."""


class Clock(_Operation, frozen=True):
    offset_s: Annotated[float, Meta(ge=-4e9, le=4e9)] | UnsetType = UNSET
    lost: bool | UnsetType = UNSET
    synchronised: bool | UnsetType = UNSET


class Storage(_Operation, frozen=True):
    full: bool | UnsetType = UNSET
    corrupt: Literal["database"] | UnsetType = UNSET


class Process(_Operation, frozen=True):
    kill: Literal["hal", "ocpp", "commissioning"]


class Firmware(_Operation, frozen=True):
    next: Literal["ok", "install_fails", "boot_fails", "needs_reboot_first"]


class Device(_Operation, frozen=True):
    """Unplug a device of the cabinet, or plug it in again; only with `rig.wire`. The names are in `state`."""

    device: str
    plugged: bool


class DeviceFault(_Operation, frozen=True):
    """Let a device misbehave on its wire, or no longer; only with `rig.wire` (`tools/rig/wire_faults.py`)."""

    device: str
    fault: str
    present: bool = True


Operation: TypeAlias = (
    State
    | Subscribe
    | PowerOff
    | PowerOn
    | PowerCycle
    | Reboot
    | SelectEvse
    | PresentCard
    | PressStop
    | PlugIn
    | PlugOut
    | Car
    | MeterChange
    | RaiseFault
    | ClearFault
    | Network
    | Clock
    | Storage
    | Process
    | Firmware
    | Device
    | DeviceFault
)

OPERATIONS: dict[str, type[Operation]] = {
    "state": State,
    "subscribe": Subscribe,
    "power_off": PowerOff,
    "power_on": PowerOn,
    "power_cycle": PowerCycle,
    "reboot": Reboot,
    "select_evse": SelectEvse,
    "present_card": PresentCard,
    "press_stop": PressStop,
    "plug_in": PlugIn,
    "plug_out": PlugOut,
    "car": Car,
    "meter": MeterChange,
    "fault": RaiseFault,
    "clear_fault": ClearFault,
    "network": Network,
    "clock": Clock,
    "storage": Storage,
    "process": Process,
    "firmware": Firmware,
    "device": Device,
    "device_fault": DeviceFault,
}


class ControlRequest(Struct, frozen=True):
    """One line of the control socket."""

    id: Raw
    """Any JSON, byte for byte: 1.0 does not come back as 1, and no number is too large."""
    operation: Operation


def parse(line: bytes) -> ControlRequest:
    """The request in a line. Raises `OperationError`."""
    raw = _decode(line, dict[str, Raw], NO_ID)
    request_id = raw.pop("id", NO_ID)
    fields = {key: _decode(value, object, request_id) for key, value in raw.items()}
    name = fields.pop("op", None)
    if not isinstance(name, str):
        raise OperationError("bad_request", "`op` is missing or not a string", request_id)
    kind = OPERATIONS.get(name)
    if kind is None:
        raise OperationError("unknown_op", f"there is no operation {name[:40]!r}", request_id)
    try:
        operation = msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise OperationError("bad_request", f"{name}: {type_problem(error, kind, fields)}", request_id) from error
    _check(name, operation, request_id)
    return ControlRequest(request_id, operation)


def _decode(text: bytes | Raw, kind: type[_T], request_id: Raw) -> _T:
    try:
        return decode_json(bytes(text).decode(), kind)
    except UnicodeError as error:
        raise OperationError("bad_request", not_json(error), request_id) from error
    except ValueError as error:
        raise OperationError("bad_request", str(error), request_id) from error


def _check(name: str, operation: Operation, request_id: Raw) -> None:
    """What the types can't express: how many of the optional fields there must be."""
    given = {
        field
        for field in operation.__struct_fields__
        if field not in ("evse", "interface") and getattr(operation, field) is not UNSET
    }
    if isinstance(operation, Car | MeterChange | Network | Clock | Storage) and not given:
        raise OperationError("bad_request", f"{name}: nothing to change", request_id)
    if isinstance(operation, Storage) and len(given) != 1:
        raise OperationError("bad_request", "storage: either `full` or `corrupt`", request_id)
    if isinstance(operation, Clock) and operation.lost is True and operation.offset_s is not UNSET:
        raise OperationError("bad_request", "clock: either `offset_s` or `lost`", request_id)
