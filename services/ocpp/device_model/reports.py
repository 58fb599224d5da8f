# SPDX-License-Identifier: Apache-2.0
"""B07 base reports and B08 custom reports, as lists of ReportDataType, and their division into messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.ocpp.device_model.model import DeviceModel
from services.ocpp.device_model.variable import ACTUAL, Address, ReportData, Variable

__all__ = ["base_report", "custom_report", "paged"]

_AVAILABILITY = "availabilitystate"
_ABNORMAL = ("problem", "tripped", "overload", "fallback")


def base_report(model: DeviceModel, kind: str) -> list[ReportData]:
    """ReportData of `FullInventory`, `ConfigurationInventory` (both B07.FR.12) or `SummaryInventory`; `ValueError` for
    another.

    Do not modify the result: the elements are shared with later reports.
    """
    variables = model.variables.values()
    if kind == "FullInventory":  # B07.FR.08, B07.FR.11
        return [variable.report() for variable in variables]
    if kind == "ConfigurationInventory":
        return [report for variable in variables if (report := _configuration(variable)) is not None]
    if kind == "SummaryInventory":
        return _summary(list(variables))
    raise ValueError(kind)


def custom_report(
    model: DeviceModel, criteria: Sequence[str] | None, component_variables: Sequence[dict[str, Any]] | None
) -> list[ReportData]:
    """ReportData of the variables that a GetReportRequest names, in the model's order, each once; may be empty.

    Do not modify the result: the elements are shared with later reports.
    A criterion selects components, and all variables of theirs are reported (B08.FR.07 to FR.10); given both, the
    criteria and the names limit the report together (B08.FR.05).
    """
    variables = model.variables
    chosen = [address for address in variables if _is_selected(address, component_variables)]
    if criteria:
        matching = {
            component
            for component in {address[:4] for address in chosen}
            if any(_meets(variables, component, criterion) for criterion in criteria)  # B08.FR.13
        }
        chosen = [address for address in chosen if address[:4] in matching]
    return [variables[address].report() for address in chosen]


def paged(report: Sequence[bytes], items: int, size: int) -> list[list[bytes]]:
    """A report, whose elements are JSON, in parts of at most `items` elements and `size` bytes; a larger element has a
    part of its own.

    An empty report has one empty part, because one message has to be sent.
    """
    pages: list[list[bytes]] = [[]]
    used = 2  # the brackets
    for element in report:
        length = len(element) + 1  # and a comma
        if pages[-1] and (len(pages[-1]) == items or used + length > size):
            pages.append([])
            used = 2
        pages[-1].append(element)
        used += length
    return pages


def _configuration(variable: Variable) -> ReportData | None:
    """What the operator can set (B07.FR.07): the writable attributes only (TC_B_12)."""
    writable = [attribute for attribute in variable.attributes.values() if attribute.writable]
    if not writable:
        return None
    return variable.report() if len(writable) == len(variable.attributes) else variable.report_of(writable)


def _summary(variables: list[Variable]) -> list[ReportData]:
    """B07.FR.09: where charging is possible, and which problems there are."""
    states = {
        variable.address.evse: variable.actual.text
        for variable in variables
        if variable.address.variable.lower() == _AVAILABILITY and variable.address.component == "EVSE"
    }
    return [variable.report() for variable in variables if _is_in_summary(variable, states)]


def _is_in_summary(variable: Variable, evse_states: dict[int, str]) -> bool:
    name = variable.address.variable.lower()
    if name == _AVAILABILITY:
        # A connector's state is reported if it differs from its EVSE's.
        return not variable.address.connector or variable.actual.text != evse_states.get(variable.address.evse)
    return name in _ABNORMAL and variable.actual.value is True


def _is_selected(address: Address, component_variables: Sequence[dict[str, Any]] | None) -> bool:
    return not component_variables or any(_matches(address, selector) for selector in component_variables)  # B08.FR.11


def _matches(address: Address, selector: dict[str, Any]) -> bool:
    """Does a ComponentVariableType select this variable? The members that it leaves out match everything.

    B08.FR.24 is read as the counterpart of B08.FR.25: an instance that is given is the only one reported.
    """
    component = selector["component"]
    if component["name"].lower() != address.component:
        return False
    if component.get("instance") and component["instance"].lower() != address.component_instance:
        return False
    evse = component.get("evse")
    if evse and (evse["id"] != address.evse or evse.get("connectorId", address.connector) != address.connector):
        return False  # B08.FR.22, B08.FR.23
    variable = selector.get("variable")
    if not variable:
        return True  # B08.FR.20
    if variable["name"].lower() != address.variable:
        return False
    return not variable.get("instance") or variable["instance"].lower() == address.instance  # B08.FR.21


def _meets(variables: Mapping[Address, Variable], component: tuple[str, str, int, int], criterion: str) -> bool:
    """B08.FR.07 to FR.10: the variable is true or absent; only Problem must be present."""
    variable = variables.get(Address(*component, criterion.lower(), ""))
    if variable is None:
        return criterion != "Problem"
    return variable.read(variable.attributes[ACTUAL]) == "true"
