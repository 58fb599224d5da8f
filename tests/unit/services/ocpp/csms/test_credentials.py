# SPDX-License-Identifier: Apache-2.0
"""The password that is shown, when the CSMS knows the new one, and when it never heard of it."""

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
    assert not credentials.taken()


def test_a_refused_password_stays_the_one_while_there_is_no_other(bench: StationBench) -> None:
    credentials = _credentials(bench)
    for _ in range(2):
        credentials.refused()
        assert credentials.password == OLD


def test_a_new_password_is_shown_first_and_the_old_one_forgotten(bench: StationBench) -> None:
    credentials = _credentials(bench)
    assert not credentials.taken()
    bench.context.model.put(keys.BASIC_AUTH_PASSWORD, NEW)
    assert credentials.password == NEW  # A01.FR.03
    assert not credentials.taken()
    credentials.refused()
    assert credentials.password == NEW


def test_two_passwords_take_turns_when_the_new_one_is_refused(bench: StationBench) -> None:
    credentials = _credentials(bench)
    credentials.taken()
    bench.context.model.put(keys.BASIC_AUTH_PASSWORD, NEW)
    shown = []
    for _ in range(4):
        shown.append(credentials.password)
        credentials.refused()
    assert shown == [NEW, OLD, NEW, OLD]


def test_a_csms_that_never_heard_of_the_change_takes_it_back(bench: StationBench) -> None:
    """A01.FR.04: its answer got lost, so the CSMS keeps the old one. Over a restart, too."""
    _credentials(bench).taken()
    credentials = _credentials(bench, NEW)
    credentials.refused()
    assert credentials.password == OLD
    assert credentials.taken()
    assert bench.context.model.get(keys.BASIC_AUTH_PASSWORD) == OLD
    assert credentials.password == OLD


def test_a_password_that_is_set_meanwhile_has_its_own_first_turn(bench: StationBench) -> None:
    credentials = _credentials(bench)
    credentials.taken()
    bench.context.model.put(keys.BASIC_AUTH_PASSWORD, NEW)
    credentials.refused()
    bench.context.model.put(keys.BASIC_AUTH_PASSWORD, "the-third-Password")
    assert credentials.password == "the-third-Password"
