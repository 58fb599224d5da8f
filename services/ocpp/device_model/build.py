# SPDX-License-Identifier: Apache-2.0
"""Builds the variables of a product from its rows and the standard's definitions, with their factory values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec

from firmware.errors import ConfigError
from firmware.factory_settings import FactoryVariable
from firmware.product import Product, VariableRow
from services.ocpp.device_model.values import Characteristics, DataType, Refusal
from services.ocpp.device_model.variable import ACTUAL, Address, Attribute, Variable

__all__ = ["Definition", "address_of", "apply_factory", "build", "standard"]

GENERIC = "*"


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """The standard's definition of a variable; `*` stands for any component or instance."""

    component: str
    variable: str
    instance: str
    required: bool
    data_type: DataType
    unit: str


@cache
def standard() -> dict[tuple[str, str, str], Definition]:
    """Every standardised variable by component, variable and instance, from `tools/generate/device_model.py`."""
    text = Path(__file__).with_name("standard.json").read_bytes()
    definitions = msgspec.json.decode(text, type=list[Definition])
    return {(each.component, each.variable, each.instance): each for each in definitions}


def build(product: Product) -> list[Variable]:
    """The product's variables with its values. Raises `ConfigError` when a row contradicts itself or the standard."""
    return [_variable(row, address) for row in product.device_model.variables for address in _addresses(row, product)]


def apply_factory(
    variables: dict[Address, Variable], factory: Sequence[FactoryVariable], where: str = "factory settings"
) -> None:
    """Replace the product's values by the factory's, which are checked like those of a SetVariablesRequest.

    Raises `ConfigError` with the place.
    """
    for number, row in enumerate(factory, 1):
        address = address_of(row)
        place = f"{where}: variable {number} ({address})"
        variable = variables.get(address.folded())
        if variable is None:
            raise ConfigError(f"{place}: this product has no such variable")
        if row.mutability is not None:
            _override_mutability(variable.actual, row.mutability)
        _set_default(variable, variable.actual, row.value, place)


def address_of(row: FactoryVariable) -> Address:
    return Address(row.component, row.component_instance, row.evse or 0, row.connector or 0, row.variable, row.instance)


def _override_mutability(attribute: Attribute, mutability: str) -> None:
    attribute.mutability = mutability
    if attribute.writable:
        attribute.persistent = True
        attribute.constant = False


def _set_default(variable: Variable, attribute: Attribute, text: str, place: str) -> None:
    attribute.default = text
    try:
        variable.accept(attribute, text)
    except Refusal as refusal:
        raise ConfigError(f"{place}: {refusal.text}") from refusal


def _addresses(row: VariableRow, product: Product) -> Iterator[Address]:
    for evse in product.hardware.evse:
        if row.evse in (None, "each", evse.id):
            for connector in evse.connector:
                if row.connector in (None, "each", connector.id):
                    yield Address(
                        row.component,
                        row.component_instance,
                        0 if row.evse is None else evse.id,
                        0 if row.connector is None else connector.id,
                        row.variable,
                        row.instance,
                    )
                if row.connector is None:
                    break
        if row.evse is None:
            break


def _variable(row: VariableRow, address: Address) -> Variable:
    variable = Variable(address, _characteristics(row), {}, reboot=row.reboot, secret=row.secret)
    writable = row.mutability != "ReadOnly"
    # Part 2, chapter 2 of the referenced variables: what can be written SHALL be persistent.
    actual = Attribute(ACTUAL, row.mutability, row.persistent or row.constant or writable, row.constant, row.value)
    if writable and row.constant:
        raise ConfigError(f"product: {address}: constant, yet writable")
    variable.attributes[ACTUAL] = actual
    for further in row.attributes:
        persistent = further.mutability != "ReadOnly"
        variable.attributes[further.type] = Attribute(
            further.type, further.mutability, persistent, False, further.value
        )
    for attribute in variable.attributes.values():
        if attribute.default:
            _set_default(variable, attribute, attribute.default, f"product: {address} {attribute.type}")
        else:
            variable.clear(attribute)
    return variable


def _characteristics(row: VariableRow) -> Characteristics:
    place = f"product: {row.component}.{row.variable}"
    definition = _definition(row)
    if definition is None and row.type is None:
        raise ConfigError(f"{place}: not standardised, so its type has to be given")
    if definition is not None and row.type not in (None, definition.data_type.value):
        raise ConfigError(f"{place}: the standard says {definition.data_type.value}, not {row.type}")
    data_type = definition.data_type if definition else DataType(row.type)
    listed = data_type in (DataType.OPTION_LIST, DataType.SEQUENCE_LIST, DataType.MEMBER_LIST)
    if listed != bool(row.values):
        raise ConfigError(
            f"{place}: {data_type.value}, but only list types have `values`, and must have them"
        )  # TC_B_53
    return Characteristics(
        data_type=data_type,
        unit=row.unit or (definition.unit if definition else None) or None,
        minimum=_whole(row.min),
        maximum=_whole(row.max),
        choices=tuple(row.values),
        format=row.format,
        required=row.required,
    )


def _definition(row: VariableRow) -> Definition | None:
    definitions = standard()
    for component in (row.component, GENERIC):
        for instance in (row.instance, GENERIC, ""):
            if definition := definitions.get((component, row.variable, instance)):
                return definition
    return None


def _whole(limit: float | None) -> float | None:
    """Whole numbers are reported without a decimal point."""
    return int(limit) if limit is not None and limit == int(limit) else limit
