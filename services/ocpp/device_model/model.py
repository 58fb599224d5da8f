# SPDX-License-Identifier: Apache-2.0
"""The device model in memory: typed reading and writing for our code, write-through of what has to survive.

A value has three layers: the product's, the factory's (stored at the first start, so that later changes of the factory
file have no effect), and what the CSMS or the station has written since. Only the last two are in the database. Writing
joins the open unit of work; the shell commits before an answer leaves.

`requests.py` answers the CSMS's requests from the model, `reports.py` makes its reports.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import msgspec
from msgspec.structs import replace

from firmware.factory_settings import FactoryVariable
from firmware.product import Product
from firmware.type_words import type_problem
from services.ocpp.device_model import keys
from services.ocpp.device_model.build import apply_factory, build
from services.ocpp.device_model.change import Validator
from services.ocpp.device_model.keys import Key
from services.ocpp.device_model.values import Characteristics, Refusal, Value, parse, to_text
from services.ocpp.device_model.variable import ACTUAL, Address, Attribute, Variable
from services.ocpp.key_values import Key as StoredKey
from services.ocpp.key_values import KeyValueStore

__all__ = ["DeviceModel", "Row", "Store"]

T = TypeVar("T")
_log = logging.getLogger(__name__)

_MOST_AVAILABLE_FIRST = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")

Row: TypeAlias = tuple[Address, str, str]
"""One stored value: where the variable is, which attribute of it, and its text."""


class Store(Protocol):
    """The values on disk; every write is part of the open unit of work."""

    def load(self) -> list[Row]: ...

    def save(self, address: Address, attribute: str, text: str) -> None: ...

    def on_replaced(self, rows: Callable[[], Iterable[Row]]) -> None:
        """When a damaged database is replaced, `rows` is called for all rows of the new one."""


class DeviceModel:
    """All variables of one product; see the module."""

    def __init__(
        self,
        product: Product,
        store: Store,
        key_values: KeyValueStore,
        *,
        factory: Sequence[FactoryVariable] = (),
        where: str = "factory settings",
    ) -> None:
        """Raises `ConfigError` when the product or, at the first start, a factory value (`where`) is impossible."""
        self._store = store
        self._key_values = key_values
        self.variables: dict[Address, Variable] = {variable.address.folded(): variable for variable in build(product)}
        """Every variable by its folded address, in the product's order. Read only."""
        self.components = {_component(address) for address in self.variables}
        self.validators: dict[tuple[str, str, str, str], list[Validator]] = {}
        self.changed: set[Address] = set()
        """Folded addresses of the variables that were written to the database; the reader clears it."""
        self._factory = self._load_factory(factory)
        apply_factory(self.variables, self._factory, where)
        self._load()
        self._derive_station_state()
        store.on_replaced(self._rows)

    # --- for our code --------------------------------------------------------------------------------------

    def get(self, key: Key[T], *, evse: int = 0, connector: int = 0) -> T:
        """The value of a variable that every product has. Raises `KeyError` if this one lacks it, which is a bug."""
        attribute = self.variables[key.at(evse, connector)].attributes[ACTUAL]
        return cast("T", attribute.value if attribute.source is None else attribute.source())

    def find(self, key: Key[T], *, evse: int = 0, connector: int = 0) -> T | None:
        """The value of a variable that only some products have; None if this one lacks it."""
        return self.get(key, evse=evse, connector=connector) if self.has(key, evse=evse, connector=connector) else None

    def has(self, key: Key[Any], *, evse: int = 0, connector: int = 0) -> bool:
        """Does this product have the variable?"""
        return key.at(evse, connector) in self.variables

    def put(self, key: Key[T], value: T, *, evse: int = 0, connector: int = 0) -> bool:
        """Set a value for the station, whatever its mutability and limits. Returns whether the value has changed.

        A persistent variable is written to the database. Raises `TypeError` for a value of another type.
        """
        variable = self.variables[key.at(evse, connector)]
        attribute = variable.attributes[ACTUAL]
        text = to_text(cast("Value", value), variable.kind.data_type)
        if text == attribute.text:
            return False
        variable.store(attribute, text, text if isinstance(value, str) else cast("Value", value))
        if attribute.persistent:
            self.persist(variable, attribute)
        return True

    def provide(self, key: Key[T], source: Callable[[], T], *, evse: int = 0, connector: int = 0) -> None:
        """Call `source` at each reading of the variable, for values like the time of day."""
        variable = self.variables[key.at(evse, connector)]
        variable.actual.source = source
        variable.changed()

    def add_validator(self, key: Key[Any], validator: Validator) -> None:
        """Cross-check values that the CSMS sets."""
        self.validators.setdefault(key.folded, []).append(validator)

    def _derive_station_state(self) -> None:
        """The station's AvailabilityState is that of its most available EVSE, at each reading."""
        states = [
            variable.actual
            for variable in self.variables.values()
            if keys.AVAILABILITY_STATE.names(variable.address.folded())
        ]
        if states and self.has(keys.STATION_AVAILABILITY_STATE):
            self.provide(
                keys.STATION_AVAILABILITY_STATE,
                lambda: min((state.text for state in states), key=_MOST_AVAILABLE_FIRST.index),
            )

    def check_factory(self, product: Product) -> None:
        """Raises `ConfigError` if the factory values of this station are impossible for another product."""
        apply_factory({variable.address.folded(): variable for variable in build(product)}, self._factory)

    # --- the database ------------------------------------------------------------------------------------------

    def persist(self, variable: Variable, attribute: Attribute) -> None:
        """Write one value to the database."""
        self.changed.add(variable.address.folded())
        self._store.save(variable.address, attribute.type, attribute.text)

    def _rows(self) -> Iterator[Row]:
        """Every persistent value that is not the default."""
        for variable in self.variables.values():
            for attribute in variable.attributes.values():
                if attribute.persistent and attribute.text != attribute.default:
                    yield variable.address, attribute.type, attribute.text

    def _load_factory(self, factory: Sequence[FactoryVariable]) -> list[FactoryVariable]:
        stored = self._key_values.get(StoredKey.FACTORY_VARIABLES)
        try:
            return list(factory) if stored is None else msgspec.convert(stored, list[FactoryVariable])
        except msgspec.ValidationError as error:
            problem = type_problem(error, list[FactoryVariable], stored)
            _log.error("the stored factory values are unusable: %s", problem)
            return list(factory)

    def _load(self) -> None:
        """Restore the values of the last run; a value that this firmware no longer allows is ignored."""
        if self._key_values.get(StoredKey.FACTORY_VARIABLES) is None:
            self._key_values.put(StoredKey.FACTORY_VARIABLES, self._factory)
        for address, name, text in self._store.load():
            variable = self.variables.get(address.folded())
            attribute = variable.attributes.get(name) if variable else None
            if variable is None or attribute is None or not attribute.persistent:
                _log.info("%s %s: stored, but not part of this product", address, name)
                continue
            try:
                variable.store(attribute, text, parse(text, _storable(variable)))
            except Refusal as refusal:
                _log.warning("%s: the stored value is no longer allowed (%s)", address, refusal.text)


def _storable(variable: Variable) -> Characteristics:
    """The limits of stored values: those for the CSMS, but its answer to a boot may give any interval (B01.FR.04)."""
    if keys.HEARTBEAT_INTERVAL.names(variable.address.folded()):
        return replace(variable.kind, minimum=1, maximum=None)
    return variable.kind


def _component(address: Address) -> tuple[str, str, int, int]:
    return address[:4]
