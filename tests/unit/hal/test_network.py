# SPDX-License-Identifier: Apache-2.0
"""Settings of the network: checked, tried, kept, and taken back when nobody confirms them."""

from __future__ import annotations

import logging

import pytest

from firmware.contract import (
    TRIAL_S,
    Addressing,
    EndNetworkTrial,
    GetNetwork,
    NetworkCommand,
    NewCellularSettings,
    Problem,
    SetCellular,
    SetWired,
    WiredSettings,
)
from hal.network import RETRY_S, NetworkRefused, NetworkSettings
from tests.support.clock import ManualClock
from tests.support.hardware import FakeLinks
from tests.support.sockets import eventually
from tests.support.timer import ManualTimer

DHCP = WiredSettings(Addressing.DHCP)
FIXED = WiredSettings(Addressing.FIXED, "203.0.113.10/24", "203.0.113.1")
SET = SetWired("Wired0", FIXED)
KEEP, RETURN = EndNetworkTrial(keep=True), EndNetworkTrial(keep=False)


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.timer = ManualTimer(self.clock)
        self.links = FakeLinks(self.clock)
        self.network = NetworkSettings(self.links, self.clock, self.timer)

    async def refused(self, command: NetworkCommand) -> tuple[Problem, str]:
        with pytest.raises(NetworkRefused) as caught:
            await self.network.execute(command)
        return caught.value.problem, caught.value.detail


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_settings_are_tried_and_kept(bench: Bench) -> None:
    tried = await bench.network.execute(SET)
    assert tried.trial is not None
    assert (tried.trial.interface, tried.trial.left_s) == ("Wired0", TRIAL_S)
    assert bench.links.tried == [("Wired0", FIXED, TRIAL_S)]
    bench.clock.advance(30.0)
    shown = (await bench.network.execute(GetNetwork())).trial
    assert shown is not None
    assert shown.left_s == TRIAL_S - 30.0
    assert (await bench.network.execute(KEEP)).trial is None
    assert bench.links.kept == FIXED
    assert bench.timer.pending == []


async def test_what_nobody_confirms_returns(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await bench.network.execute(SET)
    bench.timer.advance(TRIAL_S)
    await eventually(lambda: bench.links.wired == DHCP)
    await eventually(lambda: "nobody has confirmed" in caplog.text)
    assert (await bench.network.execute(GetNetwork())).trial is None
    assert (await bench.refused(KEEP))[0] is Problem.NOT_ALLOWED


async def test_it_can_be_taken_back_at_once(bench: Bench) -> None:
    await bench.network.execute(SET)
    assert (await bench.network.execute(RETURN)).trial is None
    assert bench.links.wired == DHCP
    assert bench.timer.pending == []


async def test_a_return_that_fails_is_repeated(bench: Bench) -> None:
    await bench.network.execute(SET)
    bench.links.failing = True
    bench.timer.advance(TRIAL_S)
    await eventually(lambda: bench.timer.pending)
    bench.links.failing = False
    assert (await bench.network.execute(GetNetwork())).trial is not None
    bench.timer.advance(RETRY_S)
    await eventually(lambda: bench.links.wired == DHCP)


async def test_settings_that_cannot_be_kept_stay_on_trial(bench: Bench) -> None:
    await bench.network.execute(SET)
    bench.links.failing = True
    assert (await bench.refused(KEEP))[0] is Problem.DEVICE_FAILED
    bench.links.failing = False
    assert (await bench.network.execute(GetNetwork())).trial is not None
    assert len(bench.timer.pending) == 1


async def test_one_trial_at_a_time(bench: Bench) -> None:
    await bench.network.execute(SET)
    problem, detail = await bench.refused(SetCellular("Wireless0", NewCellularSettings("other")))
    assert problem is Problem.NOT_ALLOWED
    assert "Wired0 are being tried" in detail
    assert len(bench.links.tried) == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (SetWired("Wired9", DHCP), "interface: expected Wired0 or Wireless0"),
        (SetWired("Wireless0", DHCP), "interface: Wireless0 is a modem"),
        (SetCellular("Wired0", NewCellularSettings("a")), "interface: Wired0 is Ethernet"),
        (SetWired("Wired0", WiredSettings(Addressing.FIXED, "203.0.113.10")), "address: expected an IPv4"),
        (SetWired("Wired0", WiredSettings(Addressing.FIXED, "198.51.100.6/24")), "address: 198.51.100.0/24 overlaps"),
        (SetCellular("Wireless0", NewCellularSettings("", pin="1")), "pin: expected 4 to 8 digits"),
    ],
)
async def test_what_cannot_work_is_not_tried(bench: Bench, command: NetworkCommand, words: str) -> None:
    problem, detail = await bench.refused(command)
    assert problem is Problem.BAD_REQUEST
    assert words in detail
    assert bench.links.tried == []


async def test_without_a_daemon_nothing_is_tried(bench: Bench) -> None:
    bench.links.failing = True
    assert (await bench.refused(SET))[0] is Problem.DEVICE_FAILED
    bench.links.failing = False
    assert (await bench.network.execute(GetNetwork())).trial is None


async def test_nothing_to_end(bench: Bench) -> None:
    for command in (KEEP, RETURN):
        assert (await bench.refused(command))[0] is Problem.NOT_ALLOWED


async def test_a_hal_that_stops_leaves_the_return_to_the_driver(bench: Bench) -> None:
    await bench.network.execute(SET)
    bench.network.close()
    assert bench.timer.pending == []
    assert bench.links.wired == FIXED
