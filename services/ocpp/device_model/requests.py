# SPDX-License-Identifier: Apache-2.0
"""B05 SetVariables and B06 GetVariables: from OCPP's request dictionaries to its response dictionaries.

The requests have passed the JSON schema. One answer for each element, in the same order, with component and variable
as they were sent (B05.FR.01 to FR.03, B06.FR.01 to FR.03).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from services.ocpp.device_model import keys
from services.ocpp.device_model.change import Change
from services.ocpp.device_model.keys import Key
from services.ocpp.device_model.model import DeviceModel
from services.ocpp.device_model.values import Refusal, Value, parse
from services.ocpp.device_model.variable import ACTUAL, Address, Attribute, Variable

__all__ = ["address_of", "get_variables", "request_problem", "set_variables", "take_back"]

_log = logging.getLogger(__name__)

_LIMITS: dict[str, tuple[str, Key[int], Key[int]]] = {
    "GetReport": ("componentVariable", keys.ITEMS_GET_REPORT, keys.BYTES_GET_REPORT),
    "GetVariables": ("getVariableData", keys.ITEMS_GET_VARIABLES, keys.BYTES_GET_VARIABLES),
    "SetVariables": ("setVariableData", keys.ITEMS_SET_VARIABLES, keys.BYTES_SET_VARIABLES),
}


def request_problem(model: DeviceModel, action: str, payload: dict[str, Any]) -> tuple[str, str] | None:
    """The CALLERROR (code, description) of a request with too many elements (B08.FR.06) or too many bytes.

    B06.FR.16 and FR.17, B08.FR.17 and FR.18; for SetVariables only the CSMS is obliged to keep the limits (B05.FR.11),
    and the answer is the same. White space is not counted: otherwise the maximum number of elements with usual names
    would exceed the limit of bytes.
    """
    if action not in _LIMITS:
        return None
    member, items_limit, bytes_limit = _LIMITS[action]
    items, most_items = len(payload.get(member, ())), model.get(items_limit)
    if items > most_items:
        return "OccurrenceConstraintViolation", f"{member}: expected at most {most_items} elements, got {items}"
    size, most_bytes = len(msgspec.json.encode(payload)), model.get(bytes_limit)
    if size > most_bytes:
        return "FormatViolation", f"expected a message of at most {most_bytes} bytes, got {size}"
    return None


def address_of(component: dict[str, Any], variable: dict[str, Any]) -> Address:
    """The folded address of a ComponentType and VariableType; an empty instance is none (B06.FR.15)."""
    evse = component.get("evse")
    return Address(
        component["name"].lower(),
        component.get("instance", "").lower(),
        evse["id"] if evse else 0,
        evse.get("connectorId", 0) if evse else 0,
        variable["name"].lower(),
        variable.get("instance", "").lower(),
    )


def get_variables(model: DeviceModel, data: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """GetVariablesRequest.getVariableData to GetVariablesResponse.getVariableResult (B06)."""
    return [_get(model, item) for item in data]


def set_variables(
    model: DeviceModel, data: Sequence[dict[str, Any]], now: float
) -> tuple[list[dict[str, Any]], list[Change]]:
    """SetVariablesRequest.setVariableData to setVariableResult, and what was set (B05).

    Everything is written in the open unit of work.
    """
    changes: list[Change] = []
    return [_set(model, item, changes, now) for item in data], changes


def take_back(
    model: DeviceModel, results: Sequence[dict[str, Any]], changes: Sequence[Change], why: Refusal
) -> list[dict[str, Any]]:
    """Undo what `set_variables` has set. Returns its results, with `why` for each accepted element (B05.FR.09)."""
    for change in reversed(changes):
        variable = model.variables[change.address]
        attribute = variable.attributes[change.attribute]
        if change.is_new:
            variable.store(attribute, *change.former)
            model.persist(variable, attribute)
    accepted = ("Accepted", "RebootRequired")
    return [_result(each, "Rejected", why) if each["attributeStatus"] in accepted else each for each in results]


def _get(model: DeviceModel, item: dict[str, Any]) -> dict[str, Any]:
    found = _look_up(model, item)
    if isinstance(found, str):
        return _result(item, found)
    variable, attribute = found
    if not attribute.readable:  # B06.FR.09
        return _result(item, "Rejected", Refusal("WriteOnly", "can only be set, not read"))
    result = _result(item, "Accepted")
    result["attributeValue"] = variable.read(attribute)  # B06.FR.10; empty if there is none: B06.FR.13
    return result


def _set(model: DeviceModel, item: dict[str, Any], changes: list[Change], now: float) -> dict[str, Any]:
    found = _look_up(model, item)
    if isinstance(found, str):
        return _result(item, found)
    variable, attribute = found
    try:
        value = _accepted(model, variable, attribute, item["attributeValue"], now)
    except Refusal as refusal:
        _log.info("%s not set: %s", variable.address, refusal.text)
        return _result(item, "Rejected", refusal)
    changes.append(_apply(model, variable, attribute, item["attributeValue"], value))
    return _result(item, "RebootRequired" if variable.reboot else "Accepted")  # B05.FR.10


def _accepted(model: DeviceModel, variable: Variable, attribute: Attribute, text: str, now: float) -> Value:
    """The parsed value; raises `Refusal`. What the CSMS has just read is never refused."""
    if not attribute.writable:  # B05.FR.09
        raise Refusal("ReadOnly", "can only be read, not set")
    if attribute.readable and text == attribute.text:
        return attribute.value
    value = _checked(model, variable, attribute, text)
    _cross_check(model, variable, value, now)
    return value


def _checked(model: DeviceModel, variable: Variable, attribute: Attribute, text: str) -> Value:
    most = model.get(keys.CONFIGURATION_VALUE_SIZE)
    if len(text) > most:
        raise Refusal(
            "TooLargeElement", f"expected at most {most} characters (ConfigurationValueSize), got {len(text)}"
        )
    value = parse(text, variable.limits)  # B05.FR.07, B05.FR.08
    if attribute.type == "Target":
        _check_set_limits(variable, value)
    return value


def _check_set_limits(variable: Variable, value: Value) -> None:
    """A target stays within MinSet and MaxSet (part 1, 4.3)."""
    for name, outside in _OUTSIDE.items():
        attribute = variable.attributes.get(name)
        bound = attribute.value if attribute else None
        if isinstance(bound, (int, float)) and isinstance(value, (int, float)) and outside(value, bound):
            limit = "at least" if name == "MinSet" else "at most"
            raise Refusal("ValueOutOfRange", f"expected {limit} {bound:.16g} ({name}), got {value:.16g}")


_OUTSIDE: dict[str, Callable[[float, float], bool]] = {
    "MinSet": lambda value, bound: value < bound,
    "MaxSet": lambda value, bound: value > bound,
}


def _cross_check(model: DeviceModel, variable: Variable, value: Value, now: float) -> None:
    """Calls the validators of the variable; raises `Refusal`."""
    address = variable.address.folded()
    names = (address.component, address.component_instance, address.variable, address.instance)
    for validator in model.validators.get(names, ()):
        reason = validator(address, value, now)
        if isinstance(reason, Refusal):
            raise reason
        if reason is not None:
            raise Refusal("InvalidValue", reason)


def _apply(model: DeviceModel, variable: Variable, attribute: Attribute, text: str, value: Value) -> Change:
    former = attribute.text, attribute.value
    is_new = text != attribute.text
    if is_new:
        variable.store(attribute, text, value)
        model.persist(variable, attribute)
    _log.info("%s set", variable.address)
    return Change(variable.address.folded(), value, attribute.type, is_new, former)


def _look_up(model: DeviceModel, item: dict[str, Any]) -> tuple[Variable, Attribute] | str:
    """The requested attribute, or the attributeStatus that says what is unknown."""
    address = address_of(item["component"], item["variable"])
    variable = model.variables.get(address)
    if variable is None:
        # B05.FR.04, FR.05, B06.FR.06, FR.07, FR.14, FR.15
        return "UnknownVariable" if address[:4] in model.components else "UnknownComponent"
    attribute = variable.attributes.get(item.get("attributeType", ACTUAL))
    if attribute is None:  # B05.FR.06, B06.FR.08
        return "NotSupportedAttributeType"
    return variable, attribute


def _result(item: dict[str, Any], status: str, refusal: Refusal | None = None) -> dict[str, Any]:
    result = {
        "attributeStatus": status,
        "attributeType": item.get("attributeType", ACTUAL),  # B05.FR.12, B06.FR.11
        "component": item["component"],
        "variable": item["variable"],
    }
    if refusal is not None:
        result["attributeStatusInfo"] = {"reasonCode": refusal.reason[:20], "additionalInfo": refusal.text[:512]}
    return result
