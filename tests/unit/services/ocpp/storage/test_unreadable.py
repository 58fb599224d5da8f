# SPDX-License-Identifier: Apache-2.0
"""Noise in a stored value, which SQLite can't notice: the station starts, and everything else is unchanged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.ocpp.device_model import keys
from tests.support.station_bench import StationBench, charge, set_variables

NOISE = b'{"a\xff": \x00'


def spoil(bench: StationBench, table: str, column: str, where: str = "1") -> None:
    """While the service is dead."""
    if bench.alive:
        bench.die()
    with closing(sqlite3.connect(bench.directory / "station.db")) as database:
        changed = database.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (NOISE,))  # noqa: S608 (ours)
        assert changed.rowcount > 0
        database.commit()


@pytest.fixture
def bench(tmp_path: Path) -> StationBench:
    """A car charges, and some events about it are queued."""
    bench = StationBench(tmp_path, product_name="full")
    bench.up()
    bench.call("SetVariables", set_variables("TxCtrlr", "EVConnectionTimeOut", "77"))
    charge(bench)
    bench.link_down()
    bench.advance(300)
    assert len(bench.context.outbox) > 2
    return bench


def restart(bench: StationBench) -> None:
    bench.restart_service()
    bench.hal_up()
    bench.link_up()


def test_an_unreadable_message_is_skipped(bench: StationBench) -> None:
    queued = len(bench.context.outbox)
    spoil(bench, "outbox", "payload", "id = (SELECT min(id) FROM outbox)")
    bench.restart_service()
    assert len(bench.context.outbox) == queued - 1
    bench.hal_up()
    bench.link_up()
    assert bench.events[-1]["transactionInfo"]["chargingState"] == "Charging"
    assert len(bench.context.outbox) == 0


def test_an_unreadable_transaction_is_skipped(bench: StationBench) -> None:
    spoil(bench, "transactions", "state")
    restart(bench)
    assert bench.context.hal.evses[2].transaction_id is None
    assert not bench.permitted(2), "no charging without a transaction"
    assert bench.context.model.get(keys.EV_CONNECTION_TIME_OUT) == 77


def test_unreadable_values_and_cached_tokens_are_skipped(bench: StationBench) -> None:
    bench.link_up()
    spoil(bench, "facts", "value")
    spoil(bench, "auth_cache", "info")
    restart(bench)
    assert bench.sent("BootNotification")
    assert bench.context.model.get(keys.EV_CONNECTION_TIME_OUT) == 77
    bench.unplug(2)
    bench.energy_off(2)
    bench.card("04A1B2C3D4E580", 1)
    assert bench.sent("Authorize")
    assert bench.context.hal.evses[1].id_token is not None
