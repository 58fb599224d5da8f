# SPDX-License-Identifier: Apache-2.0
"""A device model of each product on a database of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from firmware.clock import SystemClock
from firmware.factory_settings import FactoryVariable
from firmware.product import Product, load
from services.ocpp.device_model import DeviceModel
from services.ocpp.storage import Database
from tests.support.database import device_model

product = cache(load)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "station.db", clock=SystemClock())
    yield database
    database.close()


@pytest.fixture
def make(database: Database) -> Callable[..., DeviceModel]:
    """Starts the station again, on the same database."""

    def start(name: str = "c7am-400-cc", factory: Sequence[FactoryVariable] = ()) -> DeviceModel:
        database.commit()
        return device_model(product(name), database, factory)

    return start


@pytest.fixture
def model(make: Callable[..., DeviceModel]) -> DeviceModel:
    return make()


@pytest.fixture(params=["c7am-400-cc", "full"])
def each_product(request: pytest.FixtureRequest) -> Product:
    return product(request.param)
