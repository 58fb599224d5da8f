# SPDX-License-Identifier: Apache-2.0
"""Work that takes several requests and some waiting: a firmware update, a step up to a higher security profile.

They use the API, as a person would use the page; `report` is called with a text for each step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from firmware.clock import SystemClock, format_utc
from firmware.errors import BaywattError
from tools.csms.client import Client

__all__ = ["ProcedureFailed", "raise_security", "update_firmware"]

_PATIENCE_S = 120.0
_POLL_S = 0.2
_UPDATE_ENDS = ("Installed", "DownloadFailed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature")

Report = Callable[[str], object]


class ProcedureFailed(BaywattError):
    """A step failed; the text says which."""


# L01: a firmware update


def update_firmware(
    client: Client, station: str, *, image: str | None, checkout: Path, product: str, over: str, report: Report
) -> None:
    """From the image to Installed; `image` is one of the bench's files.

    Without it an image of `checkout` is built, as the version after the one that the station runs. Raises
    `ProcedureFailed`, or what the client raises.
    """
    side = client.get("/api/files")
    if side["folder"] is None:
        raise ProcedureFailed("the bench was started without --files")
    if image is None:
        image = _build(client, station, Path(side["folder"]), checkout, product, report)
    firmware = client.get("/api/firmware", file=image, over=over)
    past = format_utc(SystemClock().utc() - 60.0)
    request = {"requestId": _request_id(), "firmware": {**firmware, "retrieveDateTime": past, "installDateTime": past}}
    mark = _mark(client, station)
    report(f"UpdateFirmware {_request(client, station, 'UpdateFirmware', request)}")
    status = ""
    for _row, frame in _frames(client, station, "FirmwareStatusNotification", mark, kinds=("call",)):
        status = frame[3]["status"]
        report(status)
        if status in _UPDATE_ENDS:
            break
    if status != "Installed":
        raise ProcedureFailed(f"the update ended with {status}")


def _build(client: Client, station: str, folder: Path, checkout: Path, product: str, report: Report) -> str:
    from tools.image.build import build, next_version

    running = _record(client, station)["boot"].get("firmwareVersion")
    if running is None:
        raise ProcedureFailed(f"{station} has not reported its firmware version")
    version = next_version(running)
    name = f"firmware-{version}.img"
    try:
        build(checkout, folder / name, product_name=product, version=version, min_version="0.0.0")
    except OSError as error:
        raise ProcedureFailed(f"cannot build an image: {error.filename}: {error.strerror}") from error
    report(f"{folder / name} built, {running} is running")
    return name


# A05: a higher security profile


def raise_security(client: Client, station: str, profile: int, *, report: Report) -> None:
    """Certificates, network profile, priority, reset (A05). Raises `ProcedureFailed` and what the client raises."""
    about = client.get("/api")
    if about["ocpps"] is None:
        raise ProcedureFailed("the bench was started without a port for TLS")
    root = {"certificateType": "CSMSRootCertificate", "certificate": about["root"]}
    report(f"InstallCertificate, the bench's root: {_request(client, station, 'InstallCertificate', root)}")
    if profile == 3:
        if about["behaviour"]["sign_certificate"] != "Accepted":
            raise ProcedureFailed("the bench is set to reject signing requests")
        _renew_certificate(client, station, report)
    _choose_network_profile(client, station, about["ocpps"], profile, report)
    connections = _record(client, station)["connections"]
    report(f"Reset: {_request(client, station, 'Reset', {'type': 'OnIdle'})}")
    _until(lambda: _record(client, station)["connections"] > connections, "the station did not reconnect")
    reached = _record(client, station)["security_profile"]
    if reached != profile:
        raise ProcedureFailed(f"the station reconnected with security profile {reached}")


def _renew_certificate(client: Client, station: str, report: Report) -> None:
    """A02; the bench answers the SignCertificate request by itself."""
    mark = _mark(client, station)
    trigger = {"requestedMessage": "SignChargingStationCertificate"}
    report(f"TriggerMessage SignChargingStationCertificate: {_request(client, station, 'TriggerMessage', trigger)}")
    row, frame = next(_frames(client, station, "CertificateSigned", mark, kinds=("result", "error")))
    if row["kind"] == "error" or frame[2]["status"] != "Accepted":
        raise ProcedureFailed(f"the station rejects the certificate: {row['text']}")
    report("SignCertificate, CertificateSigned: Accepted")


def _choose_network_profile(client: Client, station: str, url: str, profile: int, report: Report) -> None:
    """The new slot first, then the old one (A05, steps 1 and 2)."""
    place = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}
    got = _answer(client, station, "GetVariables", {"getVariableData": [place]})["getVariableResult"][0]
    old = got.get("attributeValue", "1").split(",")[0]
    slot = 1 if old != "1" else 2
    data = {"ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": url, "messageTimeout": 30}
    data |= {"securityProfile": profile, "ocppInterface": "Wired0"}
    request = {"configurationSlot": slot, "connectionData": data}
    report(f"SetNetworkProfile, slot {slot}: {_request(client, station, 'SetNetworkProfile', request)}")
    change = {"setVariableData": [{**place, "attributeValue": f"{slot},{old}"}]}
    status = _answer(client, station, "SetVariables", change)["setVariableResult"][0]["attributeStatus"]
    if status not in ("Accepted", "RebootRequired"):
        raise ProcedureFailed(f"the station answers NetworkConfigurationPriority with {status}")
    report(f"SetVariables NetworkConfigurationPriority = {slot},{old}: {status}")


# Helpers of both


def _answer(client: Client, station: str, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    answer = client.call(station, action, payload)
    if "call_error" in answer:
        raise ProcedureFailed(f"the station answers {action} with {answer['call_error']['code']}")
    result: dict[str, Any] = answer["result"]
    return result


def _request(client: Client, station: str, action: str, payload: dict[str, Any]) -> str:
    """The status of the answer; raises `ProcedureFailed` unless it is Accepted or Scheduled."""
    answer = _answer(client, station, action, payload)
    status: str = answer["status"]
    if status not in ("Accepted", "Scheduled"):
        reason = answer.get("statusInfo", {}).get("reasonCode", "")
        raise ProcedureFailed(f"the station answers {action} with {status} {reason}".rstrip())
    return status


def _record(client: Client, station: str) -> dict[str, Any]:
    record: dict[str, Any] = client.get(f"/api/stations/{quote(station, safe='')}")
    return record


def _request_id() -> int:
    return int(time.time()) % 1_000_000


def _mark(client: Client, station: str) -> int:
    """The number of the station's last message."""
    rows = client.get("/api/messages", station=station, limit=1)
    return rows[-1]["id"] if rows else 0


def _frames(
    client: Client, station: str, action: str, mark: int, *, kinds: tuple[str, ...]
) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """The station's frames about an action after message `mark`; `ProcedureFailed` if none comes for too long."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        for row in client.get("/api/messages", station=station, after=mark):
            mark = row["id"]
            if (row["action"], row["direction"]) == (action, "in") and row["kind"] in kinds:
                deadline = time.monotonic() + _PATIENCE_S
                yield row, msgspec.json.decode(row["text"])
        time.sleep(_POLL_S)
    raise ProcedureFailed(f"no {action} within {_PATIENCE_S:g} s")


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise ProcedureFailed(otherwise)
        time.sleep(_POLL_S)
