# SPDX-License-Identifier: Apache-2.0
"""Shorthands for tests that need a database: a device model on it, and a value in it that no table class knows."""

from __future__ import annotations

from collections.abc import Sequence

from firmware.factory_settings import FactoryVariable
from firmware.product import Product
from services.ocpp.device_model import DeviceModel
from services.ocpp.storage import Database
from services.ocpp.storage.tables import KeyValueTable, VariableTable

__all__ = ["device_model", "put_raw", "raw"]


def device_model(product: Product, database: Database, factory: Sequence[FactoryVariable] = ()) -> DeviceModel:
    return DeviceModel(product, VariableTable(database), KeyValueTable(database), factory=factory)


def put_raw(database: Database, key: str, value: bytes) -> None:
    """Writes into the open unit of work; may be repeated."""
    database.write("INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)", key, value)


def raw(database: Database, key: str) -> bytes | None:
    """What the database holds; None: nothing."""
    rows = database.read("SELECT value FROM facts WHERE key = ?", key)
    return bytes(rows[0][0]) if rows else None
