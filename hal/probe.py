# SPDX-License-Identifier: Apache-2.0
"""`baywatt-hal probe`: opens the configured buses and lists what answers on them, and what does not.

It makes the drivers of the settings, as the HAL does, and commands nothing else: making a driver brings its device to
the safe value, and writes the settings of a device that has some (an insulation monitor). Each device gets `patience_s`
to answer. A driver of several devices, or one that knows serial number and firmware, describes them itself
(`hal.ports.Described`); of any other the reading of its port shows that it answers.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from msgspec import Struct

from firmware.clock import SystemClock
from firmware.errors import ConfigError, DriverError
from hal.config import DeviceSpec, HalConfig
from hal.devices import describe
from hal.ports import DeviceInfo
from hal.registry import Bus, close_buses, make_device, open_buses

__all__ = ["Finding", "probe", "report", "with_outputs"]

LOOK_S = 0.1
CONNECT_S = 0.5


class Finding(Struct, frozen=True):
    """One device: where it stands in the settings, what it says of itself."""

    place: str
    driver: str
    device: DeviceInfo


def with_outputs(devices: Sequence[DeviceSpec]) -> list[DeviceSpec]:
    """Those that can move energy: making and closing their drivers switches it off."""
    return [each for each in devices if each.port in ("contactor", "shelf") and each.driver != "simulated"]


async def probe(
    config: HalConfig, buses: Mapping[str, Bus], where: object, patience_s: float, specs: Sequence[DeviceSpec]
) -> list[Finding]:
    """The devices `specs` of the settings; raises `ConfigError` if a HAL runs with them, `DriverError` of a bus."""
    if _is_served(config.socket):
        raise ConfigError(f"{config.socket}: the HAL is running; stop it before probing (systemctl stop baywatt-hal)")
    clock = SystemClock()
    await open_buses(buses)
    devices: list[_Device] = []
    try:
        devices = [_Device(spec, buses, where, config) for spec in specs]
        until = clock.monotonic() + patience_s
        while clock.monotonic() < until and not all(each.complete for each in devices):  # noqa: ASYNC110 - no event
            await asyncio.sleep(LOOK_S)
        return [finding for each in devices for finding in each.findings()]
    finally:
        for each in devices:
            each.close()
        close_buses(buses)


def report(findings: Sequence[Finding]) -> str:
    """A table, one line a device; what does not answer says why."""
    rows = [("device", "driver", "address", "serial number", "firmware", "state")]
    for each in findings:
        device = each.device
        place = f"{each.place}, {device.name}" if device.name else each.place
        state = device.state if device.answers else f"NO ANSWER: {device.state}"
        rows.append((place, each.driver, device.address, device.serial_number, device.firmware, state))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


class _Device:
    """A driver of the settings; one that can't be made does not answer."""

    def __init__(self, spec: DeviceSpec, buses: Mapping[str, Bus], where: object, config: HalConfig) -> None:
        self._spec = spec
        self._evses = [each.evse for each in config.evse]
        self._driver: Any = None
        self._problem = ""
        try:
            self._driver = make_device(spec, buses, where)
            if spec.port == "card_reader":  # it is opened when somebody listens
                self._driver.listen(lambda _uid: None, lambda _problem: None, lambda _detail: None)
        except DriverError as error:
            self._problem = str(error)

    @property
    def complete(self) -> bool:
        return all(finding.device.answers for finding in self.findings())

    def findings(self) -> list[Finding]:
        if self._driver is None:
            found = [DeviceInfo(answers=False, state=self._problem)]
        else:
            found = describe(self._spec.port, self._driver, self._evses)
        return [Finding(self._spec.place, self._spec.driver, each) for each in found]

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()


def _is_served(path: str) -> bool:
    """Whether a HAL listens on the socket."""
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(CONNECT_S)
        try:
            client.connect(path)
        except OSError:
            return False
        return True
