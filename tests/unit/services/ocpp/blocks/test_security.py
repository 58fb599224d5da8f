# SPDX-License-Identifier: Apache-2.0
"""Block A: security events, driven through the whole station."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from firmware.clock import format_utc
from firmware.contract import BootCause
from services.ocpp.signals import SecurityEvent
from tests.support.station_bench import StationBench


def events(bench: StationBench) -> list[str]:
    return [request["type"] for request in bench.sent("SecurityEventNotification")]


def test_a_boot_is_an_event(bench: StationBench) -> None:
    assert events(bench) == ["StartupOfTheDevice"]  # A04.FR.01


def test_a_requested_reboot_is_another_event(bench: StationBench) -> None:
    bench.call("Reset", {"type": "Immediate"})
    bench.advance(1)
    bench.reboot()
    bench.up()
    assert events(bench) == ["StartupOfTheDevice", "ResetOrReboot"]


def test_a_restart_of_the_service_alone_is_no_event(bench: StationBench) -> None:
    bench.restart_service()
    bench.up()
    assert events(bench) == ["StartupOfTheDevice"]


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_an_event_waits_for_registration(tmp_path: Path, status: str) -> None:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = {"status": status, "currentTime": "2027-01-15T08:00:00Z", "interval": 10}
    bench.up()
    assert events(bench) == []  # B02.FR.02
    del bench.answers["BootNotification"]
    bench.advance(11)
    assert events(bench) == ["StartupOfTheDevice"]


def test_events_survive_outages_and_power_cuts_in_order(bench: StationBench) -> None:
    bench.link_down()
    for kind in ("InvalidTLSVersion", "InvalidCsmsCertificate"):
        bench.handle(partial(bench.station.on_security_event, SecurityEvent(kind, "why")))
    bench.power_cut(cause=BootCause.WATCHDOG)
    bench.up()
    assert events(bench) == [  # A04.FR.02
        "StartupOfTheDevice",
        "InvalidTLSVersion",
        "InvalidCsmsCertificate",
        "StartupOfTheDevice",
    ]
    assert bench.sent("SecurityEventNotification")[1]["techInfo"] == "why"


def test_a_long_text_is_cut(bench: StationBench) -> None:
    bench.handle(lambda now: bench.station.on_security_event(SecurityEvent("MemoryExhaustion", "x" * 999), now))
    assert len(bench.sent("SecurityEventNotification")[-1]["techInfo"]) == 255


@pytest.mark.parametrize(("step", "expected"), [(25.0, 1), (-25.0, 1), (15.0, 0)])
def test_a_large_step_of_the_clock_is_an_event(bench: StationBench, step: float, expected: int) -> None:
    bench.answers["Heartbeat"] = lambda _: {"currentTime": format_utc(bench.clock.utc() + step)}
    bench.advance(200)
    assert events(bench).count("SettingSystemTime") == expected  # part 2, 2.1.32
