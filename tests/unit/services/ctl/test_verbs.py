# SPDX-License-Identifier: Apache-2.0
"""`baywattctl` administers a station: variables, certificates, connection test, logs, devices, reset, power-off."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from firmware.contract import (
    Addressing,
    ApnAuthentication,
    CabinetCommand,
    DeviceReport,
    EndNetworkTrial,
    Fault,
    GetNetwork,
    Network,
    NetworkInterface,
    NetworkTrial,
    NewCellularSettings,
    PowerOff,
    Problem,
    SelfTest,
    SelfTestFinished,
    SetCellular,
    SetSiteLimit,
    SetWired,
    StartTest,
    WiredSettings,
)
from firmware.contract.administration import InstallRoot
from hal.server import HalServer
from services.ctl import verbs
from services.ctl.__main__ import _Places, main
from services.ocpp import factory_reset
from services.ocpp.config import ServiceConfig
from tests.support.administration import Site, served
from tests.support.clock import ManualClock
from tests.support.pki import Pki
from tests.support.sockets import AnsweringCabinet
from tests.support.station_bench import StationBench, charge


class Cabinet(AnsweringCabinet):
    """Its modules have trouble, and its meter does not answer."""

    def execute(self, command: CabinetCommand) -> tuple[Problem, str] | None:
        refusal = super().execute(command)
        if isinstance(command, StartTest):
            if command.evse == 9:
                return Problem.UNKNOWN_EVSE, "no EVSE 9"
            self.publish(SelfTestFinished(SelfTest.SCREEN, 1, passed=True, detail="another's"))
            passed = command.test is SelfTest.CONTACTOR
            self.publish(SelfTestFinished(command.test, command.evse, passed=passed, detail="as found"))
        return refusal

    def devices(self) -> list[DeviceReport]:
        broken = DeviceReport(
            place="evse 1, meter", answers=False, state="no answer on line 1", faults=[Fault.METER], last_trouble="x"
        )
        module = DeviceReport(
            place="shelf",
            name="module 3",
            serial_number="SN-3",
            state="on, " + "hot " * 60,
            last_trouble="fan",
            last_trouble_utc_s=1_800_000_000.0,
        )
        return [module, broken, DeviceReport(place="board", state="\x1b[31mred")]


class Station:
    """A bench with both sockets, and the settings that name them."""

    def __init__(self, site: Site, cabinet: Cabinet, config: Path) -> None:
        self.site = site
        self.cabinet = cabinet
        self.config = config

    async def run(self, *arguments: str) -> int:
        return await asyncio.to_thread(main, ["--config", str(self.config), *arguments])


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    bench = StationBench(tmp_path)
    bench.up()
    cabinet = Cabinet()
    hal = HalServer(cabinet, path=tmp_path / "hal.sock", clock=ManualClock(100.0), utc=lambda: 0.0)
    await hal.start()
    config = tmp_path / "ocpp.toml"
    config.write_text(f'hal_socket = "{tmp_path}/hal.sock"\nadministration_socket = "{tmp_path}/a"\n')
    async with served(bench, tmp_path) as site:
        yield Station(site, cabinet, config)
    await hal.close()


def fits(text: str) -> None:
    assert max(map(len, text.splitlines())) < 100


async def test_devices_with_their_troubles(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    assert await station.run("devices") == 1, "one does not answer"
    out = capsys.readouterr().out
    fits(out)
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[1].startswith("shelf, module 3  SN-3")
    assert "last trouble 2027-01-15T08:00:00" in lines[2]
    assert "NO ANSWER: no answer on line 1" in out
    assert "FAULT meter" in out


async def test_a_self_test_says_its_outcome(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    assert await station.run("self-test", "contactor", "--evse", "1") == 0
    assert capsys.readouterr().out == "contactor passed: as found\n"
    assert await station.run("self-test", "insulation", "--evse", "2") == 1
    assert capsys.readouterr().out == "insulation FAILED: as found\n"
    assert await station.run("self-test", "card_reader") == 1
    assert "present a card" in capsys.readouterr().err
    assert await station.run("self-test", "contactor", "--evse", "9") == 1
    assert "unknown_evse: no EVSE 9" in capsys.readouterr().err


async def test_the_limit_of_the_site(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    assert await station.run("site-limit") == 0
    assert "in force" in capsys.readouterr().out
    assert await station.run("site-limit", "150") == 0
    assert await station.run("site-limit", "none") == 0
    limits = [each.power_w for each in station.cabinet.commands if isinstance(each, SetSiteLimit)]
    assert limits == [150_000.0, None]


async def test_the_network_is_shown_tried_and_kept(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    station.cabinet.network = Network(
        [
            NetworkInterface("Wired0", wired=WiredSettings(Addressing.DHCP), addresses=["192.0.2.23/24"]),
            NetworkInterface("Wireless0", is_cellular=True, problem="there is no modem"),
        ],
        NetworkTrial("Wired0", 120.0),
    )
    assert await station.run("network") == 0
    out = capsys.readouterr().out
    fits(out)
    assert "in use          192.0.2.23/24" in out
    assert "can't be set    there is no modem" in out
    assert "`baywattctl network keep` within 120 s" in out
    for arguments in (
        ("fixed", "Wired0", "203.0.113.10/24", "--gateway", "203.0.113.1", "--dns", "203.0.113.53"),
        ("dhcp", "Wired0"),
        ("keep",),
        ("return",),
    ):
        assert await station.run("network", *arguments) == 0
    fixed = WiredSettings(Addressing.FIXED, "203.0.113.10/24", "203.0.113.1", ["203.0.113.53"])
    assert station.cabinet.commands == [
        GetNetwork(),
        SetWired("Wired0", fixed),
        SetWired("Wired0", WiredSettings(Addressing.DHCP)),
        EndNetworkTrial(keep=True),
        EndNetworkTrial(keep=False),
    ]
    station.cabinet.refusal = Problem.BAD_REQUEST, "interface: expected Wired0"
    assert await station.run("network", "dhcp", "Wired7") == 1
    assert "bad_request: interface: expected Wired0" in capsys.readouterr().err


async def test_the_secrets_of_a_modem_come_from_standard_input(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("sesame\n4711\n"))
    arguments = ("apn", "Wireless0", "m2m.example", "--user", "u", "--authentication", "chap", "--password", "--pin")
    assert await station.run("network", *arguments) == 0
    assert await station.run("network", "apn", "Wireless0", "m2m.example") == 0
    assert station.cabinet.commands == [
        SetCellular(
            "Wireless0", NewCellularSettings("m2m.example", "u", ApnAuthentication.CHAP, password="sesame", pin="4711")
        ),
        SetCellular("Wireless0", NewCellularSettings("m2m.example")),
    ]


@pytest.mark.parametrize("kw", ["nan", "inf", "much"])
def test_what_is_no_limit(kw: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["site-limit", kw])
    assert caught.value.code == 2


async def test_the_service_restarts(station: Station) -> None:
    assert await station.run("restart", "service") == 0
    assert station.site.shell.stopped


async def test_one_variable_with_what_it_may_be(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    assert await station.run("get", "ocppcommctrlr.heartbeatinterval") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "OCPPCommCtrlr.HeartbeatInterval = 60 s"
    assert second.startswith("expected: a whole number")


async def test_all_variables_fit_the_terminal(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    assert await station.run("get") == 0
    out = capsys.readouterr().out
    fits(out)
    assert "EVSE@1.AvailabilityState" in out
    assert "0123456789abcdef" not in out
    assert await station.run("get", "NoCtrlr") == 1
    assert "no variable NoCtrlr" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [("ClockCtrlr.TimeZone", "Europe/Oslo"), ("OCPPCommCtrlr.MessageAttempts[TransactionEvent]", "4")],
)
async def test_a_variable_is_set(station: Station, capsys: pytest.CaptureFixture[str], name: str, value: str) -> None:
    assert await station.run("set", name, value) == 0
    assert capsys.readouterr().out == f"{name} is set\n"
    assert await station.run("get", name) == 0
    assert capsys.readouterr().out.startswith(f"{name} = {value}")


async def test_a_password_comes_from_standard_input(
    station: Station, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a-new-password-of-24-chr\n"))
    assert await station.run("set", "SecurityCtrlr.BasicAuthPassword", "-") == 0
    assert "a-new-password" not in capsys.readouterr().out


async def test_a_value_that_is_refused_says_why(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    assert await station.run("set", "OCPPCommCtrlr.HeartbeatInterval", "soon") == 1
    assert "expected a whole number" in capsys.readouterr().err
    assert await station.run("set", "NoCtrlr.Enabled", "true") == 1
    assert "UnknownComponent" in capsys.readouterr().err
    assert await station.run("set", "HeartbeatInterval", "5") == 2
    assert "expected COMPONENT.VARIABLE" in capsys.readouterr().err


async def test_certificates(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    assert await station.run("certificates", "list") == 0
    assert capsys.readouterr().out == "no certificates\n"
    await station.site.link.ask(InstallRoot("csms", Pki("A very long name " + "x" * 40).pem))
    assert await station.run("certificates", "list") == 0
    out = capsys.readouterr().out
    fits(out)
    assert out.startswith("csms, in use: ")


async def test_a_connection_test_of_the_present_connection(
    station: Station, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await station.run("test-connection") == 0
    out = capsys.readouterr().out
    fits(out)
    assert out.splitlines()[0].startswith("dns         ok")
    station.site.bench.link_down()
    assert await station.run("test-connection", "--slot", "1", "--json") == 1
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [step["outcome"] for step in shown["steps"]][:2] == ["ok", "failed"]
    assert await station.run("test-connection", "--slot", "1") == 1
    out = capsys.readouterr().out
    fits(out)
    assert "Check the port in the URL" in out
    assert await station.run("test-connection", "--slot", "5") == 1
    assert "no profile in slot 5" in capsys.readouterr().err


async def test_logs_become_a_file_for_us_alone(
    station: Station, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "logs.tar.gz"
    assert await station.run("logs", str(target)) == 0
    assert target.stat().st_mode & 0o077 == 0
    with tarfile.open(target) as archive:
        assert "state.json" in archive.getnames()
    capsys.readouterr()
    assert await station.run("logs", str(target)) == 2
    assert "File exists" in capsys.readouterr().err
    assert await station.run("logs", "/no/such/folder/file") == 2


async def test_half_an_archive_is_not_left(station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(station.site.shell.bundles, "read", vanish)
    assert await station.run("logs", str(tmp_path / "half")) == 1
    assert not (tmp_path / "half").exists()


async def test_a_factory_reset_asks(
    station: Station, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = station.site.bench.directory / factory_reset.ORDER
    assert await station.run("factory-reset") == 1
    assert "--yes" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert await station.run("factory-reset") == 1
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert await station.run("factory-reset") == 1
    assert not order.exists()
    charge(station.site.bench)
    assert await station.run("factory-reset", "--yes") == 1
    assert "a transaction runs" in capsys.readouterr().err
    assert await station.run("factory-reset", "--yes", "--force") == 0
    assert order.exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_shutdown_asks(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await station.run("shutdown") == 1
    assert station.cabinet.commands == []
    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    assert await station.run("shutdown") == 0
    assert station.cabinet.commands == [PowerOff()]


@pytest.mark.parametrize("arguments", [("devices",), ("get",), ("logs", "x"), ("factory-reset", "--yes")])
async def test_without_the_processes_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    config = tmp_path / "ocpp.toml"
    config.write_text(f'hal_socket = "{tmp_path}/h"\nadministration_socket = "{tmp_path}/a"\n')
    assert await asyncio.to_thread(main, ["--config", str(config), *arguments]) == 1
    error = capsys.readouterr().err
    assert "does not run" in error
    assert len(error.splitlines()) == 1


def test_the_socket_is_the_services() -> None:
    assert _Places().administration_socket == ServiceConfig().administration_socket


@pytest.mark.parametrize("name", ["A", ".B", "A.", "A@.B", "A@1.2.3.B", "A[].B", "A.B.C", "A B.C\n"])
def test_what_is_no_name_of_a_variable(name: str) -> None:
    assert verbs._ADDRESS.fullmatch(name) is None or "\n" in name
