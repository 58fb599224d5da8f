# SPDX-License-Identifier: Apache-2.0
"""One variable of a component with its attributes, in memory and in reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from services.ocpp.device_model.values import Characteristics, Value, empty_value, parse, to_text

__all__ = ["ACTUAL", "Address", "Attribute", "ReportData", "Variable"]

ACTUAL = "Actual"


class Address(NamedTuple):
    """The place of a variable. 0 and "" stand for none; names are case-insensitive (part 2, 2.16, 2.53)."""

    component: str
    component_instance: str
    evse: int
    connector: int
    variable: str
    instance: str

    def folded(self) -> Address:
        """The address in lower case, by which variables are looked up."""
        component, component_instance, evse, connector, variable, instance = self
        return Address(
            component.lower(), component_instance.lower(), evse, connector, variable.lower(), instance.lower()
        )

    def __str__(self) -> str:
        place = f"@{self.evse}" if self.evse else ""
        place += f".{self.connector}" if self.connector else ""
        component = f"{self.component}[{self.component_instance}]" if self.component_instance else self.component
        variable = f"{self.variable}[{self.instance}]" if self.instance else self.variable
        return f"{component}{place}.{variable}"


class Attribute(Struct, eq=False):
    """A value and its access rules. `default` is the product's or the factory's text."""

    type: str
    mutability: str
    persistent: bool
    constant: bool
    default: str
    text: str = ""
    value: Value = None
    source: Callable[[], Any] | None = None
    """Called for the value at each reading; only Actual may have one."""

    def __repr__(self) -> str:
        """Without the value, which may be a secret."""
        return f"Attribute({self.type!r}, {self.mutability!r})"

    @property
    def writable(self) -> bool:
        return self.mutability != "ReadOnly"

    @property
    def readable(self) -> bool:
        return self.mutability != "WriteOnly"


class ReportData(dict[str, Any]):
    """ReportDataType. `json` is for whoever sends it, to keep its JSON for the next time."""

    __slots__ = ("json",)

    def __init__(self, members: dict[str, Any]) -> None:
        super().__init__(members)
        self.json: bytes | None = None


class Variable(Struct, eq=False):
    """A variable; caches its ReportDataType until something in it changes."""

    address: Address
    kind: Characteristics
    attributes: dict[str, Attribute]
    reboot: bool = False
    secret: bool = False
    _report: ReportData | None = None

    def __repr__(self) -> str:
        return f"Variable({self.address})"

    @property
    def actual(self) -> Attribute:
        return self.attributes[ACTUAL]

    @property
    def limits(self) -> Characteristics:
        """The characteristics in force: the product's, widened to a value that is beyond them.

        The station itself may set such a value (any HeartbeatInterval that the CSMS gives at a boot: B01.FR.04).
        """
        value, kind = self.actual.value, self.kind
        if not self.actual.writable or isinstance(value, bool) or not isinstance(value, int | float):
            return kind
        if kind.minimum is not None and value < kind.minimum:
            return replace(kind, minimum=value)
        if kind.maximum is not None and value > kind.maximum:
            return replace(kind, maximum=value)
        return kind

    def read(self, attribute: Attribute) -> str:
        """The attribute's text now."""
        if attribute.source is None:
            return attribute.text
        return to_text(attribute.source(), self.kind.data_type)

    def accept(self, attribute: Attribute, text: str) -> None:
        """Store `text` if it is allowed; raises `Refusal`."""
        self.store(attribute, text, parse(text, self.kind))

    def clear(self, attribute: Attribute) -> None:
        """Remove the value."""
        self.store(attribute, "", empty_value(self.kind.data_type))

    def store(self, attribute: Attribute, text: str, value: Value) -> None:
        """Store a value that has been checked."""
        attribute.text = text
        attribute.value = value
        self._report = None

    def changed(self) -> None:
        """Drop the cached report, because something else in it has changed."""
        self._report = None

    def report(self) -> ReportData:
        """ReportDataType with every attribute (B07.FR.11). Shared by all callers: do not modify."""
        if self._report is None:
            report = self.report_of(list(self.attributes.values()))
            if self.actual.source is not None:
                return report
            self._report = report
        return self._report

    def report_of(self, attributes: list[Attribute]) -> ReportData:
        """ReportDataType with these attributes."""
        return ReportData(
            {
                "component": _component(self.address),
                "variable": _named(self.address.variable, self.address.instance),
                "variableAttribute": [self._report_attribute(attribute) for attribute in attributes],
                "variableCharacteristics": _characteristics(self.limits),  # B08.FR.12
            }
        )

    def _report_attribute(self, attribute: Attribute) -> dict[str, Any]:
        shown: dict[str, Any] = {"type": attribute.type}
        if attribute.readable:  # B07.FR.03, B08.FR.03: a WriteOnly value is left out
            shown["value"] = self.read(attribute)
        shown["mutability"] = attribute.mutability
        shown["persistent"] = attribute.persistent
        shown["constant"] = attribute.constant
        return shown


def _component(address: Address) -> dict[str, Any]:
    component: dict[str, Any] = _named(address.component, address.component_instance)
    if address.evse:
        component["evse"] = {"id": address.evse}
        if address.connector:
            component["evse"]["connectorId"] = address.connector
    return component


def _named(name: str, instance: str) -> dict[str, Any]:
    return {"name": name, "instance": instance} if instance else {"name": name}


def _characteristics(kind: Characteristics) -> dict[str, Any]:
    shown: dict[str, Any] = {"dataType": kind.data_type.value, "supportsMonitoring": False}
    if kind.unit:
        shown["unit"] = kind.unit
    if kind.minimum is not None:
        shown["minLimit"] = kind.minimum
    if kind.maximum is not None:
        shown["maxLimit"] = kind.maximum
    if kind.choices:
        shown["valuesList"] = ",".join(kind.choices)
    return shown
