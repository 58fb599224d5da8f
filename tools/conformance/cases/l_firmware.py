# SPDX-License-Identifier: Apache-2.0
"""Block L, firmware management: secure firmware update (L01); and the trigger during an update (F06)."""

from __future__ import annotations

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.firmware import Firmware, firmware
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.checks.expected import expected
from tools.conformance.peer.transcript import Message
from tools.conformance.run.registry import case
from tools.image.build import next_version

_PRECONDITIONS = Preconditions(updates=True)
_WORK_WITHIN_S = 30.0
_BOOT_WITHIN_S = 45.0
_LIMIT_S = 180.0
_OFFSET_S = 6.0
"""`<Configured Download Offset Period>` and `<Configured Install Offset Period>`."""


async def _status(t: Bench, update: Firmware, status: str, req: str = "L01.FR.01") -> Message:
    """The next FirmwareStatusNotification, which must have this status and requestId (L01.FR.10, L01.FR.20)."""
    check = {"status": status, "requestId": update.requested}
    return await t.expect("FirmwareStatusNotification", check, req=req, within=_WORK_WITHIN_S)


async def _verified(t: Bench, update: Firmware, first: int, *, downloading: bool = True) -> None:
    """Downloading, Downloaded, SignatureVerified; the first of them is step `first`."""
    if downloading:
        t.step(first)
        await _status(t, update, "Downloading")
    t.step(first + 2)
    await _status(t, update, "Downloaded")
    t.step(first + 4)
    await _status(t, update, "SignatureVerified", "L01.FR.04")


async def _installed(t: Bench, update: Firmware, first: int) -> Message:
    """From the installation to the end; step `first` is the optional reboot before it. Returns its first message."""
    t.step(first)
    check = {"status": ("Installing", "InstallRebooting"), "requestId": update.requested}
    begun = await t.expect("FirmwareStatusNotification", check, req="L01.FR.05", within=_WORK_WITHIN_S)
    if begun.get("status") == "InstallRebooting":  # RebootBeforeFirmwareInstallation
        await t.expect("BootNotification", {"reason": "FirmwareUpdate"}, req="L01.FR.15", within=_BOOT_WITHIN_S)
        await _status(t, update, "Installing")
    t.step(first + 3)  # RebootBeforeFirmwareActivation
    await _status(t, update, "InstallRebooting", "L01.FR.32")
    wanted = {"reason": "FirmwareUpdate", "chargingStation.firmwareVersion": next_version()}
    await t.expect("BootNotification", wanted, req="L01.FR.28", within=_BOOT_WITHIN_S)
    await reusable_states.statuses_after_boot(t, security_event=False)
    await t.expect_all(
        [
            expected("FirmwareStatusNotification", {"status": "Installed", "requestId": update.requested}),
            expected("SecurityEventNotification", where={"type": "FirmwareUpdated"}),
        ],
        req="L01.FR.31",
        within=_WORK_WITHIN_S,
    )
    return begun


@case("TC_L_01_CS", preconditions=_PRECONDITIONS, limit_s=_LIMIT_S)
async def tc_l_01_cs(t: Bench) -> None:
    """Red when: a status is missing or in another order, or the version after the restart is the old one."""
    async with firmware(t) as update:
        t.step(2)
        await t.call("UpdateFirmware", update.request(t), {"status": "Accepted"}, req="L01.FR.21")
        await _verified(t, update, 3)
        await _installed(t, update, 11)


@case("TC_L_02_CS", preconditions=_PRECONDITIONS, limit_s=_LIMIT_S)
async def tc_l_02_cs(t: Bench) -> None:
    """Red when: the image is installed before installDateTime, or InstallScheduled is not sent."""
    async with firmware(t) as update:
        t.step(2)
        request = update.request(t, install_in_s=_OFFSET_S)
        asked_at = t.elapsed
        await t.call("UpdateFirmware", request, {"status": "Accepted"}, req="L01.FR.21")
        await _verified(t, update, 3)
        t.step(9)
        await _status(t, update, "InstallScheduled", "L01.FR.16")
        begun = await _installed(t, update, 13)
        t.check(begun.at - asked_at >= _OFFSET_S - 1, "L01.FR.16", "installed before installDateTime", begun)


@case("TC_L_03_CS", preconditions=_PRECONDITIONS, limit_s=_LIMIT_S)
async def tc_l_03_cs(t: Bench) -> None:
    """Red when: the download begins before retrieveDateTime, or DownloadScheduled is not sent."""
    async with firmware(t) as update:
        t.step(2)
        asked_at = t.elapsed
        request = update.request(t, retrieve_in_s=_OFFSET_S)
        await t.call("UpdateFirmware", request, {"status": "Accepted"}, req="L01.FR.21")
        t.step(3)
        await _status(t, update, "DownloadScheduled", "L01.FR.13")
        t.step(5)
        begun = await _status(t, update, "Downloading")
        t.check(begun.at - asked_at >= _OFFSET_S - 1, "L01.FR.13", "downloaded before retrieveDateTime", begun)
        await _verified(t, update, 5, downloading=False)
        await _installed(t, update, 13)


