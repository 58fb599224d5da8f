# SPDX-License-Identifier: Apache-2.0
"""What the HAL reports is shown in the device model."""

from __future__ import annotations

from typing import Any

import pytest

from firmware.contract.display import Page, PageModel
from firmware.contract.faults import Fault
from firmware.contract.messages import (
    BoardClock,
    BootCause,
    ContactorChanged,
    EnergyFlow,
    EvseStatus,
    FaultCleared,
    FaultRaised,
    LatchChanged,
    LinkChanged,
    LinkDetails,
    MeterContext,
    MeterReading,
    Phase,
    Plugged,
    ScreenShown,
    Snapshot,
    Unplugged,
)
from services.ocpp.device_model import DeviceModel, Hardware, keys
from services.ocpp.device_model.hardware import COMPONENT_OF_FAULT
from services.ocpp.device_model.reports import base_report


@pytest.fixture
def hardware(model: DeviceModel) -> Hardware:
    return Hardware(model)


def reading(evse: int, power_w: float) -> MeterReading:
    return MeterReading(evse, MeterContext.PERIODIC, 1234.56, 400.0, 100.0, power_w, 500.0, 400000.0)


def test_readings(model: DeviceModel, hardware: Hardware) -> None:
    hardware.reflect(reading(1, 40000.04))
    hardware.reflect(reading(2, 10000.0))
    assert model.get(keys.POWER, evse=1) == 40000.0
    assert model.get(keys.STATION_POWER) == 50000.0
    assert model.get(keys.ENERGY_IMPORT_REGISTER, evse=2) == 1234.6


def test_switches(model: DeviceModel, hardware: Hardware) -> None:
    hardware.reflect(Plugged(1))
    hardware.reflect(ContactorChanged(1, True))
    hardware.reflect(LatchChanged(2, True))
    hardware.reflect(LinkChanged("Wired0", True))
    hardware.reflect(LinkChanged("Wireless3", True))
    hardware.reflect(ScreenShown(1, PageModel(page=Page.IDLE)))
    assert model.get(keys.CONNECTED_EV_AVAILABLE, evse=1)
    assert model.get(keys.CONTACTOR_ACTIVE, evse=1)
    assert not model.get(keys.CONTACTOR_ACTIVE, evse=2)
    assert model.get(keys.RETENTION_LOCK_ACTIVE, evse=2)
    assert model.get(keys.data_link_active("Wired0"))
    hardware.reflect(Unplugged(1))
    assert not model.get(keys.CONNECTED_EV_AVAILABLE, evse=1)


@pytest.mark.parametrize(
    ("details", "dbm"),
    [
        (LinkDetails(), -140.0),
        (LinkDetails(signal_percent=100), -51.0),
        (LinkDetails(signal_percent=0), -113.0),
        (LinkDetails(signal_percent=64, signal_dbm=-97.26), -97.3),
        (LinkDetails(signal_dbm=-150.0), -140.0),
    ],
)
def test_the_strength_of_a_radio_link(model: DeviceModel, hardware: Hardware, details: LinkDetails, dbm: float) -> None:
    hardware.reflect(LinkChanged("Wireless0", True, LinkDetails(signal_dbm=-90.0)))
    hardware.reflect(LinkChanged("Wireless0", True, details))
    assert model.get(keys.data_link_signal("Wireless0")) == dbm


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_shows_in_the_summary(model: DeviceModel, hardware: Hardware, fault: Fault) -> None:
    sound = base_report(model, "SummaryInventory")
    hardware.reflect(FaultRaised(fault, None))
    troubled = base_report(model, "SummaryInventory")
    assert COMPONENT_OF_FAULT[fault] in {row["component"]["name"] for row in troubled}
    hardware.reflect(FaultCleared(fault, None))
    assert base_report(model, "SummaryInventory") == sound


def test_a_fault_of_one_evse_is_of_that_evse(model: DeviceModel, hardware: Hardware) -> None:
    hardware.reflect(FaultRaised(Fault.CONTACTOR_WELDED, 2))
    assert model.get(keys.problem("PowerContactor"), evse=2)
    assert not model.get(keys.problem("PowerContactor"), evse=1)


def test_a_component_is_sound_when_its_last_fault_is_cleared(model: DeviceModel, hardware: Hardware) -> None:
    hardware.reflect(FaultRaised(Fault.CONTACTOR_WELDED, 1))
    hardware.reflect(FaultRaised(Fault.CONTACTOR_FAILED, 1))
    hardware.reflect(FaultCleared(Fault.CONTACTOR_FAILED, 1))
    assert model.get(keys.problem("PowerContactor"), evse=1)
    hardware.reflect(FaultCleared(Fault.CONTACTOR_WELDED, 1))
    assert not model.get(keys.problem("PowerContactor"), evse=1)


def snapshot(*faults: Fault, links: dict[str, bool] | None = None, **of_evse_1: Any) -> Snapshot:
    """Of an idle station, with these differences."""
    nothing: dict[str, Any] = {
        "phase": Phase.IDLE,
        "plugged": False,
        "locked": False,
        "contactor_closed": False,
        "flow": EnergyFlow.NONE,
        "session": None,
        "lease_left_s": 0.0,
        "limit_w": None,
        "reading": None,
        "faults": [],
    }
    evses = [EvseStatus(evse=evse, connector=1, **(nothing | (of_evse_1 if evse == 1 else {}))) for evse in (1, 2)]
    clock = BoardClock(0.0, 0.0, is_set=False, synchronised=False)
    return Snapshot(0, "run", "boot", BootCause.POWER_UP, "SN", clock, evses, [*faults], links or {}, [])


def test_a_snapshot_shows_states_from_before_we_connected(model: DeviceModel, hardware: Hardware) -> None:
    hardware.take_snapshot(
        snapshot(
            links={"Wired0": True, "Wireless0": False, "Wireless3": True},
            plugged=True,
            locked=True,
            contactor_closed=True,
            reading=reading(1, 40000.0),
        )
    )
    assert model.get(keys.data_link_active("Wired0"))
    assert not model.get(keys.data_link_active("Wireless0"))
    for key in (keys.CONNECTED_EV_AVAILABLE, keys.RETENTION_LOCK_ACTIVE, keys.CONTACTOR_ACTIVE):
        assert model.get(key, evse=1)
        assert not model.get(key, evse=2)
    assert model.get(keys.POWER, evse=1) == model.get(keys.STATION_POWER) == 40000.0
    hardware.take_snapshot(snapshot())
    assert not model.get(keys.CONNECTED_EV_AVAILABLE, evse=1)


def test_a_snapshot_replaces_the_known_faults(model: DeviceModel, hardware: Hardware) -> None:
    hardware.reflect(FaultRaised(Fault.EMERGENCY_STOP, None))
    assert model.get(keys.EMERGENCY_STOP_ACTIVE)
    hardware.take_snapshot(snapshot(Fault.DOOR_OPEN, faults=[Fault.METER]))
    assert not model.get(keys.EMERGENCY_STOP_ACTIVE)
    assert not model.get(keys.problem("EmergencyStopSensor"))
    assert model.get(keys.CASE_ACCESS_ACTIVE)
    assert model.get(keys.problem("FiscalMetering"), evse=1)
