# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from drivers.board.linux import LinuxBoard
from drivers.simulated.world.world import PowerOffRequested
from firmware.contract import BoardClock, BootCause, Fault
from firmware.errors import ConfigError, DeviceLost
from tests.support.line_benches import PigpioBench
from tests.support.sockets import eventually
from tests.support.station_benches import WireStation
from tools.rig.devices.board import BoardTree


def _board(root: Path, **options: object) -> LinuxBoard:
    named = {"root": str(root), "boot_record": str(root / "boot.json"), "disk": str(root), **options}
    return LinuxBoard(msgspec.convert(named, LinuxBoard.Options))


def _machine(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


async def test_serial_number_by_option_device_tree_or_machine(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="serial_number is missing"):
        _board(tmp_path)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    made = _board(tmp_path).serial_number
    assert len(made) == 16
    assert made != "0123456789ABCDEF"
    assert _board(tmp_path).serial_number == made
    (tmp_path / "sys/firmware/devicetree/base").mkdir(parents=True)
    (tmp_path / "sys/firmware/devicetree/base/serial-number").write_bytes(b"10000000abcdef01\0")
    assert _board(tmp_path).serial_number == "10000000abcdef01"
    assert _board(tmp_path, serial_number="BW-7").serial_number == "BW-7"


async def test_supply_that_stays_low_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.board.linux.POLL_S", 0.02)
    tree = BoardTree(tmp_path, serial_number="BW1")
    board = _board(tmp_path)
    faults: list[tuple[Fault, bool, str]] = []
    tree.set_supply_low(True)
    board.listen(lambda clock: None, lambda fault, evse, present, detail: faults.append((fault, present, detail)))
    await eventually(lambda: faults == [(Fault.UNDER_VOLTAGE, True, "the controller's supply is too low")])
    tree.set_supply_low(False)
    await eventually(lambda: faults[1:] == [(Fault.UNDER_VOLTAGE, False, "")])
    board.close()


async def test_heat_has_hysteresis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.board.linux.POLL_S", 0.02)
    tree = BoardTree(tmp_path, serial_number="BW1")
    board = _board(tmp_path, max_controller_c=90.0)
    faults: list[tuple[bool, str]] = []
    clocks: list[BoardClock] = []
    tree.set_controller_temperature(91.0)
    board.listen(clocks.append, lambda fault, evse, present, detail: faults.append((present, detail)))
    await eventually(lambda: faults == [(True, "controller at 91 °C")])
    tree.set_controller_temperature(86.0)
    await _one_poll(tree, clocks)
    assert len(faults) == 1
    tree.set_controller_temperature(84.0)
    await eventually(lambda: faults[1:] == [(False, "")])
    board.close()


async def _one_poll(tree: BoardTree, clocks: list[BoardClock]) -> None:
    """A change of the clock is reported by a poll: whatever was written before it has been read."""
    seen = len(clocks)
    tree.step(BoardClock(0.0, 1_800_000_000.0, is_set=True, synchronised=not clocks or not clocks[-1].synchronised), {})
    await eventually(lambda: len(clocks) > seen)


async def test_full_disk_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("drivers.board.linux.POLL_S", 0.02)
    tree = BoardTree(tmp_path, serial_number="BW1")
    board = _board(tmp_path, min_free_mb=1e12)
    clocks: list[BoardClock] = []
    board.listen(clocks.append, lambda fault, evse, present, detail: None)
    for _ in range(3):
        await _one_poll(tree, clocks)
    full = [record for record in caplog.records if "disk" in record.getMessage()]
    assert [record.levelno for record in full] == [logging.WARNING]
    board.close()


async def test_watchdog_is_fed_though_the_relay_is_lost_or_is_to_drop_out(tmp_path: Path) -> None:
    tree = BoardTree(tmp_path, serial_number="BW1")
    tree.boot("boot", BootCause.POWER_UP)
    bench = PigpioBench()
    await bench.start()
    board = LinuxBoard(
        LinuxBoard.Options(
            root=str(tmp_path), boot_record=str(tmp_path / "boot.json"), lines=bench.lines, watchdog_relay=22
        )
    )
    levels: list[bool] = []
    bench.daemon.on_output = lambda line, level: levels.append(level)
    for _ in range(4):
        board.feed_watchdog(coils=True)
    await eventually(lambda: levels[-4:] == [True, False, True, False])
    for _ in range(3):
        board.feed_watchdog(coils=False)
    board.feed_watchdog(coils=True)
    await eventually(lambda: levels[-5:] == [True, False, True, False, True])
    bench.lines.close()
    with pytest.raises(DeviceLost, match="pigpiod"):
        board.feed_watchdog(coils=True)
    tree.step(BoardClock(0.0, 0.0, is_set=False, synchronised=False), {})
    assert tree.watchdog_feeds == 9
    board.close()
    bench.close()
    tree.close()


def test_relay_needs_lines() -> None:
    with pytest.raises(msgspec.ValidationError, match="lines and watchdog_relay belong together"):
        msgspec.convert({"watchdog_relay": 22}, LinuxBoard.Options, dec_hook=lambda kind, value: value)


async def test_restart_that_is_refused_is_logged_and_not_remembered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire = WireStation(tmp_path)
    await wire.start()
    wire.board.listen(lambda clock: None, lambda fault, evse, present, detail: None)
    wire.login1.refuses = True
    wire.board.reboot()
    await wire.until(lambda: "the board can't be restarted: systemd-logind: Permission denied" in caplog.text)
    assert b'"requested":false' in (tmp_path / "boot.json").read_bytes()
    await wire.dbus.close()
    caplog.clear()
    wire.board.reboot()
    await wire.until(lambda: "the board can't be restarted: systemd-logind:" in caplog.text)
    await wire.dbus.start()
    wire.login1.refuses = False
    await wire.login1.start()
    wire.board.reboot()
    await wire.until(wire.rebooted)
    assert b'"requested":true' in (tmp_path / "boot.json").read_bytes()
    await wire.close()


async def test_power_off_is_asked_of_logind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wire = WireStation(tmp_path)
    await wire.start()
    wire.login1.refuses = True
    wire.board.power_off()
    await wire.until(lambda: "the board can't be switched off: systemd-logind: Permission denied" in caplog.text)
    wire.login1.refuses = False
    wire.board.power_off()
    await wire.until(lambda: PowerOffRequested() in wire.world.happened)
    await wire.close()
