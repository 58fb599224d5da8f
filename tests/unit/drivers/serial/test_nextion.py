# SPDX-License-Identifier: Apache-2.0
"""The driver over a pseudo terminal, against a panel that follows the instruction set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from drivers.serial import nextion
from drivers.serial.nextion import NextionOptions, NextionScreen
from firmware.contract import Advice, Fault, Offline, Outlet, OutletState, Page, PageModel, Refusal, Step, SuspendedBy
from firmware.errors import DeviceLost
from tests.support.sockets import eventually
from tools.rig.devices.nextion import Nextion

ACTION, LANG, YES, NO = 1, 2, 1, 2
CHARGING = PageModel(
    page=Page.CHARGING,
    evse=1,
    soc_percent=41,
    power_kw=140.04,
    energy_kwh=12.345,
    duration_s=725,
    minutes_to_80=75,
    shared_with=2,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ASK_S", 0.2), ("ANSWER_S", 0.1), ("RETRY_S", 0.05), ("CONFIRM_S", 0.3)):
        monkeypatch.setattr(nextion, name, value)


class Bench:
    def __init__(self, panel: Nextion, screen: NextionScreen) -> None:
        self.panel, self.screen = panel, screen
        self.touches: list[str] = []
        self.lost: list[str | None] = []
        screen.listen(lambda: self.touches.append("select"), lambda: self.touches.append("stop"), self.lost.append)

    async def shows(self, **texts: str) -> None:
        await eventually(lambda: texts.items() <= self.panel.texts.items())


@asynccontextmanager
async def benched(tmp_path: Path, *, plugged: bool = True, **options: object) -> AsyncIterator[Bench]:
    panel = Nextion(tmp_path / "panel", encoding=str(options.get("encoding", "iso-8859-1")))
    if plugged:
        await panel.start()
    given = {"screen": 1, "port": str(tmp_path / "panel"), **options}
    screen = NextionScreen(msgspec.convert(given, NextionOptions))
    try:
        yield Bench(panel, screen)
    finally:
        screen.close()
        panel.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with benched(tmp_path, languages=["en", "de"]) as found:
        yield found
        assert found.panel.violations == []


async def test_a_session_as_the_panel_shows_it(bench: Bench) -> None:
    await bench.shows(title="Starting up", action="")
    bench.screen.show(PageModel(page=Page.IDLE, others=(Outlet(2, OutletState.CHARGING),)))
    await bench.shows(title="Free", action="Charge here", others="Outlet 2: charging", lang="English")
    bench.screen.show(PageModel(page=Page.REJECTED, reason=Refusal.NOT_YOURS))
    await bench.shows(title="Not accepted", line1="This outlet is in use with another card.")
    bench.screen.show(PageModel(page=Page.PREPARING, step=Step.CABLE_CHECK, offline=Offline.LINK))
    await bench.shows(line2="Checking the cable", notice="This station has no network.", action="Cancel")
    bench.screen.show(CHARGING)
    await bench.shows(title="Charging", soc="41 %", power="140.0 kW", energy="12.35 kWh", time="12 min")
    await bench.shows(to80="Until 80 %: 1 h 15 min", shared="Power is shared with outlet 2.", action="Stop")
    assert (bench.panel.page, bench.panel.numbers) == (1, {"bar": 41})
    bench.screen.show(PageModel(page=Page.SUSPENDED, suspended_by=SuspendedBy.VEHICLE, soc_percent=80))
    await bench.shows(title="Paused", line1="The car takes no energy at the moment. It may be full.")
    bench.screen.show(PageModel(page=Page.FINISHED, energy_kwh=20.0, duration_s=3700, soc_percent=80))
    await bench.shows(title="Finished", line2="20.00 kWh, 1 h 1 min, 80 %", action="Charge again")
    fault = PageModel(page=Page.FAULTED, faults=(Fault.ISOLATION,), code="CX022", advice=Advice.OTHER_OUTLET)
    bench.screen.show(fault)
    await bench.shows(line1="Insulation fault", line3="Code CX022", action="")


async def test_only_what_changes_is_sent(bench: Bench) -> None:
    bench.screen.show(CHARGING)
    await bench.shows(power="140.0 kW")
    before = bench.panel.instructions
    bench.screen.show(msgspec.structs.replace(CHARGING, power_kw=139.0))
    await bench.shows(power="139.0 kW")
    sendmes = 1  # at most one falls into that moment
    assert bench.panel.instructions - before <= 1 + sendmes


async def test_touches(bench: Bench) -> None:
    bench.screen.show(PageModel(page=Page.IDLE))
    await bench.shows(title="Free")
    bench.panel.touch(ACTION)
    await eventually(lambda: bench.touches == ["select"])
    bench.panel.touch(LANG)
    await bench.shows(title="Frei", lang="Deutsch")
    bench.screen.show(CHARGING)
    await bench.shows(lang="Deutsch", power="140.0 kW")
    bench.panel.touch(ACTION)
    await eventually(lambda: bench.panel.page == 2 and "yes" in bench.panel.texts)
    bench.panel.touch(NO)
    await eventually(lambda: bench.panel.page == 1)
    bench.panel.touch(ACTION)
    await eventually(lambda: bench.panel.page == 2)
    bench.panel.touch(YES)
    await eventually(lambda: bench.touches == ["select", "select", "select", "stop"])
    bench.screen.show(PageModel(page=Page.IDLE))  # the EV driver has left: the station's language again
    await bench.shows(title="Free")


async def test_a_question_that_nobody_answers_is_withdrawn(bench: Bench) -> None:
    bench.screen.show(CHARGING)
    await bench.shows(power="140.0 kW")
    bench.panel.touch(ACTION)
    await eventually(lambda: bench.panel.page == 2)
    await eventually(lambda: bench.panel.page == 1)
    bench.panel.touch(YES, page=2)  # a finger that was late
    bench.panel.touch(LANG)
    await bench.shows(lang="Deutsch")
    assert bench.touches == ["select"]


@pytest.mark.parametrize("how", ["unplug", "silent", "babbling"])
async def test_a_lost_panel_is_reported_and_recovers(bench: Bench, how: str) -> None:
    bench.screen.show(CHARGING)
    await bench.shows(power="140.0 kW")
    if how == "unplug":
        bench.panel.close()
    elif how == "babbling":
        bench.panel.babble(True)
    else:
        bench.panel.silent = True
    await eventually(lambda: len(bench.lost) == 1)
    assert str(bench.lost[0]).startswith(f"display 1 at {bench.screen._options.port}: ")
    with pytest.raises(DeviceLost):
        bench.screen.show(msgspec.structs.replace(CHARGING, power_kw=50.0))
    assert [each.answers for each in bench.screen.devices()] == [False]
    bench.panel.close()
    bench.panel.silent = bench.panel.babbling = False
    await bench.panel.start()
    await bench.shows(power="50.0 kW")
    assert bench.lost[1:] == [None]
    assert [each.state for each in bench.screen.devices()] == ["Nextion NX4832T035_011R"]


async def test_a_panel_that_starts_anew_is_sent_everything(bench: Bench) -> None:
    bench.screen.show(CHARGING)
    await bench.shows(power="140.0 kW")
    bench.panel.restart()
    await bench.shows(power="140.0 kW", title="Charging")
    bench.panel.cut_power()  # and one that does not report it: it shows another page than it should
    await bench.shows(power="140.0 kW", title="Charging")
    assert bench.lost == []


async def test_a_panel_that_comes_later_is_found(tmp_path: Path) -> None:
    async with benched(tmp_path, plugged=False) as bench:
        await eventually(lambda: len(bench.lost) == 1)
        assert "the serial port can't be opened" in str(bench.lost[0])
        with suppress(DeviceLost):
            bench.screen.show(PageModel(page=Page.IDLE))
        await bench.panel.start()
        await bench.shows(title="Free")
        assert bench.lost[1:] == [None]


@pytest.mark.parametrize(
    "mangle",
    [
        lambda message: [message[:2], message[2:]],
        lambda message: [b"\x65\x01", message],
        lambda message: [message, message],
        lambda message: [b"\xff\xff\xff", message],
    ],
)
async def test_frames_cut_doubled_and_with_garbage(tmp_path: Path, mangle: Callable[[bytes], list[bytes]]) -> None:
    async with benched(tmp_path) as bench:
        bench.panel.mangle = mangle
        bench.screen.show(PageModel(page=Page.IDLE))
        await bench.shows(title="Free")
        bench.panel.restart()
        await bench.shows(title="Free")


async def test_a_project_that_does_not_fit_is_named(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        bench.panel.project[0].discard("line3")
        bench.screen.show(PageModel(page=Page.IDLE))
        await bench.shows(title="Free")
        await eventually(lambda: bench.screen.devices()[0].state == "it has no such variable")


async def test_chinese_on_a_panel_of_utf_8(tmp_path: Path) -> None:
    async with benched(tmp_path, languages=["zh"], encoding="utf-8") as bench:
        bench.screen.show(CHARGING)
        await bench.shows(lang="中文")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"languages": ["xx"]}, "languages: expected .*, got xx"),
        ({"languages": ["ja"]}, 'ja needs encoding = "utf-8"'),
        ({"languages": []}, "length >= 1"),
        ({"baud": 7}, ">= 2400"),
        ({"project": {"yes": 256}}, "<= 255"),
    ],
)
def test_options(options: dict[str, object], complaint: str) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError), match=complaint):
        msgspec.convert({"screen": 1, "port": "/dev/ttyUSB0", **options}, NextionOptions)


async def test_nothing_runs_on_after_close(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        await bench.shows(title="Starting up")
        bench.screen.close()
        await asyncio.sleep(0)
        await eventually(lambda: not [task for task in asyncio.all_tasks() if "display 1" in task.get_name()])
