# SPDX-License-Identifier: Apache-2.0
"""Restart and factory reset: all of it or nothing, whenever the power goes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from firmware import files
from firmware.contract.administration import FactoryReset, Problem, Restart, SetIdentity
from firmware.errors import StorageError
from firmware.ipc.administration import CommandRefused
from services.ocpp import factory_reset
from services.ocpp.config import ServiceConfig
from tests.support.administration import Site
from tests.support.station_bench import charge


async def test_the_service_alone_restarts(site: Site) -> None:
    await site.link.ask(Restart("service"))
    assert site.shell.stopped
    assert not site.bench.rebooting


async def test_the_board_restarts_for_a_person(site: Site) -> None:
    await site.link.ask(Restart("station"))
    site.bench.advance(5.0)
    assert site.bench.rebooting
    site.bench.reboot()
    site.bench.up()
    assert site.bench.sent("BootNotification")[-1]["reason"] == "LocalReset"


async def test_on_idle_waits_for_the_session(site: Site) -> None:
    charge(site.bench)
    await site.link.ask(Restart("station", on_idle=True))
    site.bench.advance(5.0)
    assert not site.bench.rebooting


async def test_a_factory_reset_forgets_everything_but_the_security_log(site: Site) -> None:
    await site.set("OCPPCommCtrlr", "HeartbeatInterval", "77")
    await site.link.ask(SetIdentity("CP-NEW"))
    await site.link.ask(FactoryReset())
    assert site.shell.stopped == "factory reset"
    site.bench.die()
    factory_reset.carry_out(site.shell.config)
    left = {path.name for path in site.bench.directory.iterdir() if path.is_file()}
    assert {name for name in left if not name.startswith("security.log")} <= {"a.lock"}
    site.bench.restart_service()
    site.bench.up()
    assert site.bench.parts.identity == "CP001"
    listed = await site.link.variables()
    assert next(each.value for each in listed if each.variable == "HeartbeatInterval") == "60"
    assert "SecurityLogBroken" not in str(site.bench.sent("SecurityEventNotification"))


async def test_it_is_refused_while_a_transaction_runs(site: Site) -> None:
    charge(site.bench, evse=2)
    with pytest.raises(CommandRefused, match="EVSE 2") as caught:
        await site.link.ask(FactoryReset())
    assert caught.value.problem is Problem.NOT_ALLOWED
    assert not (site.bench.directory / factory_reset.ORDER).exists()


async def test_by_force_no_energy_flows_afterwards(site: Site) -> None:
    charge(site.bench, evse=2)
    assert site.bench.permitted(2)
    await site.link.ask(FactoryReset(force=True))
    assert site.shell.stopped
    assert not site.bench.permitted(2)


async def test_an_order_that_can_not_be_written_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    with pytest.raises(CommandRefused) as caught:
        await site.link.ask(FactoryReset())
    assert caught.value.problem is Problem.STORAGE
    assert not site.shell.stopped


class _PowerCut(BaseException):
    pass


def _filled(folder: Path) -> ServiceConfig:
    config = ServiceConfig(
        database=str(folder / "station.db"),
        certificates=str(folder / "certificates"),
        images=str(folder / "firmware"),
        log_file=str(folder / "log" / "ocpp.log"),
    )
    for name in ("station.db", "station.db-wal", "station.db.damaged-1", "product", "security.log", "uploads/x"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("old")
    for name in ("certificates/csms/a.pem", "certificates/station/current.pem", "firmware/image", "log/messages.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("old")
    return config


@pytest.mark.parametrize("cut_after", range(12))
def test_a_power_cut_at_any_removal_leaves_no_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_after: int
) -> None:
    config = _filled(tmp_path)
    factory_reset.order(config)
    left = cut_after
    unlink = Path.unlink

    def cut(path: Path, missing_ok: bool = False) -> None:
        nonlocal left
        if left == 0:
            raise _PowerCut
        left -= 1
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", cut)
        with contextlib.suppress(_PowerCut):
            factory_reset.carry_out(config)
    factory_reset.carry_out(config)  # the next start
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["security.log"]


def test_without_an_order_nothing_is_removed(tmp_path: Path) -> None:
    config = _filled(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    factory_reset.carry_out(config)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    config = _filled(tmp_path / "state")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    (tmp_path / "state" / "uploads" / "x").unlink()
    (tmp_path / "state" / "uploads").rmdir()
    (tmp_path / "state" / "uploads").symlink_to(outside)
    factory_reset.order(config)
    factory_reset.carry_out(config)
    assert (outside / "precious").read_text() == "mine"


def test_what_can_not_be_removed_keeps_the_service_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _filled(tmp_path)
    factory_reset.order(config)

    def read_only(path: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(StorageError, match=r"station\.db.*Read-only"):
        factory_reset.carry_out(config)
    assert (tmp_path / factory_reset.ORDER).exists()
