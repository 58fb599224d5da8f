# SPDX-License-Identifier: Apache-2.0
"""A fake ModemManager with one LTE modem, on a bus of its own (`bus_daemon.py`).

The attributes of `FakeModem` are what a test or the rig changes; `update()` makes the bus show them. Faults:

- `plugged` False: the modem is gone from USB; back, it has the next number;
- `sim` False: the state is `failed`, the reason `sim-missing`;
- `registered` False: no network; `connected` False: registered, without a connection;
- `signal_percent`: 0 to 100; the radio's dBm follow once somebody has called `Modem.Signal.Setup`;
- `stuck` True: `Modem.Reset` is answered and does nothing.

`Reset` and `power` take the modem away for `boot_s`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from dbus_fast import Variant

from tools.rig.devices.bus_objects import BusObjects, Interfaces, Refusal

__all__ = ["SERVICE", "FakeModem", "FakeModemManager"]

SERVICE = "org.freedesktop.ModemManager1"
ROOT = "/org/freedesktop/ModemManager1"
_MODEM = f"{SERVICE}.Modem"
_THREE_GPP = f"{_MODEM}.Modem3gpp"
_SIGNAL = f"{_MODEM}.Signal"
_BEARER = f"{SERVICE}.Bearer"
_FAILED, _SEARCHING, _REGISTERED, _CONNECTED = -1, 7, 8, 11
_SIM_MISSING = 2
_LTE = 1 << 14
_PORT_NET, _PORT_QMI = 2, 6


@dataclass
class FakeModem:
    plugged: bool = True
    sim: bool = True
    registered: bool = True
    connected: bool = True
    signal_percent: int = 80
    operator: str = "Testnet"
    interface: str = "wwan0"
    stuck: bool = False

    @property
    def state(self) -> int:
        if not self.sim:
            return _FAILED
        if not self.registered:
            return _SEARCHING
        return _CONNECTED if self.connected else _REGISTERED

    @property
    def working(self) -> bool:
        return self.state == _CONNECTED


class FakeModemManager:
    """`start` and `close` are those of the daemon; the modem's state outlives it."""

    def __init__(self, address: str, modem: FakeModem | None = None, *, boot_s: float = 0.2) -> None:
        self.modem = modem or FakeModem()
        self.boot_s = boot_s
        self.number = -1
        """The N in the modem's path."""
        self.resets = 0
        self._rates: dict[int, int] = {}
        self._shown: str | None = None
        self._booting: asyncio.TimerHandle | None = None
        self.service = BusObjects(
            address,
            SERVICE,
            ROOT,
            {
                f"{_MODEM}.Reset": self._reset,
                f"{_MODEM}.Enable": lambda _path, _on: ("", []),
                f"{_SIGNAL}.Setup": self._set_up_signal,
            },
        )

    @property
    def path(self) -> str | None:
        """The modem's path while it is there."""
        return self._shown

    async def start(self) -> None:
        self._shown = None
        self.service.objects.clear()
        self.update()
        await self.service.start()

    def close(self) -> None:
        if self._booting is not None:
            self._booting.cancel()
            self._booting = None
        self.service.close()

    def power(self, on: bool) -> None:
        """Switch the modem's supply."""
        self._away()
        if on:
            self._boot()

    def update(self) -> None:
        """Show the modem's present state on the bus."""
        there = self.modem.plugged and self._booting is None
        if there and self._shown is None:
            self.number += 1
            self._shown = f"{ROOT}/Modem/{self.number}"
            self.service.add(f"{ROOT}/Bearer/{self.number}", self._bearer(), managed=False)
            self.service.add(self._shown, self._interfaces())
        elif not there:
            self._away()
        else:
            self._refresh()

    def _away(self) -> None:
        if self._shown is not None:
            for path in (self._shown, f"{ROOT}/Bearer/{self.number}"):
                self.service.remove(path)
            self._shown = None

    def _boot(self) -> None:
        def booted() -> None:
            self._booting = None
            self.update()

        if self._booting is not None:
            self._booting.cancel()
        self._booting = asyncio.get_running_loop().call_later(self.boot_s, booted)

    def _refresh(self) -> None:
        shown, bearer = self._interfaces(), self._bearer()
        for name, values in shown.items():
            self.service.change(self._shown or "", name, **values)
        self.service.change(f"{ROOT}/Bearer/{self.number}", _BEARER, **bearer[_BEARER])

    def _interfaces(self) -> Interfaces:
        modem = self.modem
        reason = 0 if modem.sim else _SIM_MISSING
        return {
            _MODEM: {
                "State": Variant("i", modem.state),
                "StateFailedReason": Variant("u", reason),
                "SignalQuality": Variant("(ub)", [modem.signal_percent if modem.registered else 0, True]),
                "AccessTechnologies": Variant("u", _LTE if modem.registered else 0),
                "Bearers": Variant("ao", [f"{ROOT}/Bearer/{self.number}"]),
                "Sim": Variant("o", f"{ROOT}/SIM/{self.number}" if modem.sim else "/"),
                "PrimaryPort": Variant("s", "cdc-wdm0"),
                "Ports": Variant("a(su)", [["cdc-wdm0", _PORT_QMI], [modem.interface, _PORT_NET]]),
                "Manufacturer": Variant("s", "Fake"),
                "Model": Variant("s", "LTE modem"),
                "Revision": Variant("s", "1.2"),
                "EquipmentIdentifier": Variant("s", "490154203237518"),
            },
            _THREE_GPP: {
                "RegistrationState": Variant("u", 1 if modem.registered else 2),
                "OperatorName": Variant("s", modem.operator if modem.registered else ""),
                "OperatorCode": Variant("s", "00101" if modem.registered else ""),
            },
            _SIGNAL: {"Rate": Variant("u", self._rate), "Lte": Variant("a{sv}", self._lte())},
        }

    def _lte(self) -> dict[str, Variant]:
        """From -128 dBm (nothing) to -80 dBm RSRP (everything); empty before `Setup`."""
        if not self._rate or not self.modem.registered:
            return {}
        rsrp = -128.0 + 0.48 * self.modem.signal_percent
        values = {"rsrp": rsrp, "rsrq": -11.0, "rssi": rsrp + 30.0, "snr": 8.0}
        return {name: Variant("d", value) for name, value in values.items()}

    @property
    def _rate(self) -> int:
        return self._rates.get(self.number, 0)

    def _bearer(self) -> Interfaces:
        connected = self.modem.state == _CONNECTED
        return {
            _BEARER: {
                "Connected": Variant("b", connected),
                "Interface": Variant("s", self.modem.interface if connected else ""),
            }
        }

    # --- methods -------------------------------------------------------------------------------------------

    def _reset(self, path: str) -> tuple[str, list[Any]]:
        self.resets += 1
        if not self.modem.stuck:
            self._away()
            self._boot()
        return "", []

    def _set_up_signal(self, path: str, rate: int) -> tuple[str, list[Any]]:
        if self.modem.state < _SEARCHING:
            raise Refusal(f"{SERVICE}.Error.Core.WrongState", "the modem is not enabled")
        self._rates = {self.number: rate}
        asyncio.get_running_loop().call_soon(self.update)
        return "", []