@case("TC_L_05_CS", preconditions=_PRECONDITIONS)
async def tc_l_05_cs(t: Bench) -> None:
    """Red when: a signing certificate that has expired is accepted, or the security event is not sent."""
    async with firmware(t) as update:
        assert t.manufacturer is not None
        t.step(2)
        request = update.request(t, signer=t.manufacturer.firmware_signer(expired=True))
        refused = {"status": ("InvalidCertificate", "RevokedCertificate")}
        await t.call("UpdateFirmware", request, refused, req="L01.FR.22")
        t.step(3)
        event = {"type": "InvalidFirmwareSigningCertificate"}
        await t.expect("SecurityEventNotification", where=event, req="L01.FR.02")
        await t.never("FirmwareStatusNotification", 1.0, req="L01.FR.21")
        t.post(not update.files.asked, "L01.FR.21", "nothing was downloaded")


@case("TC_L_06_CS", preconditions=_PRECONDITIONS)
async def tc_l_06_cs(t: Bench) -> None:
    """Red when: a signature over another image is accepted."""
    async with firmware(t) as update:
        t.step(2)
        request = update.request(t, signed=update.image + b"another image")
        await t.call("UpdateFirmware", request, {"status": "Accepted"}, req="L01.FR.21")
        t.step(3)
        await _status(t, update, "Downloading")
        await _not_verified(t, update, 5)
        await t.never("BootNotification", 1.0, req="L01.FR.04")


async def _not_verified(t: Bench, update: Firmware, first: int) -> None:
    """Downloaded, then InvalidSignature and its security event in any order (erratum 6.2.83)."""
    t.step(first)
    await _status(t, update, "Downloaded")
    t.step(first + 2)
    await t.expect_all(
        [
            expected("FirmwareStatusNotification", {"status": "InvalidSignature", "requestId": update.requested}),
            expected("SecurityEventNotification", where={"type": "InvalidFirmwareSignature"}),
        ],
        req="L01.FR.03",
        within=_WORK_WITHIN_S,
    )


@case("TC_F_19_CS", preconditions=_PRECONDITIONS)
async def tc_f_19_cs(t: Bench) -> None:
    """Red when: the status that is triggered during a download is another than Downloading."""
    async with firmware(t) as update:
        update.files.delay_s = 3.0
        t.step(2)
        request = update.request(t, install_in_s=None, signed=b"another image")  # erratum 6.2.59
        await t.call("UpdateFirmware", request, {"status": "Accepted"}, req="L01.FR.21")
        t.step(3)
        await _status(t, update, "Downloading")
        t.step(6)
        asked = {"requestedMessage": "FirmwareStatusNotification"}
        await t.call("TriggerMessage", asked, {"status": "Accepted"}, req="F06.FR.05")
        t.step(7)
        await _status(t, update, "Downloading", "L01.FR.26")
        await _not_verified(t, update, 9)


@case("TC_L_07_CS", preconditions=_PRECONDITIONS)
async def tc_l_07_cs(t: Bench) -> None:
    """Red when: DownloadFailed is not sent for a file that is not there."""
    async with firmware(t) as update:
        t.step(2)
        request = update.request(t, name="firmware_doesnotExist")
        await t.call("UpdateFirmware", request, {"status": "Accepted"}, req="L01.FR.21")
        t.step(3)
        await _status(t, update, "Downloading")
        t.step(5)
        await _status(t, update, "DownloadFailed", "L01.FR.30")
        t.post(len(update.files.asked) == 2, "L01.FR.30", "as many retries as requested")


@case("TC_L_08_CS", preconditions=_PRECONDITIONS)
async def tc_l_08_cs(t: Bench) -> None:
    """Red when: a correctly signed image is installed although it is older than the running version."""
    async with firmware(t, version="0.0.1") as update:
        t.step(2)
        await t.call("UpdateFirmware", update.request(t), {"status": "Accepted"}, req="L01.FR.21")
        await _verified(t, update, 3)
        t.step(12)
        await _status(t, update, "Installing")
        t.step(14)
        await t.expect_statuses("Available", req="L01.FR.07")
        t.step(16)
        failed = {"status": ("InstallVerificationFailed", "InstallationFailed"), "requestId": update.requested}
        await t.expect("FirmwareStatusNotification", failed, req="L01.FR.29", within=_WORK_WITHIN_S)
        await t.never("BootNotification", 1.0, req="L01.FR.29")


