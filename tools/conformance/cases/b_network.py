# SPDX-License-Identifier: Apache-2.0
"""Block B, provisioning: network connection profiles and migrating to another one (B09, B10)."""

from __future__ import annotations

from typing import Any

from tools.conformance.bench import certificates, reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.checks.values import any_of
from tools.conformance.peer.endpoint import Endpoint, OnConnect
from tools.conformance.run.registry import case
from tools.pki import server_context

_PRIORITY = "OCPPCommCtrlr.NetworkConfigurationPriority"


def _connection_data(t: Bench, url: str) -> dict[str, Any]:
    return {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": url,
        "messageTimeout": t.preconditions.message_timeout_s,
        "securityProfile": t.preconditions.security_profile,
        "ocppInterface": "Wired0",
    }


async def _set_profile(t: Bench, slot: int, url: str, status: str, req: str) -> None:
    payload = {"configurationSlot": slot, "connectionData": _connection_data(t, url)}
    await t.call("SetNetworkProfile", payload, {"status": status}, req=req)


async def _migrate(t: Bench, endpoint: Endpoint) -> None:
    """Steps 1 to 6: the free slot gets the endpoint, comes first in the priority, and the station is reset."""
    active = await t.get_variable("OCPPCommCtrlr.ActiveNetworkProfile") or "1"
    free = "2" if active != "2" else "1"
    t.step(2)
    await _set_profile(t, int(free), endpoint.url, "Accepted", "B09.FR.01")
    t.step(4)
    data = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}
    payload = {"setVariableData": [{**data, "attributeValue": f"{free},{active}"}]}
    check = {"setVariableResult.0.attributeStatus": any_of("Accepted", "RebootRequired")}
    await t.call("SetVariables", payload, check, req="B10.FR.01")
    t.step(6)
    await t.call("Reset", {"type": "OnIdle"}, {"status": "Accepted"}, req="B11.FR.03")


async def _boots_at(t: Bench, endpoint: Endpoint) -> None:
    boot = await t.expect("BootNotification", req="B01.FR.01", within=60)
    t.check(boot.endpoint == endpoint.name, "B10.FR.04", f"the station booted at {boot.endpoint}", boot)
    await reusable_states.statuses_after_boot(t)


@case("TC_B_43_CS")
async def tc_b_43_cs(t: Bench) -> None:
    """Red when: a profile is accepted for slot 999, which no station has."""
    t.step(2)
    await _set_profile(t, 999, t.main.url, "Rejected", "B09.FR.02")


@case("TC_B_45_CS", limit_s=120)
async def tc_b_45_cs(t: Bench) -> None:
    """Red when: the station reconnects to the old slot although another one is first in the priority."""
    second = await t.csms.open_endpoint("second", password=t.fixtures.password)
    await _migrate(t, second)
    tries = len(t.csms.attempts)
    t.step(7)
    await _boots_at(t, second)
    first = t.csms.attempts[tries]
    t.check(first.endpoint == second.name, "B10.FR.04", f"the first attempt was at {first.endpoint}")


@case("TC_B_46_CS", limit_s=180)
async def tc_b_46_cs(t: Bench) -> None:
    """Red when: the station tries the dead slot once or three times instead of NetworkProfileConnectionAttempts."""
    second = await t.csms.open_endpoint("second", password=t.fixtures.password)
    t.on_connect(OnConnect.DROP, second)
    await t.configure({"OCPPCommCtrlr.NetworkProfileConnectionAttempts": "2"})
    tries = len(t.csms.attempts)
    await _migrate(t, second)
    t.step(9)
    await _boots_at(t, t.main)
    places = [attempt.endpoint for attempt in t.csms.attempts[tries:]]
    t.check(places == ["second", "second", "main"], "B10.FR.03", f"the attempts were at {places}")


@case("TC_B_50_CS", preconditions=Preconditions(security_profile=2), limit_s=120)
async def tc_b_50_cs(t: Bench) -> None:
    """Red when: the station does not trust a CSMS root that was installed while it was running."""
    root = certificates.new_csms_root(t, "CSMS root 2")
    context = server_context(root.server(), t.folder)
    second = await t.csms.open_endpoint("second", password=t.fixtures.password, tls=context)
    await reusable_states.certificate_installed(t, "CSMSRootCertificate", root.pem)
    await _migrate(t, second)
    t.step(7)
    await t.connected(second, within=60, req="M05.FR.13")
    t.step(9)
    await _boots_at(t, second)
