# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from drivers.simulated.bus import EvseOptions
from drivers.simulated.vehicle import SimulatedVehicleLink
from drivers.simulated.world.garage import CarOrder
from firmware.contract import Fault
from hal.ports import Pilot, VehicleStage
from tests.support.world_bench import WiredWorld


async def test_each_change_is_reported_once(wired: WiredWorld) -> None:
    link = SimulatedVehicleLink(EvseOptions(bus=wired.bus, evse=1))
    reported: list[tuple[Pilot, VehicleStage, str | None]] = []
    link.listen(lambda vehicle: reported.append((vehicle.pilot, vehicle.stage, vehicle.evcc_id)))
    wired.world.plug_in(1, CarOrder(evcc_id="AB12"))
    await wired.until(lambda: link.vehicle().stage is VehicleStage.WAITING_AUTHORISATION)
    link.authorise(True)
    await wired.until(lambda: link.vehicle().stage is VehicleStage.CABLE_CHECK)
    link.emergency_stop()
    await wired.until(lambda: link.vehicle().stage is VehicleStage.ENDED)
    wired.world.plug_out(1, force=True)
    await wired.until(lambda: link.vehicle().pilot is Pilot.A)
    stages = [stage for _, stage, _ in reported]
    assert stages[-5:] == [
        VehicleStage.NEGOTIATING,
        VehicleStage.WAITING_AUTHORISATION,
        VehicleStage.CABLE_CHECK,
        VehicleStage.ENDED,
        VehicleStage.NONE,
    ]
    assert len(reported) == len(set(reported))
    assert reported[-4][2] == "AB12"


async def test_last_report_of_a_silent_link_ages(wired: WiredWorld) -> None:
    link = SimulatedVehicleLink(EvseOptions(bus=wired.bus, evse=1))
    wired.world.faults.set(Fault.VEHICLE_LINK, 1, True)
    await wired.until(lambda: wired.bus.readings().evses[0].vehicle is None)
    stamp = link.vehicle().mono_s
    await wired.until(lambda: wired.bus.readings().inputs.mono_s > stamp + 0.1)
    assert link.vehicle().mono_s == stamp
