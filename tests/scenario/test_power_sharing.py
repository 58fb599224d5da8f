# SPDX-License-Identifier: Apache-2.0
"""Power sharing as the CSMS sees it, and a station with sixteen outlets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.received_transactions import ReceivedTransaction
from tests.support.scenario import Site, site

OFFERED = {("SampledDataCtrlr", "TxUpdatedMeasurands"): "Energy.Active.Import.Register,Power.Offered,Current.Offered"}
SIXTEEN = Path(__file__).parents[1] / "support" / "sixteen.toml"


def sampled(transaction: ReceivedTransaction, measurand: str) -> list[float]:
    """The values of a measurand, in the order in which they were sampled."""
    values: list[dict[str, Any]] = [
        sample
        for event in transaction.events
        for value in event.get("meterValue", [])
        for sample in value["sampledValue"]
    ]
    return [each["value"] for each in values if each["measurand"] == measurand]


@pytest.mark.parametrize("wire", [False, True], ids=["simulated drivers", "modules on CAN"])
async def test_csms_sees_what_each_outlet_is_offered(tmp_path: Path, wire: bool) -> None:
    async with site(tmp_path, product="full", speed=1.0, variables=OFFERED, wire=wire) as here:
        first = await here.charge(1)
        alone_w = 400_000.0

        def offered(transaction_id: str) -> list[float]:
            return sampled(here.transaction(transaction_id), "Power.Offered")

        await here.csms.until(lambda: offered(first)[-1:] == [alone_w], "the first is offered everything")
        second = await here.charge(2)
        await here.csms.until(lambda: offered(first)[-1:] == [200_000.0], "the first is offered 200 kW")
        await here.csms.until(lambda: offered(second)[-1:] == [200_000.0], "the second is offered 200 kW")
        state = await here.rig.state()
        assert sum(evse["offered_kw"] for evse in state["evses"]) <= 400.0
        assert sampled(here.transaction(second), "Current.Offered")[-1] == pytest.approx(500.0)
        await here.stop_with_card(1)
        await here.csms.until(lambda: offered(second)[-1:] == [alone_w], "the second is offered everything")


async def test_sixteen_outlets_charge_at_once(tmp_path: Path) -> None:
    async with site(tmp_path, product=str(SIXTEEN), speed=1.0, variables=OFFERED) as here:
        evses = range(1, 17)
        for evse in evses:
            await here.until_status(evse, "Available")
        for evse in evses:
            token = {"idToken": f"04A1B2C3D4{evse:04X}", "type": "ISO14443"}
            start = {"idToken": token, "remoteStartId": evse, "evseId": evse}
            assert (await here.csms.call("RequestStartTransaction", start))["status"] == "Accepted"
            await here.plug_in(evse)
        await here.rig.client.until(
            lambda state: all(evse["phase"] == "charging" and evse["current_a"] > 10 for evse in state["evses"]),
            timeout_s=60.0,
        )
        state = await here.rig.state()
        assert [evse["offered_kw"] for evse in state["evses"]] == [40.0] * 16
        assert sum(evse["power_kw"] for evse in state["evses"]) <= 640.0 * 1.01
        assert {each.evse for each in here.transactions if each.states[-1] == "Charging"} == set(evses)


async def test_a_vehicle_waits_for_a_group_and_the_csms_knows(tmp_path: Path) -> None:
    """One group for two outlets: the second is SuspendedEVSE until the first is done."""
    product = tmp_path / "one-group.toml"
    product.write_text('extends = "full"\n[identity]\nmodel = "ONE-GROUP"\n[hardware]\nmax_power_w = 40_000\n')
    async with site(tmp_path, product=str(product), speed=1.0, variables=OFFERED) as here:
        await here.charge(1)
        assert await card(here, 2) == "started"
        await here.plug_in(2)

        def waiting() -> bool:
            return any(each.evse == 2 and each.states[-1] == "SuspendedEVSE" for each in here.transactions)

        await here.csms.until(waiting, "SuspendedEVSE at EVSE 2", timeout=20.0)
        await here.until_page(2, "suspended")
        assert (await here.rig.evse(2))["contactor"] == "open"
        await here.stop_with_card(1)
        await here.charging(2)
        await here.until_evse(2, lambda it: it["offered_kw"] == 40.0)


async def card(here: Site, evse: int) -> str:
    return await here.card(evse, f"04A1B2C3D4{evse:04X}")
