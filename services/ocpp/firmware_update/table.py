# SPDX-License-Identifier: Apache-2.0
"""The firmware update (L01) as a table: its stages, what moves it between them, and what the CSMS is notified of.

A *stage* is how far the update has come. It is on disk together with the request (`Update`), so that a power cut at
any instant resumes it. A stage ends by a *trigger*, a condition that the block finds to be true, or by the *report*
of the worker that runs in it (`tasks.py`). `TRANSITIONS[stage, trigger or class of report]` says what follows; a pair
that is not in the table is a bug and raises.

    scheduled ── due ──> downloading ── blocked ──> paused
                          │     ^─────── due ─────────┘
                          v
                      verifying
                          v
                        ready ── due ──> installing ── reboot required ──> reboot_first
                                          │     ^─────── restarted ─────────────┘
                                          v
                                      installed ── due ──> activating ──> rebooting
                                                                              │ the new slot runs
               over: Installed <── kept ── proving <──────────────────────────┘
                                             │ unproven
                                             v
    over: InstallationFailed <─ restarted ─ undoing

Every stage with a worker can also end the update with the failure that its row names.

*Dates and transactions.* A download waits for retrieveDateTime and an installation for installDateTime, and both for
the end of all transactions unless the product can do without; a transaction that begins pauses a download. The
restart always waits for them. Meanwhile EVSEs that become free are Unavailable (`Conditions.close_evses`).

*Across the restart* only the board knows which slot came up: it boots the new one on trial, and returns to the old
one by itself if the new one is not kept. So after every start the block first requests the slots' status, and an
update that was in progress continues by the answer (`AFTER_START`).

*Proving.* The board is asked to keep the new version once it has proved itself; one that has not in time is rolled
back. `trial.py` has the rule.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from services.ocpp.background import Failed
from services.ocpp.firmware_update.tasks import (
    Downloaded,
    ImageRefused,
    InstallBegun,
    Installed,
    RebootRequired,
    SignerUntrusted,
    SlotsAnswered,
    Verified,
)

if TYPE_CHECKING:
    from services.ocpp.background import Report
    from services.ocpp.messages import FirmwareStatusEnumType

__all__ = [
    "AFTER_START",
    "CANCELLABLE",
    "INSTALLING",
    "ON_TRIAL",
    "RESTARTING",
    "TRANSITIONS",
    "WAITING",
    "Row",
    "Stage",
    "Trigger",
]


class Stage(StrEnum):
    """How far the update has come; the texts are on disks of stations in the field."""

    SCHEDULED = "scheduled"
    DOWNLOADING = "downloading"
    PAUSED = "paused"
    VERIFYING = "verifying"
    READY = "ready"
    REBOOT_FIRST = "reboot_first"
    INSTALLING = "installing"
    INSTALLED = "installed"
    ACTIVATING = "activating"
    REBOOTING = "rebooting"
    PROVING = "proving"
    UNDOING = "undoing"
    OVER = "over"
    """Never on disk: the update is deleted."""


WAITING = frozenset({Stage.SCHEDULED, Stage.PAUSED, Stage.READY, Stage.INSTALLED})
"""For a date or for transactions; no worker of the update runs."""
CANCELLABLE = WAITING | {Stage.DOWNLOADING, Stage.VERIFYING}
"""Writing into a slot is not interrupted; a slot that has not been activated may be discarded."""
INSTALLING = frozenset({Stage.INSTALLING, Stage.ACTIVATING, Stage.REBOOT_FIRST, Stage.REBOOTING, Stage.UNDOING})
"""No session may begin."""
RESTARTING = frozenset({Stage.REBOOT_FIRST, Stage.REBOOTING, Stage.UNDOING})
ON_TRIAL = frozenset({Stage.ACTIVATING, Stage.REBOOTING, Stage.PROVING, Stage.UNDOING})
"""The update has changed which slot the board boots."""


class Trigger(Enum):
    """What the block found."""

    WAIT = "the date has not come, or transactions have to end first"
    DUE = "the date has come, and no transaction is in the way"
    BLOCKED = "a transaction has begun"
    UNPROVEN = "the new version has not proved itself in time"

    # After a start of this process, once the board has answered:
    RESUMED = "the board has not restarted meanwhile"
    NEW_SLOT_RUNS = "it has, into the slot of this update"
    NEW_SLOT_FAILED = "it has, and says that it returned from that slot"
    OLD_SLOT_RUNS = "it has, without having booted that slot, or can't say"


AFTER_START = (Trigger.RESUMED, Trigger.NEW_SLOT_RUNS, Trigger.NEW_SLOT_FAILED, Trigger.OLD_SLOT_RUNS)
_RESTARTED = AFTER_START[1:]


class Row(Struct, frozen=True):
    """What follows. A `stage` is entered, and its work begins; None changes nothing.

    `status` is sent to the CSMS; where the stage does not change, only once. `security_event` is reported with it.
    """

    stage: Stage | None
    status: FirmwareStatusEnumType | None = None
    security_event: str = ""


_STAY = Row(None)

TRANSITIONS: dict[tuple[Stage, Trigger | type[Report]], Row] = {
    # Up to the installation.
    (Stage.SCHEDULED, Trigger.WAIT): Row(None, "DownloadScheduled"),  # L01.FR.13
    (Stage.SCHEDULED, Trigger.DUE): Row(Stage.DOWNLOADING, "Downloading"),
    (Stage.PAUSED, Trigger.WAIT): Row(None, "DownloadPaused"),  # L01.FR.14
    (Stage.PAUSED, Trigger.DUE): Row(Stage.DOWNLOADING, "Downloading"),
    (Stage.DOWNLOADING, Trigger.BLOCKED): Row(Stage.PAUSED, "DownloadPaused"),  # L01.FR.14
    (Stage.DOWNLOADING, Downloaded): Row(Stage.VERIFYING, "Downloaded"),
    (Stage.DOWNLOADING, Failed): Row(Stage.OVER, "DownloadFailed"),  # L01.FR.30
    (Stage.VERIFYING, Verified): Row(Stage.READY, "SignatureVerified"),
    (Stage.VERIFYING, Failed): Row(Stage.OVER, "InvalidSignature", "InvalidFirmwareSignature"),  # L01.FR.03
    (Stage.READY, Trigger.WAIT): Row(None, "InstallScheduled"),  # L01.FR.16
    (Stage.READY, Trigger.DUE): Row(Stage.INSTALLING),  # L01.FR.05, L01.FR.06
    # The installation. `Installing` when the board begins: a restart that it requires first comes before (L01.FR.15).
    (Stage.INSTALLING, InstallBegun): Row(None, "Installing"),
    (Stage.INSTALLING, RebootRequired): Row(Stage.REBOOT_FIRST, "InstallRebooting"),  # L01.FR.15
    (Stage.INSTALLING, Installed): Row(Stage.INSTALLED),
    (Stage.INSTALLING, ImageRefused): Row(Stage.OVER, "InstallVerificationFailed"),  # L01.FR.29
    (Stage.INSTALLING, SignerUntrusted): Row(
        Stage.OVER, "InstallVerificationFailed", "InvalidFirmwareSigningCertificate"
    ),
    (Stage.INSTALLING, Failed): Row(Stage.OVER, "InstallationFailed"),
    # The restart, and the new version's trial.
    (Stage.INSTALLED, Trigger.DUE): Row(Stage.ACTIVATING),  # L01.FR.33
    (Stage.ACTIVATING, SlotsAnswered): Row(Stage.REBOOTING, "InstallRebooting"),  # L01.FR.32 (a)
    (Stage.ACTIVATING, Failed): Row(Stage.OVER, "InstallationFailed"),
    (Stage.PROVING, SlotsAnswered): Row(Stage.OVER, "Installed", "FirmwareUpdated"),  # L01.FR.28, L01.FR.31
    (Stage.PROVING, Failed): _STAY,  # asked again later
    (Stage.PROVING, Trigger.UNPROVEN): Row(Stage.UNDOING),
    (Stage.UNDOING, SlotsAnswered): _STAY,  # until the board restarts
    (Stage.UNDOING, Failed): _STAY,
    # After a start of this process.
    **{(stage, start): _STAY for stage in WAITING for start in AFTER_START},
    **{(Stage.DOWNLOADING, start): Row(Stage.PAUSED) for start in AFTER_START},
    **{(Stage.VERIFYING, start): Row(Stage.VERIFYING) for start in AFTER_START},
    **{(Stage.INSTALLING, start): Row(Stage.INSTALLING) for start in AFTER_START},
    **{(stage, Trigger.RESUMED): _STAY for stage in (*RESTARTING, Stage.PROVING)},
    **{(Stage.REBOOT_FIRST, start): Row(Stage.INSTALLING) for start in _RESTARTED},
    (Stage.ACTIVATING, Trigger.RESUMED): Row(Stage.INSTALLED),  # the board may not have noted the activation
    (Stage.ACTIVATING, Trigger.OLD_SLOT_RUNS): Row(Stage.INSTALLED),
    **{(stage, Trigger.NEW_SLOT_RUNS): Row(Stage.PROVING) for stage in ON_TRIAL},
    **{(stage, Trigger.NEW_SLOT_FAILED): Row(Stage.OVER, "InstallationFailed") for stage in ON_TRIAL},
    **{
        (stage, Trigger.OLD_SLOT_RUNS): Row(Stage.OVER, "InstallationFailed")
        for stage in (Stage.REBOOTING, Stage.PROVING, Stage.UNDOING)
    },
}
