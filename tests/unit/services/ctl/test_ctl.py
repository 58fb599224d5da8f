# SPDX-License-Identifier: Apache-2.0
"""`baywattctl` beside a HAL's socket and a status feed, and without them."""

from __future__ import annotations

import asyncio
import getpass
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields, replace

from firmware.contract.faults import Fault
from firmware.contract.messages import BoardClock, EvseStatus, LinkDetails, MeterContext, MeterReading, Phase
from firmware.contract.status import LinkFailure
from hal.config import HalConfig
from hal.server import HalServer
from services.ctl import processes
from services.ctl.__main__ import _Places, main
from services.ocpp.config import ServiceConfig
from services.ocpp.status_feed import StatusFeed
from tests.support.clock import ManualClock
from tests.support.service_status import IDLE_EVSE, STATUS
from tests.support.sockets import AnsweringCabinet, idle_evse, snapshot

CARD = "04A1B2C3D4E580"
EVCCID = "020000000001"
READING = MeterReading(
    evse=2,
    context=MeterContext.PERIODIC,
    energy_wh=12_345.0,
    voltage_v=400.0,
    current_a=113.0,
    power_w=45_200.0,
    offered_a=500.0,
    offered_w=200_000.0,
    soc_percent=54.0,
)
CHARGING = replace(
    IDLE_EVSE, evse=2, status="Occupied", transaction_id="3e8b", charging_state="Charging", id_token=CARD
)


def charging_evse() -> EvseStatus:
    return replace(idle_evse(2, Phase.CHARGING, reading=READING), evcc_id=EVCCID)


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Path]:
    """A HAL and an OCPP service; the settings file that names their sockets."""
    config = write_settings(tmp_path)
    cabinet, now = AnsweringCabinet(), time.monotonic()
    cabinet.next_snapshot = replace(
        snapshot(),
        serial_number="SN-7",
        clock=BoardClock(now, 1_800_000_000.0, is_set=True, synchronised=True),
        evses=[idle_evse(1, faults=[Fault.ISOLATION]), charging_evse()],
        faults=[Fault.DOOR_OPEN],
        links={"Wired0": True, "Wireless0": False},
        link_details={"Wired0": LinkDetails(default=True)},
    )
    hal = HalServer(cabinet, path=tmp_path / "hal.sock", clock=ManualClock(100.0), utc=lambda: 0.0)
    feed = StatusFeed(tmp_path / "status.sock")
    failure = LinkFailure("2027-01-15T08:00:00Z", 1, "refused", "nothing listens at 127.0.0.1:9000")
    feed.publish(
        replace(STATUS, evses=[IDLE_EVSE, CHARGING], queued_messages=3, last_contact_mono_s=now, last_failure=failure)
    )
    await hal.start()
    await feed.start()
    yield config
    await feed.close()
    await hal.close()


def write_settings(directory: Path) -> Path:
    config = directory / "ocpp.toml"
    config.write_text(
        f'hal_socket = "{directory}/hal.sock"\nstatus_socket = "{directory}/status.sock"\n'
        f'database = "{directory}/station.db"\nbind_links = true\n'
    )
    return config


async def run(config: Path, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["--config", str(config), *arguments])


async def test_status_of_both(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(station, "status") == 0
    shown = capsys.readouterr()
    rows = [line for line in shown.out.splitlines() if not line.startswith("clock")]
    assert rows == [
        "station     SN-7, version 1.0.0",
        "CSMS        connected to slot 1 over Wired0, security profile 1, Accepted",
        "            last contact 0 s ago",
        "            last failure 2027-01-15T08:00:00Z: nothing listens at 127.0.0.1:9000",
        "queue       3 messages",
        "links       Wired0 up (default route), Wireless0 down",
        "faults      door_open",
        "EVSE 1      Available, phase idle, FAULT isolation",
        "EVSE 2      Occupied, session Charging, phase charging, 45.2 kW, meter 12.35 kWh, SoC 54 %",
    ]
    assert "clock       2027-01-15T08:00:0" in shown.out
    assert shown.err == ""


async def test_sessions_that_run(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(station, "sessions") == 0
    assert capsys.readouterr().out == "EVSE 2, 3e8b, Charging, 45.2 kW, meter 12.35 kWh, SoC 54 %\n"


async def test_json_has_what_the_processes_say_but_no_person(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(station, "status", "--json") == 0
    text = capsys.readouterr().out
    shown: dict[str, Any] = json.loads(text)
    assert shown["problems"] == []
    assert shown["ocpp"]["registration"] == "Accepted"
    assert [evse["id_token"] for evse in shown["ocpp"]["evses"]] == [None, "***"]
    assert [evse["evcc_id"] for evse in shown["hal"]["evses"]] == [None, "***"]
    assert CARD not in text
    assert EVCCID not in text


async def test_one_process_that_does_not_run_is_named_and_the_other_shown(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_settings(tmp_path)
    config.write_text(config.read_text().replace("hal.sock", "nothing.sock"))
    assert await run(config, "status") == 1
    shown = capsys.readouterr()
    assert "queue       3 messages" in shown.out
    assert "faults" not in shown.out
    assert shown.err == (
        f"baywattctl: baywatt-hal at {tmp_path}/nothing.sock does not run (No such file or directory): "
        "see systemctl status baywatt-hal\n"
    )


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (b"", f"does not let user {getpass.getuser()} in: run this as root"),
        (b'{"kind":"greeting","version":99,"software":"hal 2"}\n', "is of another release than baywattctl"),
        (b"x" * 200_000, "is of another release than baywattctl"),
    ],
    ids=["closes", "version", "too long"],
)
async def test_a_hal_that_does_not_answer_as_it_should(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], says: bytes, words: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(says)
        writer.close()

    config = write_settings(tmp_path)
    async with await asyncio.start_unix_server(answer, str(tmp_path / "hal.sock")):
        assert await run(config, "sessions") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    hal, ocpp = sorted(shown.err.splitlines())
    assert words in hal
    assert "baywatt-ocpp" in ocpp


async def test_a_silent_process_is_not_waited_for_endlessly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "ANSWER_S", 0.05)
    silent = StatusFeed(tmp_path / "status.sock")
    await silent.start()
    assert await run(write_settings(tmp_path), "status") == 1
    await silent.close()
    assert "did not answer within 0.05 s: see journalctl -u baywatt-ocpp" in capsys.readouterr().err


def test_the_message_log_is_beside_the_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_settings(tmp_path)
    assert main(["--config", str(config), "log"]) == 2
    assert "messages.jsonl: No such file or directory: nothing is written yet" in capsys.readouterr().err
    line = {"time": "2027-01-15T08:00:00.000Z", "type": "CALL", "direction": "out", "action": "Heartbeat", "id": "1"}
    (tmp_path / "messages.jsonl").write_text(json.dumps(line) + "\n")
    assert main(["--config", str(config), "log"]) == 0
    assert capsys.readouterr().out == "2027-01-15T08:00:00.000Z -> CALL Heartbeat 1\n"


def test_settings_that_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none.toml"), "status"]) == 2
    assert capsys.readouterr().err == f"baywattctl: {tmp_path}/none.toml: No such file or directory\n"


def test_sockets_are_where_the_processes_have_them() -> None:
    assert _Places().hal_socket == ServiceConfig().hal_socket
    assert {field.name: field.default for field in fields(HalConfig)}["socket"] == _Places().hal_socket
    assert _Places().status_socket == ServiceConfig().status_socket
