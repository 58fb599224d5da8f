# SPDX-License-Identifier: Apache-2.0
"""What a CSMS sets and orders: refused where the station can't do it, and otherwise kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from firmware.clock import SystemClock, format_utc
from tests.support.csms import Fault, ScriptedCsms
from tests.support.scenario import Site, site
from tests.support.station_bench import set_variables

NEW_PASSWORD = "a-new-long-password"


def profile(here: Site, **more: Any) -> dict[str, Any]:
    return {
        "messageTimeout": 30,
        "ocppCsmsUrl": here.csms.url,
        "ocppInterface": "Wired0",
        "ocppTransport": "JSON",
        "ocppVersion": "OCPP20",
        "securityProfile": 1,
        **more,
    }


async def set_profile(here: Site, **more: Any) -> dict[str, Any]:
    request = {"configurationSlot": 2, "connectionData": profile(here, **more)}
    return await here.csms.call("SetNetworkProfile", request)


async def set_variable(here: Site, component: str, variable: str, value: str) -> str:
    answer = await here.csms.call("SetVariables", set_variables(component, variable, value))
    return str(answer["setVariableResult"][0]["attributeStatus"])


async def writable(here: Site) -> list[dict[str, Any]]:
    """ReportData of all variables that the CSMS may read and write."""
    since = len(here.csms.received)
    await here.csms.call("GetBaseReport", {"requestId": 1, "reportBase": "ConfigurationInventory"})
    await here.csms.until(lambda: _is_whole(here.sent("NotifyReport", since=since)), "the report", timeout=20)
    data = [row for part in here.sent("NotifyReport", since=since) for row in part["reportData"]]
    return [row for row in data if row["variableAttribute"][0]["mutability"] == "ReadWrite"]


def _is_whole(parts: list[dict[str, Any]]) -> bool:
    return any(not part["tbc"] for part in parts)


# --- the hardware -------------------------------------------------------------------------------------------------


async def test_a_profile_that_the_hardware_can_not_have(here: Site) -> None:
    """Slot 2 with an interface that the board lacks, and a reset: the station comes back."""
    answer = await set_profile(here, ocppInterface="Wired3")
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidNetworkConf")  # B09.FR.02
    assert await set_variable(here, "OCPPCommCtrlr", "NetworkConfigurationPriority", "2") == "Rejected"  # B10.FR.02
    assert (await set_profile(here, ocppInterface="Wireless0"))["status"] == "Accepted"
    assert await set_variable(here, "OCPPCommCtrlr", "NetworkConfigurationPriority", "2") == "Accepted"
    count = here.csms.connections
    assert (await here.csms.call("Reset", {"type": "Immediate"}))["status"] == "Accepted"
    await here.csms.until_connected(count + 1, timeout=20)
    await here.settled()
    assert (await here.rig.state())["ocpp"]["slot"] == 2


async def test_a_remote_start_with_a_token_that_the_product_does_not_take(here: Site) -> None:
    request = {"idToken": {"idToken": "APP", "type": "Central"}, "remoteStartId": 1, "evseId": 1}
    answer = await here.csms.call("RequestStartTransaction", request)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidIdToken")  # C-38
    request["idToken"] = {"idToken": "04A1B2C3D4E5F6", "type": "ISO14443"}
    assert (await here.csms.call("RequestStartTransaction", request))["status"] == "Accepted"  # C-36


# --- orders with an end -------------------------------------------------------------------------------------------


async def test_an_upload_that_would_not_end(here: Site) -> None:
    log = {"remoteLocation": "https://files.invalid/"}
    request = {"logType": "DiagnosticsLog", "requestId": 1, "retries": 1000, "retryInterval": 86_400, "log": log}
    answer = await here.csms.call("GetLog", request)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidValue")


# --- reading and writing ------------------------------------------------------------------------------------------


async def test_what_was_read_can_be_written(csms: ScriptedCsms, tmp_path: Path) -> None:
    """The boot answer's interval of 300 s is beyond the limits for SetVariables (B01.FR.04)."""
    async with site(tmp_path, csms=csms) as here:
        rows = await writable(here)
        assert len(rows) > 30
        for row in rows:
            value = row["variableAttribute"][0]["value"]
            assert _fits(value, row["variableCharacteristics"]), row
            place = {"component": row["component"], "variable": row["variable"]}
            request = {"setVariableData": [{**place, "attributeValue": value}]}
            (result,) = (await csms.call("SetVariables", request))["setVariableResult"]
            assert result["attributeStatus"] == "Accepted", (row, result)
        interval = next(row for row in rows if row["variable"]["name"] == "HeartbeatInterval")
        assert interval["variableAttribute"][0]["value"] == "300"


