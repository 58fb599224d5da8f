# SPDX-License-Identifier: Apache-2.0
"""Block B, provisioning: GetVariables (B06) and SetVariables (B05)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from firmware.clock import format_utc
from tools.conformance.bench import inventory
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.preconditions import variable_ref
from tools.conformance.run.registry import case

_OFFLINE_THRESHOLD = "OCPPCommCtrlr.OfflineThreshold"
_AUTHORIZE_OFFLINE = "AuthCtrlr.LocalAuthorizeOffline"


def _asked(name: str, attribute: str | None = None, value: str | None = None) -> dict[str, Any]:
    """One entry of a GetVariables or (with `value`) SetVariables request."""
    entry = variable_ref(name).payload()
    if attribute is not None:
        entry["attributeType"] = attribute
    return entry if value is None else {**entry, "attributeValue": value}


def _named(prefix: str, name: str) -> dict[str, Any]:
    """The checks that the answer is about this variable."""
    ref = variable_ref(name)
    named = {f"{prefix}.component.name": ref.component, f"{prefix}.variable.name": ref.variable}
    return named | ({f"{prefix}.variable.instance": ref.instance} if ref.instance else {})


async def _results(t: Bench, action: str, *entries: dict[str, Any], req: str) -> list[Mapping[str, Any]]:
    """The results of one request, in the order of the entries; one for each of them (B06.FR.01, B05.FR.01)."""
    data, key = ("getVariableData", "getVariableResult") if action == "GetVariables" else _SET_KEYS
    answer = await t.call(action, {data: list(entries)}, req=req)
    results = list(answer.get(key, []))
    ours = [(entry["component"], entry["variable"]) for entry in entries]
    theirs = [(result["component"], result["variable"]) for result in results]
    t.check(sorted(map(str, ours)) == sorted(map(str, theirs)), req, f"results are of {theirs}, expected {ours}")
    return [results[theirs.index(pair)] for pair in ours if pair in theirs]


_SET_KEYS = ("setVariableData", "setVariableResult")


def _check(t: Bench, result: Mapping[str, Any], expected: Mapping[str, Any], req: str) -> None:
    for key, wanted in expected.items():
        found = result.get(key)
        t.check(found == wanted, req, f"{key} is {found!r}, expected {wanted!r} ({result['variable']['name']})")
    reason = result.get("attributeStatusInfo", {}).get("reasonCode", "NoError")
    if expected.get("attributeStatus") == "Accepted":
        t.check(reason == "NoError", req, f"attributeStatusInfo.reasonCode is {reason!r} although it was accepted")


@case("TC_B_06_CS")
async def tc_b_06_cs(t: Bench) -> None:
    """Red when: the value is not the one that was set, or the result leaves out attributeType."""
    await t.configure({_OFFLINE_THRESHOLD: "300"})
    t.step(1)
    asked = _asked(_OFFLINE_THRESHOLD, "Actual")
    t.step(2)
    for result in await _results(t, "GetVariables", asked, req="B06.FR.01"):
        expected = {"attributeStatus": "Accepted", "attributeType": "Actual", "attributeValue": "300"}
        _check(t, result, expected, "B06.FR.10")


@case("TC_B_07_CS")
async def tc_b_07_cs(t: Bench) -> None:
    """Red when: only the first of two variables is answered."""
    await t.configure({_OFFLINE_THRESHOLD: "300", _AUTHORIZE_OFFLINE: "true"})
    t.step(2)
    entries = [_asked(_OFFLINE_THRESHOLD, "Actual"), _asked(_AUTHORIZE_OFFLINE, "Actual")]
    results = await _results(t, "GetVariables", *entries, req="B06.FR.01")
    for result, value in zip(results, ("300", "true"), strict=True):
        expected = {"attributeStatus": "Accepted", "attributeType": "Actual", "attributeValue": value}
        _check(t, result, expected, "B06.FR.10")


async def _get_refused(t: Bench, name: str, status: str, req: str, attribute: str | None = None) -> None:
    """A GetVariables that must be answered with `status` and without a value."""
    t.step(2)
    check = {"getVariableResult.0.attributeStatus": status, **_named("getVariableResult.0", name)}
    if attribute is not None:
        check["getVariableResult.0.attributeType"] = attribute
    answer = await t.call("GetVariables", {"getVariableData": [_asked(name, attribute)]}, check, req=req)
    value = answer.get("getVariableResult.0.attributeValue")
    t.check(value is None, req, f"attributeValue is {value!r} although the status is {status}")


@case("TC_B_32_CS")
async def tc_b_32_cs(t: Bench) -> None:
    """Red when: an unknown component is answered with UnknownVariable."""
    await _get_refused(t, "UnknownComponent.OfflineThreshold", "UnknownComponent", "B06.FR.06")


@case("TC_B_33_CS")
async def tc_b_33_cs(t: Bench) -> None:
    """Red when: an unknown variable is answered with UnknownComponent or Rejected."""
    await _get_refused(t, "OCPPCommCtrlr.UnknownVariable", "UnknownVariable", "B06.FR.07")


@case("TC_B_34_CS")
async def tc_b_34_cs(t: Bench) -> None:
    """Red when: for attribute Target of a variable that has only Actual the actual value is returned."""
    await _get_refused(t, _OFFLINE_THRESHOLD, "NotSupportedAttributeType", "B06.FR.08", "Target")


@case("TC_B_09_CS")
async def tc_b_09_cs(t: Bench) -> None:
    """Red when: the result leaves out attributeType, or is not Accepted."""
    t.step(2)
    for result in await _results(t, "SetVariables", _asked(_OFFLINE_THRESHOLD, "Actual", "300"), req="B05.FR.01"):
        _check(t, result, {"attributeStatus": "Accepted", "attributeType": "Actual"}, "B05.FR.10")


@case("TC_B_10_CS")
async def tc_b_10_cs(t: Bench) -> None:
    """Red when: only the first of two variables is set."""
    t.step(2)
    entries = [_asked(_OFFLINE_THRESHOLD, "Actual", "300"), _asked(_AUTHORIZE_OFFLINE, "Actual", "true")]
    for result in await _results(t, "SetVariables", *entries, req="B05.FR.01"):
        _check(t, result, {"attributeStatus": "Accepted", "attributeType": "Actual"}, "B05.FR.10")


async def _set_refused(
    t: Bench, name: str, status: str, req: str, *, attribute: str | None = None, value: str = "300"
) -> None:
    """A SetVariables that must be answered with `status`."""
    t.step(2)
    check = {"setVariableResult.0.attributeStatus": status, **_named("setVariableResult.0", name)}
    if attribute is not None:
        check["setVariableResult.0.attributeType"] = attribute
    await t.call("SetVariables", {"setVariableData": [_asked(name, attribute, value)]}, check, req=req)


@case("TC_B_35_CS")
async def tc_b_35_cs(t: Bench) -> None:
    """Red when: an unknown component is answered with UnknownVariable."""
    await _set_refused(t, "UnknownComponent.OfflineThreshold", "UnknownComponent", "B05.FR.04")


@case("TC_B_36_CS")
async def tc_b_36_cs(t: Bench) -> None:
    """Red when: an unknown variable is answered with Rejected."""
    await _set_refused(t, "OCPPCommCtrlr.UnknownVariable", "UnknownVariable", "B05.FR.05")


@case("TC_B_37_CS")
async def tc_b_37_cs(t: Bench) -> None:
    """Red when: setting attribute Target of a variable that has none is Accepted or Rejected."""
    await _set_refused(t, _OFFLINE_THRESHOLD, "NotSupportedAttributeType", "B05.FR.06", attribute="Target")


@case("TC_B_39_CS")
async def tc_b_39_cs(t: Bench) -> None:
    """Red when: the read-only MessageTimeout[Default] can be set."""
    await _set_refused(t, "OCPPCommCtrlr.MessageTimeout[Default]", "Rejected", "B05.FR.09", value="30")


_FORMS = ("integer", "decimal", "boolean", "dateTime", "string")
"""The five values of the case, by the narrowest data type that accepts them."""


@case("TC_B_11_CS")
async def tc_b_11_cs(t: Bench) -> None:
    """Red when: `abc`, `true` or `60.1` is accepted for the integer OfflineThreshold."""
    values = dict(zip(_FORMS, ("60", "60.1", "true", format_utc(time.time()), "abc"), strict=True))
    steps = {
        _OFFLINE_THRESHOLD: (2, ("integer",)),
        "SmartChargingCtrlr.LimitChangeSignificance": (4, ("integer", "decimal")),
        "AuthCtrlr.AuthorizeRemoteStart": (6, ("boolean",)),
        "ClockCtrlr.NextTimeOffsetTransitionDateTime": (8, ("dateTime",)),
    }
    writable = {
        f"{v.component}.{v.variable}"
        for v in await inventory.collect(t, "ConfigurationInventory", steps=(0, 0))
        if v.mutability != "ReadOnly"
    }
    t.check(_OFFLINE_THRESHOLD in writable, "B05.FR.10", "OfflineThreshold is not writable")
    for form, value in values.items():
        for name, (step, fitting) in steps.items():
            if name in writable:
                t.step(step)
                await _set_formatted(t, name, value, accepted=form in fitting)


async def _set_formatted(t: Bench, name: str, value: str, *, accepted: bool) -> None:
    check = {"attributeStatus": "Accepted" if accepted else "Rejected", "attributeType": "Actual"}
    for result in await _results(t, "SetVariables", _asked(name, value=value), req="B05.FR.01"):
        _check(t, result, check, f"B05.FR.{'10' if accepted else '07'}")
