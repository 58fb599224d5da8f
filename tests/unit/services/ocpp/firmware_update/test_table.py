# SPDX-License-Identifier: Apache-2.0
"""The table of the firmware update: that it is complete, and that an update can't get stuck in it."""

from __future__ import annotations

from typing import get_args

import pytest

from firmware.update.slots import SlotStatus
from services.ocpp.background import Order, Report
from services.ocpp.firmware_update.table import (
    AFTER_START,
    INSTALLING,
    ON_TRIAL,
    RESTARTING,
    TRANSITIONS,
    WAITING,
    Row,
    Stage,
    Trigger,
)
from services.ocpp.firmware_update.tasks import (
    Download,
    DownloadOutcome,
    Install,
    InstallBegun,
    InstallOutcome,
    SlotOutcome,
    SlotRequest,
    Verify,
    VerifyOutcome,
)
from services.ocpp.firmware_update.update import Update
from services.ocpp.messages import FirmwareStatusEnumType

REPORTS: dict[type[Order], tuple[type[Report], ...]] = {
    Download: get_args(DownloadOutcome),
    Verify: get_args(VerifyOutcome),
    Install: (InstallBegun, *get_args(InstallOutcome)),
    SlotRequest: get_args(SlotOutcome),
}
STAGES = [stage for stage in Stage if stage is not Stage.OVER]


def update(stage: Stage, *, slot: str = "a", boot_id: str = "boot-1") -> Update:
    return Update(
        request_id=1,
        location="https://files/image",
        retrieve_at=0.0,
        install_at=None,
        signature="QUJD",
        certificate="PEM",
        retries=0,
        retry_interval_s=0,
        stage=stage,
        slot=slot,
        boot_id=boot_id,
    )


def reports_in(stage: Stage) -> tuple[type[Report], ...]:
    """What the worker of this stage can report."""
    order = SlotRequest("keep") if stage is Stage.PROVING else update(stage).work()
    return () if order is None else REPORTS[type(order)]


def rows(stage: Stage) -> list[Row]:
    return [row for (origin, _trigger), row in TRANSITIONS.items() if origin is stage]


@pytest.mark.parametrize("stage", STAGES)
def test_every_report_of_a_stages_worker_has_a_row_and_no_other_has(stage: Stage) -> None:
    named = {trigger for origin, trigger in TRANSITIONS if origin is stage and not isinstance(trigger, Trigger)}
    assert named == set(reports_in(stage))


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_continues_after_a_start(stage: Stage) -> None:
    assert all((stage, start) in TRANSITIONS for start in AFTER_START)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_can_be_left(stage: Stage) -> None:
    """Those in which the board restarts are left by the start that follows."""
    assert any(row.stage not in (None, stage) for row in rows(stage))


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_can_come_to_its_end(stage: Stage) -> None:
    reached, left = {stage}, [stage]
    while left:
        following = {row.stage for row in rows(left.pop()) if row.stage is not None}
        left += following - reached
        reached |= following
    assert Stage.OVER in reached


def test_every_stage_is_reached_from_the_first() -> None:
    reached = {Stage.SCHEDULED} | {row.stage for row in TRANSITIONS.values()}
    assert reached >= set(Stage)


def test_what_is_over_stays_so() -> None:
    assert rows(Stage.OVER) == []


def test_the_csms_is_notified_of_every_end() -> None:
    """L01.FR.01"""
    assert all(row.status is not None for row in TRANSITIONS.values() if row.stage is Stage.OVER)


def test_only_statuses_that_exist() -> None:
    sent = {row.status for row in TRANSITIONS.values()} - {None}
    assert sent == set(get_args(FirmwareStatusEnumType)) - {"Idle"}


def test_security_events() -> None:
    """L01.FR.02, L01.FR.03, L01.FR.31"""
    assert {(row.status, row.security_event) for row in TRANSITIONS.values() if row.security_event} == {
        ("InvalidSignature", "InvalidFirmwareSignature"),
        ("InstallVerificationFailed", "InvalidFirmwareSigningCertificate"),
        ("Installed", "FirmwareUpdated"),
    }


def test_work_begins_where_the_update_neither_waits_nor_restarts() -> None:
    without = {stage for stage in STAGES if update(stage).work() is None}
    assert without == WAITING | RESTARTING - {Stage.UNDOING} | {Stage.PROVING}
    assert WAITING.isdisjoint(INSTALLING | ON_TRIAL)


@pytest.mark.parametrize(
    ("boot_id", "slots", "trigger"),
    [
        ("boot-1", SlotStatus("a"), Trigger.RESUMED),
        ("boot-1", None, Trigger.RESUMED),
        ("boot-2", SlotStatus("a", trial=True), Trigger.NEW_SLOT_RUNS),
        ("boot-2", SlotStatus("a", failed="a"), Trigger.NEW_SLOT_RUNS),
        ("boot-2", SlotStatus("factory", failed="a"), Trigger.NEW_SLOT_FAILED),
        ("boot-2", SlotStatus("factory"), Trigger.OLD_SLOT_RUNS),
        ("boot-2", None, Trigger.OLD_SLOT_RUNS),
    ],
)
def test_what_happened_before_a_start(boot_id: str, slots: SlotStatus | None, trigger: Trigger) -> None:
    assert update(Stage.REBOOTING).after_start(boot_id, slots) is trigger