def _fits(value: str, kind: dict[str, Any]) -> bool:
    if kind["dataType"] != "integer":
        return bool(len(value) <= kind.get("maxLimit", len(value)))
    return bool(kind.get("minLimit", int(value)) <= int(value) <= kind.get("maxLimit", int(value)))


# --- while Pending ------------------------------------------------------------------------------------------------


async def test_a_report_does_not_delay_the_next_boot(csms: ScriptedCsms, tmp_path: Path) -> None:
    """B02.FR.08: each part of the report takes as long as the network, and the boot is due before the last one."""
    status = "Pending"

    def answer(_request: dict[str, Any]) -> dict[str, Any]:
        return {"currentTime": format_utc(SystemClock().utc()), "interval": 1, "status": status}

    csms.answers["BootNotification"] = answer
    async with site(tmp_path, csms=csms, accepted=False) as here:
        await csms.until(lambda: bool(here.sent("BootNotification")), "BootNotification", timeout=20)
        await here.rig.op("network", latency_ms=600)
        since = len(csms.received)
        await csms.call("GetBaseReport", {"requestId": 5, "reportBase": "FullInventory"})
        await csms.until(lambda: _is_whole(here.sent("NotifyReport", since=since)), "the report", timeout=60)
        actions = [call.action for call in csms.received[since:]]
        behind = actions[actions.index("BootNotification") :]
        assert "NotifyReport" in behind, actions
        status = "Accepted"
        await here.rig.op("network", latency_ms=0)
        await here.settled()


# --- an unanswered status -----------------------------------------------------------------------------------------


async def test_an_unanswered_status_is_repeated(csms: ScriptedCsms, tmp_path: Path) -> None:
    """The link is up all the time; the CSMS loses a StatusNotification."""
    async with site(tmp_path, csms=csms, timeout_s=1) as here:
        since, connections = len(csms.received), csms.connections
        csms.fail(Fault.STALL, times=1)
        await here.plug_in(1)
        await csms.until(lambda: here.statuses(1, since=since) == ["Occupied"] * 2, "the repetition", timeout=20)
        assert csms.connections == connections


# --- a full disk --------------------------------------------------------------------------------------------------


async def test_orders_on_a_full_disk(here: Site) -> None:
    """Refused, and after a power cut all is as it was: the password of the CSMS, too."""
    await here.rig.op("storage", full=True)
    assert await set_variable(here, "OCPPCommCtrlr", "OfflineThreshold", "77") == "Rejected"
    assert await set_variable(here, "SecurityCtrlr", "BasicAuthPassword", NEW_PASSWORD) == "Rejected"
    assert (await set_profile(here))["status"] == "Failed"  # B09.FR.03
    change = await here.csms.call("ChangeAvailability", {"operationalStatus": "Inoperative"})
    assert (change["status"], change["statusInfo"]["reasonCode"]) == ("Rejected", "OutOfStorage")
    assert (await here.rig.evse(1))["status"] == "Available"
    count = here.csms.connections
    await here.rig.op("power_off")
    await here.rig.op("storage", full=False)
    await here.rig.op("power_on")
    await here.csms.until_connected(count + 1, timeout=20)
    await here.settled()
    assert here.csms.handshakes[-1].headers["authorization"] == here.csms.handshakes[0].headers["authorization"]
    for evse in (1, 2):
        await here.until_status(evse, "Available")
    (threshold,) = [row for row in await writable(here) if row["variable"]["name"] == "OfflineThreshold"]
    assert threshold["variableAttribute"][0]["value"] == "60"
    assert await set_variable(here, "OCPPCommCtrlr", "OfflineThreshold", "77") == "Accepted"


async def test_a_kept_order_outlives_a_power_cut(here: Site) -> None:
    assert await set_variable(here, "OCPPCommCtrlr", "OfflineThreshold", "77") == "Accepted"
    count = here.csms.connections
    await here.rig.op("power_cycle")
    await here.csms.until_connected(count + 1, timeout=20)
    await here.settled()
    (threshold,) = [row for row in await writable(here) if row["variable"]["name"] == "OfflineThreshold"]
    assert threshold["variableAttribute"][0]["value"] == "77"
