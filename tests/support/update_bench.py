# SPDX-License-Identifier: Apache-2.0
"""A station whose firmware can be updated: the test plays the CSMS, the workers and the board's slots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from firmware.clock import format_utc
from firmware.contract import BootCause
from firmware.product import Product, load
from firmware.update.slots import SlotStatus
from services.ocpp.background import Order
from services.ocpp.firmware_update.tasks import (
    Download,
    Downloaded,
    Install,
    InstallBegun,
    Installed,
    Signed,
    SlotRequest,
    SlotsAnswered,
    Verified,
    Verify,
)
from tests.support.station_bench import StationBench

__all__ = ["FACTORY", "SIGNED", "TRIAL", "UP_TO_INSTALLING", "Checks", "UpdateBench", "installing_beside_transactions"]

FACTORY = SlotStatus("factory")
TRIAL = SlotStatus("a", trial=True)
SIGNED = Signed("QUJD", "good")
UP_TO_INSTALLING = ["Downloading", "Downloaded", "SignatureVerified", "Installing"]


class Checks:
    """`context.Firmware`: certificates and locations are accepted, except `bad` and `file:`."""

    def signer_problem(self, certificate: str, utc: float | None) -> str | None:
        return "expired" if certificate == "bad" else None

    def location_problem(self, location: str) -> str | None:
        return "no such scheme" if location.startswith("file:") else None


class UpdateBench(StationBench):
    """A station with slots."""

    def __init__(self, directory: Path, **more: Any) -> None:
        super().__init__(directory, updates=Checks(), **more)
        self.slots(FACTORY)
        self.up()

    def slots(self, status: SlotStatus) -> None:
        """The board answers the last request about its slots."""
        self.report(SlotRequest, SlotsAnswered(status))

    def request(self, request_id: int = 7, **fields: str | None) -> str:
        """UpdateFirmware; returns the answer's status."""
        past = format_utc(self.clock.utc() - 7200)
        firmware = {
            "location": "https://u:secret@files/image",
            "retrieveDateTime": past,
            "signingCertificate": "good",
            "signature": "QUJD",
            **fields,
        }
        kept = {name: value for name, value in firmware.items() if value is not None}
        answer = self.call("UpdateFirmware", {"requestId": request_id, "firmware": kept})
        return str(answer["status"])

    def in_future(self, seconds: float) -> str:
        return format_utc(self.clock.utc() + seconds)

    def to_verified(self) -> None:
        """The image of the request is downloaded, and its signature is valid."""
        self.report(Download, Downloaded())
        self.report(Verify, Verified())

    def to_installing(self) -> None:
        self.request()
        self.to_verified()
        self.report(Install, InstallBegun())

    def to_rebooting(self) -> None:
        self.to_installing()
        self.report(Install, Installed("a"))
        self.slots(FACTORY)
        self.advance(1.0)
        assert self.rebooting

    def restart(self, status: SlotStatus, cause: BootCause = BootCause.REQUESTED) -> None:
        """The board restarts and reports which slot runs."""
        self.power_cut(5.0, cause)
        self.slots(status)
        self.up()

    @property
    def progress(self) -> list[str]:
        return [each["status"] for each in self.sent("FirmwareStatusNotification")]

    @property
    def security(self) -> list[str]:
        return [each["type"] for each in self.sent("SecurityEventNotification")]

    @property
    def last_order(self) -> Order:
        return self.tasks[-1].order

    @property
    def orders_given(self) -> list[Order]:
        return [task.order for task in self.tasks]

    def status(self, evse: int) -> str:
        return next(str(s["connectorStatus"]) for s in reversed(self.sent("StatusNotification")) if s["evseId"] == evse)

    def trigger(self) -> dict[str, Any]:
        answer = self.call("TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"})
        assert answer["status"] == "Accepted"
        found: dict[str, Any] = self.sent("FirmwareStatusNotification")[-1]
        return found

    def start_charging(self, evse: int = 1) -> None:
        self.plug(evse)
        self.card(evse=evse)
        self.energy_on(evse)
        assert self.context.hal.evses[evse].transaction_id is not None

    def stop_charging(self, evse: int = 1) -> None:
        self.card(evse=evse)
        self.energy_off(evse)
        assert self.context.hal.evses[evse].transaction_id is None


def installing_beside_transactions() -> Product:
    """The full product, with C-43."""
    product = load("full")
    return replace(product, features=replace(product.features, install_firmware_during_transaction=True))
