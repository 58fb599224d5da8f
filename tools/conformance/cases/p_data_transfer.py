# SPDX-License-Identifier: Apache-2.0
"""Block P, data transfer: DataTransfer (P01) and customData."""

from __future__ import annotations

from tools.conformance.bench.bench import Bench
from tools.conformance.checks.values import absent_or
from tools.conformance.run.registry import case

_CUSTOM = {"vendorId": "org.openchargealliance.test", "note": "any text", "list": [1, {"deep": True}]}


@case("TC_P_01_CS")
async def tc_p_01_cs(t: Bench) -> None:
    """Red when: a DataTransfer for an unknown vendor is answered with Accepted, or with a CALLERROR."""
    t.step(1)
    payload = {"vendorId": "org.openchargealliance.octt", "messageId": "test-message"}
    check = {"status": ("UnknownVendorId", "UnknownMessageId", "Rejected")}
    await t.call("DataTransfer", payload, check, req="P01.FR.05")


@case("TC_P_03_CS")
async def tc_p_03_cs(t: Bench) -> None:
    """Red when: customData in a request makes it a format violation, or prevents the value from being set."""
    place = {
        "component": {"name": "OCPPCommCtrlr", "customData": _CUSTOM},
        "variable": {"name": "OfflineThreshold", "customData": _CUSTOM},
        "attributeType": "Actual",
    }
    t.step(1)
    await t.call(
        "SetVariables",
        {"setVariableData": [{**place, "attributeValue": "200", "customData": _CUSTOM}], "customData": _CUSTOM},
        {"setVariableResult.0.attributeStatus": "Accepted"},
        req="TC_P_03_CS",
    )
    t.step(3)
    await t.call(
        "GetVariables",
        {"getVariableData": [{**place, "customData": _CUSTOM}], "customData": _CUSTOM},
        {
            "getVariableResult.0.attributeStatus": "Accepted",
            "getVariableResult.0.attributeType": absent_or("Actual"),
            "getVariableResult.0.attributeValue": "200",
        },
        req="TC_P_03_CS",
    )
