# SPDX-License-Identifier: Apache-2.0
"""The password that is presented, when the CSMS knows the new one, and when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.ocpp.csms.credentials import Credentials
from services.ocpp.device_model import keys
from tests.support.station_bench import StationBench

OLD, NEW = "the-old-Password_1", "the-new-Password_2"


@pytest.fixture
def bench(tmp_path: Path) -> StationBench:
    return StationBench(tmp_path)


def _credentials(bench: StationBench, password: str = OLD) -> Credentials:
    bench.context.model.put(keys.BASIC_AUTH_PASSWORD, password)
    return Credentials(bench.context.model, bench.context.key_values)


def test_without_a_password_there_is_none(bench: StationBench) -> None:
    credentials = _credentials(bench, "")  # A01.FR.01: there is no other place for it
    credentials.refused()
    assert credentials.password is None
    assert not credentials.accepted()


def test_a_refused_password_stays_in_use_while_there_is_no_other(bench: StationBench) -> None:
    credentials = _credentials(bench)
    for _ in range(2):
        credentials.refused()
        assert credentials.password == OLD


def test_a_new_password_comes_first_and_the_old_one_is_forgotten(bench: StationBench) -> None:
    credentials = _credentials(bench)
    assert not credentials.accepted()
    bench.context.model.put(keys.BASIC_AUTH_PASSWORD, NEW)
    assert credentials.password == NEW  # A01.FR.03
    assert not credentials.accepted()
    credentials.refused()
    assert credentials.password == NEW


def test_two_passwords_alternate_when_the_new_one_is_refused(bench: StationBench) -> None:
    credentials = _credentials(bench)
    credentials.accepted()
    bench.context.model.put(keys.BASIC_AUTH_PASSWORD, NEW)
    presented = []
    for _ in range(4):
        presented.append(credentials.password)
        credentials.refused()
    assert presented == [NEW, OLD, NEW, OLD]


def test_a_csms_that_does_not_know_the_change_takes_it_back(bench: StationBench) -> None:
    """A01.FR.04: its answer got lost, so the CSMS keeps the old one. Also over a restart."""
    _credentials(bench).accepted()
    credentials = _credentials(bench, NEW)
    credentials.refused()
    assert credentials.password == OLD
    assert credentials.accepted()
    assert bench.context.model.get(keys.BASIC_AUTH_PASSWORD) == OLD
    assert credentials.password == OLD


def test_a_password_that_is_set_meanwhile_comes_first(bench: StationBench) -> None:
    credentials = _credentials(bench)
    credentials.accepted()
    bench.context.model.put(keys.BASIC_AUTH_PASSWORD, NEW)
    credentials.refused()
    bench.context.model.put(keys.BASIC_AUTH_PASSWORD, "the-third-Password")
    assert credentials.password == "the-third-Password"