@case("TC_L_10_CS", preconditions=_PRECONDITIONS, limit_s=_LIMIT_S)
async def tc_l_10_cs(t: Bench) -> None:
    """Red when: a second request is rejected during the download, or a later status has the first requestId."""
    async with firmware(t) as update:
        update.files.delay_s = 2.0
        t.step(2)
        await t.call("UpdateFirmware", update.request(t), {"status": "Accepted"}, req="L01.FR.21")
        t.step(3)
        await _status(t, update, "Downloading")
        first = update.requested
        t.step(6)
        await t.call("UpdateFirmware", update.request(t), {"status": "AcceptedCanceled"}, req="L01.FR.24")
        cancelled = {"status": ("DownloadFailed", "InstallationFailed"), "requestId": first}  # erratum 6.2.82
        await t.optional("FirmwareStatusNotification", where=cancelled)
        update.files.delay_s = 0.0
        await _verified(t, update, 7)
        await _installed(t, update, 13)


@case("TC_L_11_CS", preconditions=_PRECONDITIONS, limit_s=_LIMIT_S)
async def tc_l_11_cs(t: Bench) -> None:
    """Red when: a second request is accepted while an update is in progress, or disturbs it."""
    async with firmware(t) as update:
        update.files.delay_s = 2.0
        t.step(2)
        await t.call("UpdateFirmware", update.request(t), {"status": "Accepted"}, req="L01.FR.21")
        t.step(3)
        await _status(t, update, "Downloading")
        t.step(6)
        first = update.requested
        await t.call("UpdateFirmware", update.request(t), {"status": "Rejected"}, req="L01.FR.27")
        update.requested = first
        await _verified(t, update, 5, downloading=False)
        await _installed(t, update, 13)
        t.post(len(update.files.asked) == 1, "L01.FR.27", "the image was downloaded once")


@case("TC_L_12_CS", preconditions=_PRECONDITIONS, limit_s=_LIMIT_S)
async def tc_l_12_cs(t: Bench) -> None:
    """Red when: no second transaction can start while the download waits, or that begins before both have ended."""
    name = "ChargingStation.AllowNewSessionsPendingFirmwareUpdate"
    await t.configure({name: "true"}, if_implemented=True)
    second = next(evse for evse in t.fixtures.evses if evse != t.evse)
    await reusable_states.energy_transfer_started(t)
    async with firmware(t) as update:
        update.files.delay_s = 3.0  # until the last cable is unplugged
        t.step(2)
        await t.call("UpdateFirmware", update.request(t), {"status": "Accepted"}, req="L01.FR.21")
        t.step(3)
        await _status(t, update, "DownloadScheduled", "L01.FR.13")
        t.step(5)
        await reusable_states.authorized(t, second, card=t.fixtures.card2)
        await reusable_states.ev_connected_pre_session(t, second)
        await reusable_states.energy_transfer_started(t, second)
        t.step(6)
        await reusable_states.ev_disconnected(t)
        await t.never("FirmwareStatusNotification", 1.0, req="L01.FR.06")
        t.step(7)
        await reusable_states.ev_disconnected(t, second)
        await _verified(t, update, 8)
        await _installed(t, update, 16)


@case("TC_L_13_CS", preconditions=_PRECONDITIONS, limit_s=_LIMIT_S)
async def tc_l_13_cs(t: Bench) -> None:
    """Red when: an EVSE stays Available, or the download begins, while another one charges."""
    name = "ChargingStation.AllowNewSessionsPendingFirmwareUpdate"
    await t.configure({name: "false"}, if_implemented=True)
    await reusable_states.energy_transfer_started(t)
    async with firmware(t) as update:
        t.step(2)
        await t.call("UpdateFirmware", update.request(t), {"status": "Accepted"}, req="L01.FR.21")
        t.step(3)
        scheduled = {"status": "DownloadScheduled", "requestId": update.requested}
        await t.optional("FirmwareStatusNotification", where=scheduled)
        t.step(5)
        others = dict.fromkeys((evse for evse in t.fixtures.evses if evse != t.evse), "Unavailable")
        await t.expect_statuses(others, req="L01.FR.07")
        await t.never("FirmwareStatusNotification", 1.0, req="L01.FR.06")
        t.step(7)
        await reusable_states.ev_disconnected(t, status="Unavailable")
        t.step(8)
        await _verified(t, update, 8)
        await _installed(t, update, 16)


@case("TC_L_18_CS", preconditions=_PRECONDITIONS)
async def tc_l_18_cs(t: Bench) -> None:
    """Red when: an update without signature and signing certificate is accepted."""
    async with firmware(t) as update:
        request = update.request(t)
        for field in ("signingCertificate", "signature"):
            del request["firmware"][field]
        t.step(2)
        await t.call("UpdateFirmware", request, {"status": ("Rejected", "InvalidCertificate")}, req="L01.FR.11")
        await t.never("FirmwareStatusNotification", 1.0, req="L01.FR.11")
