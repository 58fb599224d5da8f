# SPDX-License-Identifier: Apache-2.0
"""A meter that lies: what is billed, what CSMS and EV driver see, and that the next session is right again."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.scenario import Site

ROLLED_WH = 4294967295.0
STEP_WH = 0.11
"""The register is reported in tenths of a Wh."""


async def believed_again(here: Site, evse: int) -> None:
    """Wait until the meter's fault has cleared by itself and the EVSE is at rest."""
    await here.until_evse(evse, lambda it: it["faults"] == [] and it["phase"] in ("plugged", "finished"))


async def test_a_false_register_for_a_moment(here: Site) -> None:
    """Bridged: this session and the next bill what has flowed, no fault, one line in the log."""
    before = await here.register_wh(1)
    transaction_id = await here.charge(1)
    true = await here.register_wh(1)
    await here.rig.op("meter", evse=1, energy_wh=ROLLED_WH)
    await asyncio.sleep(1.3)
    true += await here.register_wh(1) - ROLLED_WH
    await here.rig.op("meter", evse=1, energy_wh=true)
    await here.until_register(1, above_wh=true + 100)
    assert not here.transaction(transaction_id).ended
    transaction = await here.stop_with_card(1)
    transaction.check()
    assert transaction.energy_wh == pytest.approx(await here.register_wh(1) - before, abs=STEP_WH)
    await here.leave(1)

    before = await here.register_wh(1)
    transaction_id = await here.charge(1)
    await here.until_register(1, above_wh=before + 100)
    transaction = await here.stop_with_card(1)
    transaction.check()
    assert transaction.id == transaction_id
    assert transaction.registers[0] == pytest.approx(before, abs=STEP_WH)
    assert transaction.energy_wh == pytest.approx(await here.register_wh(1) - before, abs=STEP_WH)
    assert "Faulted" not in here.statuses(1)
    assert here.log("hal").count("meter not believed") == 1


async def test_a_register_that_is_reset_while_charging(here: Site) -> None:
    """The session ends with the last reading that can be true; the next begins at the register as it then is."""
    await here.rig.op("power_off")
    await here.rig.op("meter", evse=1, energy_wh=1e6)
    await here.rig.op("power_on")
    await here.settled()
    transaction_id = await here.charge(1)
    last = await here.register_wh(1)
    await here.rig.op("meter", evse=1, energy_wh=0)
    await here.rig.wait("fault", evse=1, code="meter")
    transaction = await here.end_of(transaction_id)
    transaction.check()
    assert (transaction.triggers[-1], transaction.reason) == ("AbnormalCondition", "Other")
    assert transaction.registers[0] == 1e6
    assert transaction.registers[-1] == pytest.approx(last, abs=2000), "two seconds of a fast car"
    await here.until_status(1, "Faulted")
    assert (await here.until_page(1, "faulted"))["faults"] == "meter"
    assert "the register fell from" in here.log("hal")

    await believed_again(here, 1)
    await here.until_status(1, "Occupied")
    await here.leave(1)
    before = await here.register_wh(1)
    await here.charge(1)
    await here.until_register(1, above_wh=before + 100)
    transaction = await here.stop_with_card(1)
    transaction.check()
    assert transaction.registers[0] == pytest.approx(before, abs=STEP_WH)
    assert transaction.energy_wh == pytest.approx(await here.register_wh(1) - before, abs=STEP_WH)


async def test_a_register_that_is_stuck_while_current_flows(here: Site) -> None:
    """No energy is given away unseen; the EVSE serves again when the register has moved."""
    before = await here.register_wh(2)
    transaction_id = await here.charge(2)
    await here.rig.op("meter", evse=2, stuck=True)
    stuck = await here.register_wh(2)
    await here.rig.wait("fault", evse=2, code="meter")
    transaction = await here.end_of(transaction_id)
    transaction.check()
    assert (transaction.triggers[-1], transaction.reason) == ("AbnormalCondition", "Other")
    assert transaction.energy_wh == pytest.approx(stuck - before, abs=STEP_WH)
    assert (await here.until_page(2, "faulted"))["faults"] == "meter"
    assert "the register stays at" in here.log("hal")
    await here.rig.op("meter", evse=2, stuck=False, energy_wh=stuck + 5000)
    await believed_again(here, 2)
    await here.leave(2)
    await here.charge(2)
    transaction = await here.stop_with_card(2)
    assert transaction.registers[0] == pytest.approx(stuck + 5000, abs=STEP_WH)


async def test_a_false_register_when_the_power_comes_back(here: Site) -> None:
    """What the meter shows then is not what the transaction has got: it ends with the last value that is known."""
    transaction_id = await here.charge(1)
    last = await here.register_wh(1)
    await here.rig.op("power_off")
    await here.rig.op("meter", evse=1, energy_wh=ROLLED_WH)
    await here.rig.op("power_on")
    transaction = await here.end_of(transaction_id)
    assert transaction.reason == "PowerLoss"
    assert transaction.registers == sorted(transaction.registers)
    assert transaction.registers[-1] <= last + 10_000
