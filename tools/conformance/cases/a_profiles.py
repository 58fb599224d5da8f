# SPDX-License-Identifier: Apache-2.0
"""Block A: upgrading to a more secure profile, and not back (A05)."""

from __future__ import annotations

from typing import Any

from tools.conformance.bench import certificates, reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.checks.values import any_of
from tools.conformance.peer.endpoint import Endpoint, OnConnect
from tools.conformance.run.registry import case
from tools.pki import Authority, server_context

_PRIORITY = "OCPPCommCtrlr.NetworkConfigurationPriority"
_NO_DOWNGRADE_S = 8.0
"""The time for which only a less secure endpoint is there."""


async def _offer(t: Bench, url: str, profile: int, status: str | tuple[str, ...]) -> tuple[str, str]:
    """Step 1: a profile for a slot that is not in use; returns that slot and the one in use."""
    active = await t.get_variable("OCPPCommCtrlr.ActiveNetworkProfile") or "1"
    free = "2" if active != "2" else "1"
    data: dict[str, Any] = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": url,
        "messageTimeout": t.preconditions.message_timeout_s,
        "securityProfile": profile,
        "ocppInterface": "Wired0",
    }
    t.step(2)
    payload = {"configurationSlot": int(free), "connectionData": data}
    await t.call("SetNetworkProfile", payload, {"status": status}, req="B09.FR.01")
    return free, active


async def _prioritise(t: Bench, slots: tuple[str, ...], *statuses: str, req: str) -> None:
    """Step 3."""
    t.step(4)
    data = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}
    payload = {"setVariableData": [{**data, "attributeValue": ",".join(slots)}]}
    await t.call("SetVariables", payload, {"setVariableResult.0.attributeStatus": any_of(*statuses)}, req=req)


async def _upgrade(t: Bench, endpoint: Endpoint, profile: int) -> None:
    """Steps 1 to 14: the station boots at `endpoint`, reports its profile, and has removed the less secure slot."""
    free, active = await _offer(t, endpoint.url, profile, "Accepted")
    await _prioritise(t, (free, active), "Accepted", "RebootRequired", req="A05.FR.04")
    t.step(6)
    tries = len(t.csms.attempts)
    await t.call("Reset", {"type": "OnIdle"}, {"status": "Accepted"}, req="B11.FR.03")
    t.step(8)
    first = await t.attempt(tries, within=60, req="A05.FR.05")
    t.check(first.endpoint == endpoint.name, "A05.FR.05", f"the first attempt was at {first.endpoint}")
    await t.connected(endpoint, within=60, req="A05.FR.05")
    t.step(10)
    await t.expect("BootNotification", within=30, req="B01.FR.01")
    await reusable_states.statuses_after_boot(t)
    t.step(12)
    now = await t.get_variable("SecurityCtrlr.SecurityProfile")
    t.check(now == str(profile), "A05.FR.06", f"SecurityProfile is {now}")
    t.step(14)
    priority = await t.get_variable(_PRIORITY)
    t.check(priority == free, "A05.FR.06", f"NetworkConfigurationPriority is {priority}")


@case("TC_A_19_CS", limit_s=180)
async def tc_a_19_cs(t: Bench) -> None:
    """Red when: the less secure slot stays in the priority after the upgrade (from 1 to 2, then from 2 to 3)."""
    root = t.csms_root = Authority("CSMS root 1")
    await reusable_states.certificate_installed(t, "CSMSRootCertificate", root.pem)
    tls = server_context(root.server(), t.folder)
    second = await t.csms.open_endpoint("second", password=t.fixtures.password, tls=tls)
    await _upgrade(t, second, 2)
    t.step(16)
    tries = len(t.csms.attempts)
    t.on_connect(OnConnect.DROP, second)
    await t.hang_up()
    await t.quiet(_NO_DOWNGRADE_S, within=_NO_DOWNGRADE_S)
    back = [attempt for attempt in t.csms.attempts[tries:] if attempt.endpoint == t.main.name]
    t.check(not back, "A05.FR.06", "the station went back to security profile 1")
    t.step(18)
    t.on_connect(OnConnect.ACCEPT, second)
    await t.connected(second, within=60)
    await certificates.renewed(t, reconnects=False)
    client_tls = server_context(root.server(), t.folder, clients=root)
    third = await t.csms.open_endpoint("third", password=None, tls=client_tls)
    await _upgrade(t, third, 3)


@case("TC_A_20_CS")
async def tc_a_20_cs(t: Bench) -> None:
    """Red when: a station without a CSMS root accepts the priority of a TLS endpoint."""
    free, active = await _offer(t, "wss://localhost:9/ocpp", 2, ("Accepted", "Rejected"))
    await _prioritise(t, (free, active), "Rejected", req="A05.FR.02")


@case("TC_A_21_CS", preconditions=Preconditions(security_profile=2))
async def tc_a_21_cs(t: Bench) -> None:
    """Red when: a station without a certificate of its own accepts the priority of a profile 3."""
    free, active = await _offer(t, "wss://localhost:9/ocpp", 3, ("Accepted", "Rejected"))
    await _prioritise(t, (free, active), "Rejected", req="A05.FR.03")


@case("TC_A_22_CS", preconditions=Preconditions(security_profile=2))
async def tc_a_22_cs(t: Bench) -> None:
    """Red when: a profile without TLS is accepted into a slot."""
    await _offer(t, "ws://localhost:9/ocpp", 1, "Rejected")
