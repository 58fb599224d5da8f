# SPDX-License-Identifier: Apache-2.0
"""The driver of NetworkManager and ModemManager: daemons and devices that come, go and report nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from dbus_fast import Variant

from drivers.gpio.lines import Input, Lines, Output
from drivers.net.links import SETTLE_S, LinksOptions, differs
from drivers.net.system_bus import SystemBus, SystemBusOptions
from firmware.config import convert
from firmware.contract import LinkDetails
from firmware.errors import ConfigError
from hal.ports import DeviceInfo, Link
from tests.support.networks import NetworkBench, network_bench
from tests.support.sockets import eventually
from tools.rig.devices.modem_manager import SERVICE as MODEMS
from tools.rig.devices.modem_manager import FakeModemManager
from tools.rig.devices.network_manager import PATH, SERVICE, FakeNetworkManager
from tools.rig.devices.networks import SimulatedNetworks

MODEM = f"{MODEMS}.Modem"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[NetworkBench]:
    async with network_bench(tmp_path) as bench:
        yield bench


async def settled(bench: NetworkBench) -> None:
    """Until a change that was made after all others has arrived."""
    percent = 90 if bench.link("Wireless0").details.signal_percent != 90 else 40
    bench.world.signal_percent["Wireless0"] = percent
    await eventually(lambda: bench.link("Wireless0").details.signal_percent == percent)


def changes(bench: NetworkBench) -> list[tuple[str, bool]]:
    """What was reported of links up and down, each change once."""
    up, found = {"Wired0": True, "Wireless0": True}, []
    for name, link in bench.reported:
        if up[name] is not link.up:
            up[name] = link.up
            found.append((name, link.up))
    return found


# --- the modem ------------------------------------------------------------------------------------------------


async def test_a_modem_that_returns_has_another_number_and_works(bench: NetworkBench) -> None:
    first = bench.fakes.modems.path
    bench.fakes.modems.modem.plugged = False
    await eventually(lambda: not bench.link("Wireless0").up)
    assert bench.link("Wireless0").details.signal_percent is None
    bench.fakes.modems.modem.plugged = True
    await eventually(lambda: bench.link("Wireless0").up)
    assert bench.fakes.modems.path != first
    await eventually(lambda: bench.link("Wireless0").details.signal_dbm is not None)
    assert bench.link("Wired0").up


async def test_a_missing_sim_is_no_case_for_a_reset(bench: NetworkBench, caplog: pytest.LogCaptureFixture) -> None:
    bench.fakes.modems.modem.sim = False
    await eventually(lambda: not bench.link("Wireless0").up)
    for now in (0.0, 1000.0, 100_000.0):
        bench.links.recover(now)
    await settled_wired(bench)
    assert (bench.fakes.modems.resets, bench.fakes.networks.activations) == (0, [])
    assert "the SIM is missing" in caplog.text


async def settled_wired(bench: NetworkBench) -> None:
    bench.world.links["Wired0"] = not bench.world.links["Wired0"]
    await eventually(lambda: bench.link("Wired0").up is bench.world.links["Wired0"])


async def test_an_unreachable_network_activates_then_resets(bench: NetworkBench) -> None:
    bench.fakes.networks.modem.reachable = False
    await eventually(lambda: stuck(bench, 0.0))
    bench.links.recover(300.0)
    await eventually(lambda: bench.fakes.networks.activations == ["cdc-wdm0"])
    bench.links.recover(600.0)
    await eventually(lambda: bench.fakes.modems.resets == 1)
    await eventually(lambda: bench.link("Wireless0").up and bench.fakes.modems.number == 1)


def stuck(bench: NetworkBench, now: float) -> bool:
    """Whether the driver has seen that nothing is reachable; the time of its ladder begins at `now`."""
    bench.links.recover(now)
    return "nothing is reachable" in bench.links.condition.value


async def test_a_registered_modem_without_connection_is_activated(bench: NetworkBench) -> None:
    bench.fakes.modems.modem.connected = False
    await eventually(lambda: not bench.link("Wireless0").up)
    bench.links.recover(0.0)
    bench.links.recover(179.0)
    assert bench.fakes.networks.activations == []
    bench.links.recover(180.0)
    await eventually(lambda: bench.fakes.networks.activations == ["cdc-wdm0"])


class PowerLines(Lines):
    """One line that is the supply of the fake modem."""

    def __init__(self) -> None:
        super().__init__("power lines")
        self.levels: list[bool] = []

    async def attach(self) -> None:
        for output in self.outputs.values():
            self.configure_output(output)

    def detach(self) -> None: ...

    def configure_output(self, output: Output) -> None:
        self.levels.append(output.initial_level)

    def configure_input(self, found: Input) -> None: ...

    def write(self, output: Output, level: bool) -> None:
        self.levels.append(level)

    def level(self, found: Input) -> bool:
        return False


async def test_a_modem_that_is_gone_is_switched_off_and_on(tmp_path: Path) -> None:
    lines = PowerLines()
    await lines.open()
    async with network_bench(tmp_path, lines=lines, modem_power="MODEM", power_off_s=0.0) as bench:
        bench.fakes.modems.modem.plugged = False
        await eventually(lambda: not bench.link("Wireless0").up)
        bench.links.recover(0.0)
        bench.links.recover(60.0)
        await eventually(lambda: lines.levels == [True, False, True])
    lines.close()
    assert lines.levels[-1] is True


async def test_without_a_line_the_log_says_so_once(bench: NetworkBench, caplog: pytest.LogCaptureFixture) -> None:
    bench.fakes.modems.modem.plugged = False
    await eventually(lambda: not bench.link("Wireless0").up)
    for now in (0.0, 60.0, 10_000.0, 100_000.0):
        bench.links.recover(now)
    await eventually(lambda: "no line is configured" in caplog.text)
    await settled_wired(bench)
    assert caplog.text.count("no line is configured") == 1


async def test_no_recovery_where_it_is_off(tmp_path: Path) -> None:
    async with network_bench(tmp_path, recovery=False) as bench:
        bench.fakes.modems.modem.connected = False
        await eventually(lambda: not bench.link("Wireless0").up)
        for now in (0.0, 1000.0):
            bench.links.recover(now)
        await settled_wired(bench)
        assert bench.fakes.networks.activations == []


# --- the daemons ----------------------------------------------------------------------------------------------


async def test_a_restart_of_network_manager_changes_no_link(bench: NetworkBench) -> None:
    bench.fakes.networks.close()
    bench.fakes.networks.starting = True
    await bench.fakes.networks.start()
    await settled(bench)
    bench.fakes.networks.starting = False
    bench.reported.clear()
    await settled(bench)
    assert changes(bench) == []
    bench.world.links["Wired0"] = False
    await eventually(lambda: bench.default() == ["Wireless0"])


async def test_a_restart_of_modem_manager_changes_no_link_for_long(bench: NetworkBench) -> None:
    bench.fakes.modems.close()
    await bench.fakes.modems.start()
    await settled(bench)
    await eventually(lambda: bench.up() == {"Wired0": True, "Wireless0": True})
    await eventually(lambda: bench.link("Wireless0").details.signal_dbm is not None)


async def test_a_bus_that_dies_and_returns(bench: NetworkBench, caplog: pytest.LogCaptureFixture) -> None:
    await bench.fakes.close()
    await bench.daemon.close()
    await eventually(lambda: "no system bus" in caplog.text)
    assert bench.up() == {"Wired0": True, "Wireless0": True}
    await bench.daemon.start()
    await bench.fakes.start()
    bench.world.links["Wired0"] = False
    await eventually(lambda: bench.default() == ["Wireless0"])
    assert changes(bench) == [("Wired0", False)]


async def test_the_kernel_of_the_rig_knows_the_links_while_the_daemons_are_gone(tmp_path: Path) -> None:
    bench = NetworkBench(tmp_path)
    bench.world.links["Wired0"] = False
    SimulatedNetworks(bench.daemon.address, bench.world, bench.kernel).update()
    bench.start_driver(Wireless0="wwan0")
    assert (bench.up(), bench.default()) == ({"Wired0": False, "Wireless0": True}, ["Wireless0"])
    bench.links.close()


async def test_daemons_return_with_their_bus(bench: NetworkBench) -> None:
    await bench.daemon.close()
    await bench.daemon.start()
    bench.world.links["Wired0"] = False
    await eventually(lambda: bench.default() == ["Wireless0"])


async def test_daemons_that_start_after_the_driver(tmp_path: Path) -> None:
    bench = NetworkBench(tmp_path)
    await bench.bus.open()
    bench.start_driver()
    assert bench.up() == {"Wired0": False, "Wireless0": False}
    await bench.daemon.start()
    await bench.fakes.start()
    await eventually(lambda: bench.up() == {"Wired0": True, "Wireless0": True})
    await bench.stop()


# --- without NetworkManager -----------------------------------------------------------------------------------


async def test_without_network_manager_the_kernel_is_asked(tmp_path: Path) -> None:
    bench = NetworkBench(tmp_path)
    bench.kernel.interface("eth0", "up")
    bench.kernel.interface("wlan0", "down")
    bench.kernel.default_route("eth0", 100)
    bench.start_driver(Wireless0="wlan0")
    assert bench.up() == {"Wired0": True, "Wireless0": False}
    assert bench.default() == ["Wired0"]
    bench.kernel.interface("eth0", "down")
    bench.kernel.interface("wlan0", "up")
    bench.kernel.default_route("wlan0", 600)
    await eventually(lambda: bench.default() == ["Wireless0"])
    assert bench.up() == {"Wired0": False, "Wireless0": True}
    await bench.stop()


async def test_a_device_that_network_manager_leaves_to_others(bench: NetworkBench) -> None:
    bench.kernel.interface("eth1", "up")
    bench.links.close()
    bench.start_driver(Wired0="eth1")
    await eventually(lambda: bench.up() == {"Wired0": True, "Wireless0": True})


async def test_without_network_manager_the_modem_is_up_when_it_is_connected(tmp_path: Path) -> None:
    bench = NetworkBench(tmp_path)
    await bench.daemon.start()
    await bench.fakes.modems.start()
    await bench.bus.open()
    bench.start_driver()
    await eventually(lambda: bench.link("Wireless0").up)
    assert bench.link("Wireless0").details.device == "wwan0"
    bench.fakes.modems.modem.registered = False
    bench.fakes.modems.update()
    await eventually(lambda: not bench.link("Wireless0").up)
    await bench.stop()


# --- nonsense -------------------------------------------------------------------------------------------------


async def test_properties_of_wrong_types_and_objects_without_end(bench: NetworkBench) -> None:
    modems, networks = bench.fakes.modems.service, bench.fakes.networks.service
    path, bench.fakes.follows = bench.fakes.modems.path, False
    assert path is not None
    for number in range(200):
        await asyncio.sleep(0)  # dbus-fast can't write more than the socket takes at once
        networks.add(f"{PATH}/Devices/{number + 100}", {f"{SERVICE}.Device": {"Interface": Variant("s", "eth9")}})
    networks.add(f"{PATH}/Other/1", {f"{SERVICE}.AccessPoint": {"Strength": Variant("y", 7)}})
    networks.remove(f"{PATH}/gone")
    modems.change(path, MODEM, SignalQuality=Variant("s", "strong"), Ports=Variant("u", 7))
    modems.change(path, f"{MODEM}.Signal", Lte=Variant("a{sv}", {"rsrp": Variant("d", float("nan"))}))
    await eventually(lambda: bench.link("Wireless0").details.signal_percent is None)
    assert bench.link("Wireless0").details.signal_dbm is None
    bench.fakes.follows = True
    await settled(bench)
    assert bench.up() == {"Wired0": True, "Wireless0": True}


# --- what an installer sees -------------------------------------------------------------------------------------


async def test_what_answers(bench: NetworkBench) -> None:
    assert bench.links.devices() == [
        DeviceInfo(name="Wired0", address="eth0", state="up, default route"),
        DeviceInfo(
            name="Wireless0 LTE modem",
            address="wwan0",
            serial_number="490154203237518",
            firmware="1.2",
            state="up, Testnet, 80 %, -90 dBm, connected",
        ),
    ]
    bench.fakes.modems.modem.sim = False
    await eventually(lambda: "SIM" in bench.links.devices()[1].state)


async def test_what_does_not_answer(tmp_path: Path) -> None:
    bench = NetworkBench(tmp_path)
    bench.start_driver()
    assert [(each.answers, each.state) for each in bench.links.devices()] == [
        (False, "no such interface"),
        (False, "no system bus: not connected yet"),
    ]
    bench.kernel.interface("eth0", "down")
    await bench.daemon.start()
    await bench.bus.open()
    await eventually(lambda: bench.links.devices()[1].state == "no ModemManager")
    assert bench.links.devices()[0] == DeviceInfo(name="Wired0", address="eth0", state="down")
    await bench.stop()


# --- options --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no interface is named"),
        ({"Wired9": "eth0"}, "Wired9"),
        ({"Wired0": 7}, "Wired0"),
        ({"Wired0": "eth0", "modem_power": "MODEM"}, "belong together"),
        ({"Wired0": "eth0", "signal_period_s": 1}, "signal_period_s"),
    ],
)
def test_options_that_are_wrong(options: dict[str, object], message: str) -> None:
    bus = SystemBus(SystemBusOptions())
    with pytest.raises(ConfigError, match=message):
        convert({"bus": "system", **options}, LinksOptions, "hal.toml: links", look_up=lambda _kind, _name: bus)


async def test_a_signal_that_jumps_is_not_reported_each_time(bench: NetworkBench) -> None:
    bench.links.signal_every_s = 3600.0
    modems, path, bench.fakes.follows = bench.fakes.modems.service, bench.fakes.modems.path, False
    assert path is not None
    for percent in (20, 70, 30):
        modems.change(path, MODEM, SignalQuality=Variant("(ub)", [percent, True]))
        await asyncio.sleep(2 * SETTLE_S)  # each would be an event of its own
    modems.change(path, f"{MODEM}.Modem3gpp", OperatorName=Variant("s", "Another"))
    await eventually(lambda: bench.link("Wireless0").details.operator == "Another")
    percents = [link.details.signal_percent for name, link in bench.reported if name == "Wireless0"]
    assert percents == [30], "together with the operator: the signal alone was reported at the start"


@pytest.mark.parametrize(
    ("before", "after", "worth_it"),
    [
        (LinkDetails(signal_percent=50), LinkDetails(signal_percent=54), False),
        (LinkDetails(signal_percent=50), LinkDetails(signal_percent=45), True),
        (LinkDetails(signal_dbm=-90.0), LinkDetails(signal_dbm=-92.9), False),
        (LinkDetails(signal_dbm=-90.0), LinkDetails(signal_dbm=-93.0), True),
        (LinkDetails(), LinkDetails(signal_percent=0), True),
        (LinkDetails(), LinkDetails(), False),
        (LinkDetails(), LinkDetails(default=True), True),
        (LinkDetails(), LinkDetails(operator="Testnet"), True),
    ],
)
def test_which_changes_are_worth_an_event(before: LinkDetails, after: LinkDetails, worth_it: bool) -> None:
    assert differs(Link(True, before), Link(True, after)) is worth_it
    assert differs(Link(True, before), Link(False, after))


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_stops_and_starts_in_any_order_it_recovers(tmp_path: Path, seed: int) -> None:
    """The bus, both daemons and the modem; what they were connected to may be gone when they start or stop."""
    dice = Random(seed)
    async with network_bench(tmp_path) as bench:
        modem, daemons = bench.fakes.modems.modem, (bench.fakes.modems, bench.fakes.networks)
        for _ in range(12):
            match dice.randrange(4):
                case 0:
                    await bench.daemon.close()
                case 1:
                    dice.choice(daemons).close()
                case 2:
                    modem.plugged = not modem.plugged
                case 3:
                    await bench.daemon.start()
                    await restart(bench, dice.sample(daemons, 1))
            await asyncio.sleep(dice.random() * 0.05)
        modem.plugged = True
        await bench.daemon.start()
        await restart(bench, list(daemons))
        await eventually(lambda: bench.up() == {"Wired0": True, "Wireless0": True})
        bench.world.links["Wired0"] = False
        await eventually(lambda: bench.default() == ["Wireless0"])


async def restart(bench: NetworkBench, daemons: list[FakeModemManager | FakeNetworkManager]) -> None:
    for each in daemons:
        each.close()
        await each.start()
