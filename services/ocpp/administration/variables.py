# SPDX-License-Identifier: Apache-2.0
"""Variables as the administration socket shows them, and new values as a SetVariablesRequest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from firmware.contract.administration import NewValue, SetResult, VariableInfo, Variables, VariablesChanged

if TYPE_CHECKING:
    from typing import Literal

    from services.ocpp.device_model import Address, DeviceModel
    from services.ocpp.device_model.variable import Attribute, Variable

__all__ = ["changes", "page", "set_results", "set_variables_request"]

_PAGE_BYTES = 48 * 1024
"""Of a line of 64 KiB: a variable more never exceeds it."""


def page(model: DeviceModel, start: int) -> Variables:
    """The attributes from number `start` on, as many as a line can hold."""
    shown: list[VariableInfo] = []
    size = 0
    for number, (variable, attribute) in enumerate(_attributes(model.variables.values())):
        if number < start:
            continue
        if size > _PAGE_BYTES:
            return Variables(shown, number)
        shown.append(_info(variable, attribute))
        size += len(msgspec.json.encode(shown[-1]))
    return Variables(shown)


def changes(model: DeviceModel, addresses: Iterable[Address]) -> Iterator[VariablesChanged]:
    """What has become of these variables, in messages that fit into a line."""
    shown: list[VariableInfo] = []
    size = 0
    for variable, attribute in _attributes(model.variables[address] for address in sorted(addresses)):
        shown.append(_info(variable, attribute))
        size += len(msgspec.json.encode(shown[-1]))
        if size > _PAGE_BYTES:
            yield VariablesChanged(shown)
            shown, size = [], 0
    if shown:
        yield VariablesChanged(shown)


def _attributes(variables: Iterable[Variable]) -> Iterator[tuple[Variable, Attribute]]:
    return ((variable, attribute) for variable in variables for attribute in variable.attributes.values())


def _info(variable: Variable, attribute: Attribute) -> VariableInfo:
    address, limits = variable.address, variable.limits
    return VariableInfo(
        component=address.component,
        component_instance=address.component_instance,
        evse=address.evse,
        connector=address.connector,
        variable=address.variable,
        instance=address.instance,
        attribute=attribute.type,
        value=variable.read(attribute) if attribute.readable and not variable.secret else None,
        mutability=cast("Literal['ReadOnly', 'WriteOnly', 'ReadWrite']", attribute.mutability),
        data_type=limits.data_type.value,
        unit=limits.unit or "",
        minimum=limits.minimum,
        maximum=limits.maximum,
        values=list(limits.choices),
        expected=limits.expected,
        reboot=variable.reboot,
    )


def set_variables_request(values: Sequence[NewValue]) -> dict[str, Any]:
    """The SetVariablesRequest that sets these values."""
    return {"setVariableData": [_set_variable_data(value) for value in values]}


def _set_variable_data(value: NewValue) -> dict[str, Any]:
    component: dict[str, Any] = {"name": value.component}
    if value.component_instance:
        component["instance"] = value.component_instance
    if value.evse:
        component["evse"] = {"id": value.evse} | ({"connectorId": value.connector} if value.connector else {})
    variable = {"name": value.variable} | ({"instance": value.instance} if value.instance else {})
    return {
        "component": component,
        "variable": variable,
        "attributeType": value.attribute,
        "attributeValue": value.value,
    }


def set_results(values: Sequence[NewValue], response: dict[str, Any]) -> list[SetResult]:
    """What the SetVariablesResponse says of each value."""
    return [_result(value, result) for value, result in zip(values, response["setVariableResult"], strict=True)]


def _result(value: NewValue, result: dict[str, Any]) -> SetResult:
    info = result.get("attributeStatusInfo", {})
    return SetResult(
        component=value.component,
        component_instance=value.component_instance,
        evse=value.evse,
        connector=value.connector,
        variable=value.variable,
        instance=value.instance,
        attribute=value.attribute,
        status=result["attributeStatus"],
        reason=info.get("reasonCode", ""),
        detail=info.get("additionalInfo", ""),
    )
