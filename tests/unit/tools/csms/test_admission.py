# SPDX-License-Identifier: Apache-2.0
"""Which requests of a station are handled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.clock import SystemClock
from tools.csms.admission import Admission
from tools.csms.back_office import BackOffice
from tools.csms.feed import Feed
from tools.csms.settings import Behaviour, Registration
from tools.csms.store import Store
from tools.ocppj.frames import Call

BOOT = {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v", "serialNumber": "BW-1"}}


class _Link:
    async def close(self, code: int, reason: str) -> None:
        """Nothing to close."""


@pytest.fixture
def office(tmp_path: Path) -> BackOffice:
    office = BackOffice(Store(tmp_path / "db"), Feed(), SystemClock(), Behaviour())
    office.attach("CP001", _Link(), remote="127.0.0.1", security_profile=3)
    return office


def boot(office: BackOffice, status: Registration) -> None:
    office.set_behaviour(Behaviour(boot_status=status))
    office.on_boot("CP001", BOOT)


def test_a_station_that_never_booted_here_counts_as_accepted(office: BackOffice) -> None:
    assert Admission("CP001", office).may_send("Heartbeat")


def test_a_rejected_station_may_only_boot(office: BackOffice) -> None:
    boot(office, "Rejected")
    admission = Admission("CP001", office)
    admission.requested("TriggerMessage", {"requestedMessage": "Heartbeat"})
    assert (admission.may_send("Heartbeat"), admission.may_send("BootNotification")) == (False, True)


@pytest.mark.parametrize(
    ("action", "payload", "allowed"),
    [
        ("TriggerMessage", {"requestedMessage": "Heartbeat"}, "Heartbeat"),
        ("GetBaseReport", {}, "NotifyReport"),
        ("GetReport", {}, "NotifyReport"),
    ],
)
def test_a_pending_station_may_send_what_was_requested_until_it_boots(
    office: BackOffice, action: str, payload: dict[str, Any], allowed: str
) -> None:
    boot(office, "Pending")
    admission = Admission("CP001", office)
    assert not admission.may_send(allowed)
    admission.requested(action, payload)
    assert admission.may_send(allowed)
    admission.booted()
    assert not admission.may_send(allowed)


def test_a_certificate_must_be_the_stations_own(office: BackOffice) -> None:
    admission = Admission("CP001", office, certified_as="BW-2")
    assert not admission.may_send("Heartbeat")
    assert "BW-2" in (admission.wrong_certificate(Call("1", "BootNotification", BOOT)) or "")
    assert (
        Admission("CP001", office, certified_as="BW-1").wrong_certificate(Call("1", "BootNotification", BOOT)) is None
    )
    boot(office, "Accepted")
    assert not admission.may_send("Heartbeat")
    assert Admission("CP001", office, certified_as="BW-1").may_send("Heartbeat")
