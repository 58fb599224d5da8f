# SPDX-License-Identifier: Apache-2.0
"""The lease on energy."""

from __future__ import annotations

from firmware.contract import Cause, Permit, Phase, PhaseChanged, Withdraw
from tests.support.station_bench import StationBench, charge


def test_the_lease_is_renewed_while_authorised(bench: StationBench) -> None:
    charge(bench)
    bench.commands.clear()
    bench.advance(16)
    renewals = [command for command in bench.commands if isinstance(command, Permit)]
    assert len(renewals) == 3
    assert all(command.lease_s == 15.0 for command in renewals)


def test_a_lost_lease_is_granted_again(bench: StationBench) -> None:
    charge(bench)
    bench.commands.clear()
    bench.event(PhaseChanged(2, Phase.FINISHED, Cause.LEASE))
    assert any(isinstance(command, Permit) for command in bench.commands)


def test_a_command_is_sent_once_but_again_after_another(bench: StationBench) -> None:
    permit, withdraw = Permit(1, "p", 15.0), Withdraw(1)
    hal = bench.context.hal
    for command in (permit, permit, withdraw, withdraw, permit):
        hal.ask(command)
    assert hal.commands == [permit, withdraw, permit]
